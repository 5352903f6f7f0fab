"""Real codecs and their losses. Pictures on a GPU go to the CPU and back."""

import importlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from escsr.degradations._checks import check_images, check_one_each
from escsr.degradations.bounds import (
    CLIP_LENGTH,
    FILE_QUALITY,
    Choice,
    check_motion,
    video_quality,
)
from escsr.pixels import to_levels_tensor

FileFormat = Literal["jpeg", "webp", "avif"]
FILE_FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)
"""File formats that `encode_decode` knows."""

Subsampling = Literal["4:2:0", "4:2:2", "4:4:4"]
SUBSAMPLINGS: tuple[Subsampling, ...] = get_args(Subsampling)
"""Resolutions of chroma in JPEG files."""

VideoCodec = Literal["h264", "hevc", "mpeg4", "vp9"]
VIDEO_CODECS: tuple[VideoCodec, ...] = get_args(VideoCodec)
"""Video codecs that `encode_decode_video` knows, by FFmpeg's names."""

_VIDEO_SIDE = 32
"""Sides of frames are multiples of this: padding by the codecs depends on previous memory contents,
and x265 refuses smaller frames."""

Pixels = npt.NDArray[np.uint8]


def encode_decode(
    images: Tensor,
    file_format: FileFormat,
    qualities: Sequence[int],
    *,
    subsampling: Subsampling = "4:2:0",
) -> Tensor:
    """Write each picture as a file in memory and read it again, by OpenCV.

    Args:
        images: (B, 3, H, W) float in [0, 1]; rounded to 8 bits.
        file_format: "jpeg", "webp" or "avif".
        qualities: For each picture, 1 to 100. 100 is not lossless, not even for WebP.
        subsampling: Resolution of chroma, for "jpeg" only.

    Returns:
        (B, 3, H, W) in [0, 1], multiples of 1/255.

    Raises:
        TypeError: Pictures that are no floats.
        ValueError: Another shape, an unknown format, or a quality out of range.
        RuntimeError: This OpenCV was built without the format.

    Example:
        >>> encode_decode(torch.rand(1, 3, 16, 16), "jpeg", [40]).shape
        torch.Size([1, 3, 16, 16])
    """
    check_images(images)
    check_one_each("qualities", qualities, images)
    Choice(FILE_FORMATS).check("file_format", file_format)
    Choice(SUBSAMPLINGS).check("subsampling", subsampling)
    for quality in qualities:
        FILE_QUALITY.check("quality", quality)
    pairs = zip(to_pixels(images), qualities, strict=True)
    decoded = [_by_opencv(pixels, file_format, quality, subsampling) for pixels, quality in pairs]
    return from_pixels(decoded, images)


def _by_opencv(pixels: Pixels, file_format: str, quality: int, subsampling: str) -> Pixels:
    import cv2

    ending = {"jpeg": ".jpg", "webp": ".webp", "avif": ".avif"}[file_format]
    if not cv2.haveImageWriter(ending):
        raise RuntimeError(
            f"OpenCV {cv2.__version__} was built without {file_format}: "
            "upgrade opencv-python-headless, or leave this format out"
        )
    options = {
        "jpeg": [
            cv2.IMWRITE_JPEG_QUALITY,
            quality,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{subsampling.replace(':', '')}"),
        ],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, quality],
        "avif": [getattr(cv2, "IMWRITE_AVIF_QUALITY", 512), quality],
    }[file_format]
    bgr = np.ascontiguousarray(pixels[..., ::-1])
    written, data = cv2.imencode(ending, bgr, options)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if written else None
    if decoded is None:
        height, width = pixels.shape[:2]
        raise ValueError(f"a picture of {width}x{height} cannot be stored as {file_format}")
    rgb: Pixels = decoded[..., ::-1].astype(np.uint8, copy=False)
    return rgb


