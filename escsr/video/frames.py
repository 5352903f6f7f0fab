"""Conversion between PyAV frames and planes of numbers."""

import importlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from av import VideoFrame

# Formats with one plane per component; all others are converted to one of these.
_BITS = ("", "9le", "10le", "12le", "14le", "16le")
_PLANAR = {f"{kind}{bits}" for kind in ("yuv420p", "yuv422p", "yuv444p", "gbrp") for bits in _BITS}
_PLANAR |= {"gray", "gray10le", "gray12le", "gray16le", "yuvj420p", "yuvj422p", "yuvj444p"}


def pyav() -> Any:
    """The PyAV module, an optional dependency.

    Raises:
        ModuleNotFoundError: With the command that installs it.
    """
    try:
        return importlib.import_module("av")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "videos are read and written by PyAV, which is not installed: "
            "pip install 'escsr[video]'"
        ) from None


@lru_cache
def planar_format(name: str) -> str:
    """The format with separate planes that a pixel format is converted to without loss.

    Transparency is ignored, and chroma of rare shapes is enlarged to full size.
    """
    if name in _PLANAR:
        return name
    kind = pyav().VideoFormat(name)
    colours = [part for part in kind.components if not part.is_alpha]
    bits = max(part.bits for part in colours)
    suffix = "" if bits <= 8 else next(b for b in _BITS[1:] if int(b[:-2]) >= bits)
    if kind.has_palette or kind.is_rgb:
        return f"gbrp{suffix}"
    if len(colours) == 1:
        return "gray" if bits <= 8 else "gray16le"
    side = 64
    shape = kind.chroma_width(side), kind.chroma_height(side)
    shapes = {(side, side): "444", (side // 2, side): "422", (side // 2, side // 2): "420"}
    return f"yuv{shapes.get(shape, '444')}p{suffix}"


def bits_of(name: str) -> int:
    """Bits of a component of a pixel format."""
    return int(pyav().VideoFormat(name).components[0].bits)


def planes_of(frame: "VideoFrame") -> tuple[list[Tensor], int]:
    """The components of a frame as int32 (H, W) arrays, and their bits."""
    planar = planar_format(frame.format.name)
    if planar != frame.format.name:
        frame = frame.reformat(format=planar)
    planes = []
    for part in frame.format.components:
        plane = frame.planes[part.plane]
        wide = part.bits > 8
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        samples = rows.view("<u2") if wide else rows
        pixels = samples[:, : plane.width].astype(np.int32)
        planes.append(torch.from_numpy(pixels))
    return planes, frame.format.components[0].bits


def frame_of(planes: list[Tensor], pixel_format: str) -> "VideoFrame":
    """A frame made of planes in the order of its format, as returned by `planes_of`."""
    height, width = planes[0].shape
    frame: VideoFrame = pyav().VideoFrame(width, height, pixel_format)
    for part, samples in zip(frame.format.components, planes, strict=True):
        plane = frame.planes[part.plane]
        kind = np.dtype("<u2" if part.bits > 8 else np.uint8)
        rows = np.zeros((plane.height, plane.line_size // kind.itemsize), kind)
        rows[:, : plane.width] = samples.numpy()
        plane.update(rows.tobytes())
    return frame
