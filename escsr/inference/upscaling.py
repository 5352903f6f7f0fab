"""`upscale`: returns a picture of the same kind as its input."""

import io
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Unpack, overload

import torch
from numpy.typing import NDArray
from torch import Tensor

from escsr.images import Picture, PixelFile
from escsr.inference.judging import AUTO, is_auto
from escsr.inference.memory import Memory
from escsr.inference.onnx_engine import Engine
from escsr.inference.options import CallSettings, SessionOptions, SessionSettings
from escsr.inference.session import Sample, Upscaler
from escsr.inference.watching import Cancel
from escsr.inference.ways import Tiles
from escsr.model import SuperResolver
from escsr.models import fetch

if TYPE_CHECKING:
    from PIL.Image import Image


class UpscaleSettings(CallSettings, SessionSettings, total=False):
    """Options of `upscale`, for type checkers."""

    model: str | os.PathLike[str] | SuperResolver


@overload
def upscale(image: str | os.PathLike[str], **options: Unpack[UpscaleSettings]) -> Picture: ...
@overload
def upscale(image: PixelFile, **options: Unpack[UpscaleSettings]) -> PixelFile: ...
@overload
def upscale(image: Picture, **options: Unpack[UpscaleSettings]) -> Picture: ...
@overload
def upscale(image: NDArray[Sample], **options: Unpack[UpscaleSettings]) -> NDArray[Sample]: ...
@overload
def upscale(image: Tensor, **options: Unpack[UpscaleSettings]) -> Tensor: ...
@overload
def upscale(image: bytes, **options: Unpack[UpscaleSettings]) -> bytes: ...
@overload
def upscale(image: BinaryIO, **options: Unpack[UpscaleSettings]) -> io.BytesIO: ...
@overload
def upscale(image: "Image", **options: Unpack[UpscaleSettings]) -> "Image": ...
def upscale(
    image: Any,
    *,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    width: int | None = None,
    height: int | None = None,
    min_side: int | None = None,
    max_side: int | None = None,
    model: str | os.PathLike[str] | SuperResolver = "default",
    device: str | torch.device = "auto",
    precision: str = "fp32",
    memory: Memory | None = None,
    tiles: Tiles = "exact",
    ensemble: bool = False,
    engine: Engine = "torch",
    providers: Sequence[str] | None = None,
    compile: bool | None = None,
    progress: Callable[[float], None] | None = None,
    cancel: Cancel | None = None,
    notify: Callable[[str], None] | None = None,
) -> Any:
    """Enlarge a picture with a network, to exactly the requested size.

    Give at most one of ``scale``, ``size``, ``width``, ``height``, ``min_side`` and ``max_side``;
    the default is the network's own scale, or ×4. Sides can grow up to 30 times. Sessions
    of named models and files are kept between calls; for many pictures with a network of
    your own, hold an `Upscaler`.

    Args:
        image: One of

            - a path: the picture file is read with its profile, transparency and depth;
            - `bytes`, or a file object opened for reading bytes: the contents of such a file;
            - an `escsr.images.Picture`;
            - an `escsr.images.PixelFile`, whose pixels stay on disk;
            - a NumPy array (H, W), (H, W, 3) or (H, W, 4), RGB, uint8, uint16, or floating
              point in [0, 1];
            - a PIL image;
            - a PyTorch tensor (3, H, W) or (B, 3, H, W), floating point in [0, 1].
        scale: Enlargement of both sides, above 0 and up to 30; sides are rounded to whole
            pixels.
        size: (H_out, W_out) in pixels; each side has its own scale, so shapes can change.
        width: Output width in pixels; the height follows from the picture's shape.
        height: Output height in pixels; the width follows.
        min_side: Length of the shorter side in pixels; the longer follows.
        max_side: Length of the longer side in pixels; the shorter follows.
        model: "default" (the embedded network for clean pictures), "auto" (examines the picture
            and chooses "default" or "real", with a notice), a name of `escsr.list_models` or
            `escsr.models.published` (downloaded on first use), a weight file, or a network.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps" …
        precision: "fp32", "bf16", "fp16" or "auto" for the network's arithmetic; see `Upscaler`.
        memory: Memory limit, in bytes or as "2GB", "512MiB"; None uses what is free.
        tiles: "exact" or "fast", for pictures that do not fit; see `Upscaler`.
        ensemble: Average over the picture's eight flips and rotations; see `Upscaler`.
        engine: "torch", or "onnx" for ONNX Runtime; see `Upscaler`.
        providers: Execution providers of ONNX Runtime; see `Upscaler`.
        compile: Whether `torch.compile` is used; see `Upscaler`.
        progress: Called with the fraction of the network's layers that are done, from 0 to 1.
        cancel: A callable or a `threading.Event`, checked between layers: once it is true or
            set, the call ends with `Cancelled`.
        notify: Called with each notice; by default notices are warnings (`UpscaleNotice`).

    Returns:
        The same kind as ``image`` (a `Picture` for a path, encoded `bytes` for bytes, a
        `BytesIO` for a file object), clipped to its range. A network for
        any scale computes the requested size directly. A network of one fixed scale runs at its
        own scale, and its result is resized with an antialiasing filter (`escsr.resize.imresize`).
        Sizes below the picture's are made by that filter alone, without the network. The latter
        two, stretching and an untrained network cause an `UpscaleNotice`.

    Raises:
        ValueError: If size, scale, device or precision are impossible, or more than one size
            is given.
        TypeError: If ``image`` is of an unknown kind.
        MemoryError: If the estimated memory exceeds what is free; the message has both amounts.
        Cancelled: If ``cancel`` ends the call.

    Example:
        >>> picture = escsr.upscale("photo.jpg", scale=3.7)
        >>> escsr.images.write_image("large.png", picture)
        >>> array = escsr.upscale(array, size=(2160, 3840), model="esc_real.pth")
        >>> image = escsr.upscale(pil_image, max_side=3840)
    """
    session = session_for(
        model,
        device=device,
        precision=precision,
        memory=memory,
        tiles=tiles,
        ensemble=ensemble,
        engine=engine,
        providers=providers,
        compile=compile,
    )
    return session(
        image,
        scale=scale,
        size=size,
        width=width,
        height=height,
        min_side=min_side,
        max_side=max_side,
        progress=progress,
        cancel=cancel,
        notify=notify,
    )


def session_for(
    model: str | os.PathLike[str] | SuperResolver, **options: Unpack[SessionSettings]
) -> Upscaler:
    """The session of an `upscale` call: cached for names and files, new for networks.

    Args:
        model: See `upscale`.
        **options: See `Upscaler`.

    Raises:
        FileNotFoundError: If there is no such model.
        ValueError: If an option is impossible.
        TypeError: If ``model`` is not a network.
    """
    if not isinstance(model, str | os.PathLike):
        return Upscaler.sharing(model, **options)
    asked = SessionOptions(**options)
    if is_auto(model):
        return _kept_session(AUTO, 0, asked)
    path = fetch(model)
    return _kept_session(path, path.stat().st_mtime_ns, asked)


@lru_cache(maxsize=16)  # one for each GPU of a machine, and a few more
def _kept_session(model: str | Path, _changed: int, options: SessionOptions) -> Upscaler:
    return Upscaler(model, **vars(options))