def encode_decode_video(
    images: Tensor,
    codec: VideoCodec,
    qualities: Sequence[int],
    *,
    frames: int = 3,
    motion: tuple[int, int] = (1, 2),
) -> Tensor:
    """Pass each picture through a video codec, as the last frame of a short pan.

    The earlier frames show the picture shifted, so that the last one is predicted from them, with
    the artefacts of motion compensation on top of those of its own coding. The same call gives the
    same bits, except for "hevc", where x265 occasionally decides differently. Needs PyAV (``pip
    install 'escsr[video]'``).

    Args:
        images: (B, 3, H, W) float in [0, 1]; rounded to 8 bits. The edge is repeated up
            to sides of multiples of 32 pixels, as codecs work on whole blocks.
        codec: One of `VIDEO_CODECS`, by FFmpeg's names; PyAV determines which of them can encode.
        qualities: For each picture, FFmpeg's CRF for "h264", "hevc" and "vp9", the quantizer for
            "mpeg4": 1 (best) to 51 (31 for "mpeg4").
        frames: Length of the clip, 1 (one intra frame) to 30.
        motion: Pixels (down, right) that the picture moves from frame to frame, -32 to 32.

    Returns:
        (B, 3, H, W) in [0, 1].

    Raises:
        ModuleNotFoundError: PyAV is missing; the message explains how to install it.
        TypeError: Pictures that are no floats.
        ValueError: Another shape, an unknown codec, or a number out of range.
    """
    check_images(images)
    check_one_each("qualities", qualities, images)
    Choice(VIDEO_CODECS).check("codec", codec)
    for quality in qualities:
        video_quality(codec).check("quality", quality)
    CLIP_LENGTH.check("frames", frames)
    check_motion("motion", motion)
    av = _pyav()
    decoded = []
    for pixels, quality in zip(to_pixels(images), qualities, strict=True):
        clip = [_shifted(pixels, motion, frames - 1 - number) for number in range(frames)]
        decoded.append(_last_frame(av, clip, codec, quality)[: len(pixels), : pixels.shape[1]])
    return from_pixels(decoded, images)


def _pyav() -> Any:
    try:
        return importlib.import_module("av")  # an extra that nothing else needs
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "video codecs need PyAV, which is not installed: pip install 'escsr[video]'"
        ) from error


def _shifted(pixels: Pixels, motion: tuple[int, int], times: int) -> Pixels:
    """The picture ``times`` steps earlier, padded by repeating the edge."""
    rows, columns = (
        np.clip(np.arange(-(-side // _VIDEO_SIDE) * _VIDEO_SIDE) + step * times, 0, side - 1)
        for side, step in zip(pixels.shape[:2], motion, strict=True)
    )
    moved: Pixels = pixels[rows][:, columns]
    return moved


def _last_frame(av: Any, clip: list[Pixels], codec: str, quality: int) -> Pixels:
    encoder = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9"}.get(codec, codec)
    # One thread: codecs slice frames by threads, and the bits must not depend on their number.
    options = {"threads": "1", "crf": str(quality)}
    if codec == "mpeg4":
        options = {"threads": "1", "qmin": str(quality), "qmax": str(quality)}
    elif codec == "vp9":
        options["b"] = "0"
    elif codec == "hevc":
        options["x265-params"] = (
            "log-level=error:pools=none:frame-threads=1:wpp=0:lookahead-slices=0"
        )
    file = BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(encoder, rate=25, options=options)
        stream.height, stream.width = clip[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for pixels in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_to_i420(pixels), "yuv420p")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        *_, last = container.decode(video=0)
    return _from_i420(last.to_ndarray(format="yuv420p"))


# BT.601 with 16 to 235. The bits of FFmpeg's own conversion depend on memory addresses.
_TO_YUV = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112], [112, -93.786, -18.214]])
_ZERO = np.array([16.0, 128.0, 128.0])


def _to_i420(pixels: Pixels) -> Pixels:
    """(H, W, 3) with even sides to (3 H / 2, W): Y, then U and V as means of 2 x 2 pixels."""
    height, width = pixels.shape[:2]
    planes = pixels.reshape(-1, 3) @ (_TO_YUV.T / 255) + _ZERO
    planes = planes.reshape(height // 2, 2, width // 2, 2, 3)
    luma = planes[..., 0].reshape(height, width)
    chroma = planes[..., 1:].mean(axis=(1, 3)).transpose(2, 0, 1).reshape(-1, width)
    rounded: Pixels = np.rint(np.vstack([luma, chroma])).astype(np.uint8)
    return rounded


def _from_i420(frame: Pixels) -> Pixels:
    """Undo `_to_i420`, repeating each chroma value."""
    height, width = frame.shape[0] * 2 // 3, frame.shape[1]
    chroma = frame[height:].reshape(2, height // 2, width // 2)
    chroma = chroma.repeat(2, axis=1).repeat(2, axis=2)
    planes = np.stack([frame[:height], *chroma], axis=-1) - _ZERO
    rgb = planes.reshape(-1, 3) @ np.linalg.inv(_TO_YUV / 255).T
    found: Pixels = np.rint(rgb).clip(0, 255).astype(np.uint8).reshape(height, width, 3)
    return found


def to_pixels(images: Tensor) -> list[Pixels]:
    """(B, 3, H, W) float in [0, 1] to (H, W, 3) uint8 each, clipped and rounded."""
    return list(to_levels_tensor(images).permute(0, 2, 3, 1).contiguous().cpu().numpy())


def from_pixels(pixels: Sequence[Pixels], like: Tensor) -> Tensor:
    """(H, W, 3) uint8 each to (B, 3, H, W) in [0, 1], of the dtype and device of ``like``."""
    stacked = torch.from_numpy(np.stack(pixels)).to(like.device)
    return stacked.permute(0, 3, 1, 2).contiguous().to(like.dtype) / 255
