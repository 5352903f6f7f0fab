"""`upscale`: a picture in, a picture of the same kind out."""

import dataclasses
import itertools
import numbers
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from escsr import models
from escsr.build import find_weights, load
from escsr.images import Picture, from_float, to_float
from escsr.inference.devices import PRECISIONS, pick_device
from escsr.inference.kinds import like, to_picture
from escsr.inference.memory import estimate_memory, free_memory
from escsr.model import SuperResolver
from escsr.resize import imresize

Image = TypeVar("Image")


class UpscaleNotice(UserWarning):
    """Something about an enlargement that its user should know."""


def upscale(
    image: Image,
    *,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    model: str | os.PathLike[str] | SuperResolver = "default",
    device: str | torch.device = "auto",
    precision: str = "fp32",
    progress: Callable[[float], None] | None = None,
) -> Any:
    """Enlarge a picture with a network.

    Args:
        image: One of

            - a path: the picture file is read with its profile, transparency and depth;
            - an `escsr.images.Picture`;
            - a NumPy array (H, W), (H, W, 3) or (H, W, 4), RGB, uint8, uint16, or floating
              point in [0, 1];
            - a PIL image;
            - a PyTorch tensor (3, H, W) or (B, 3, H, W), floating point in [0, 1].
        scale: Enlargement of both sides, from 1; default: the network's own, or 4.
        size: (H_out, W_out) instead of ``scale``, at least as large as the picture.
        model: "default" (an embedded network that suits the scale), a name of
            `escsr.list_models`, a weight file, or a network.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps" …
        precision: "fp32", "bf16" or "fp16" for the network's arithmetic.
        progress: Called with the share of the network's layers that are done, from 0 to 1.

    Returns:
        The same kind as ``image`` (a `Picture` for a path), clipped to its range. A network of
        one fixed scale is run at its own scale and its result resized with an antialiasing
        filter to exactly the size asked, with an `UpscaleNotice`; so is an untrained network's.

    Raises:
        ValueError: If sizes, scale, device or precision are impossible.
        TypeError: If ``image`` is of no known kind.
        MemoryError: If the estimated memory exceeds what is free; with both figures.

    Example:
        >>> picture = escsr.upscale("photo.jpg", scale=3.7)
        >>> escsr.images.write_image("large.png", picture)
        >>> array = escsr.upscale(array, size=(2160, 3840), model="esc_real.pth")
    """
    if isinstance(image, Tensor):
        job = _Job(image.shape[-2:], scale, size, model, device, precision, progress)
        return _upscale_tensor(image, job)
    picture = to_picture(image)
    job = _Job(picture.size, scale, size, model, device, precision, progress)
    return like(image, _upscale_picture(picture, job))


def target_size(
    height: int, width: int, *, scale: float | None, size: tuple[int, int] | None
) -> tuple[int, int]:
    """The size (H_out, W_out) that a scale or a size means for a picture.

    Raises:
        ValueError: If both are given, or the result would be smaller than the picture.
        TypeError: If they are no numbers.
    """
    if scale is not None and size is not None:
        raise ValueError(f"give scale or size, not both (got scale={scale}, size={size})")
    if scale is not None:
        _check_scale(scale)
        if not 1 <= scale < float("inf"):
            raise ValueError(f"scale must be a number from 1, not {scale}")
        return round(height * scale), round(width * scale)
    if size is None:
        raise ValueError("give scale or size")
    _check_size(size)
    if size[0] < height or size[1] < width:
        raise ValueError(
            f"the size asked, {size[0]}×{size[1]} (H×W), is smaller than the picture, "
            f"{height}×{width}; upscaling needs at least the same"
        )
    return int(size[0]), int(size[1])


def _check_scale(scale: object) -> None:
    if isinstance(scale, bool) or not isinstance(scale, numbers.Real):
        raise TypeError(f"scale must be a number from 1, not {scale!r}")


def _check_size(size: object) -> None:
    pair = isinstance(size, Sequence) and not isinstance(size, str) and len(size) == 2
    if not pair or not all(isinstance(side, numbers.Integral) for side in size):  # type: ignore[attr-defined]
        raise TypeError(f"size must be two whole numbers (H, W), not {size!r}")


def choose_model(
    model: str | os.PathLike[str] | SuperResolver, scale: float | None
) -> SuperResolver:
    """Find the network that a name, a file or "default" means for a scale, on the CPU.

    A file is opened once and again only after it changed.
    """
    if isinstance(model, SuperResolver):
        return model
    name = models.default_name(scale) if str(model) == "default" else model
    path = find_weights(name)
    return _load_once(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _load_once(path: Path, _changed: int) -> SuperResolver:
    return load(path)


def _notice(text: str) -> None:
    # Shown at the line that called `upscale`: through _say and the constructor of _Job.
    warnings.warn(text, UpscaleNotice, stacklevel=5)


class _Job:
    """One request, checked: the network, where it runs, and the size to make."""

    def __init__(
        self,
        shape: tuple[int, ...],
        scale: float | None,
        size: tuple[int, int] | None,
        model: str | os.PathLike[str] | SuperResolver,
        device: str | torch.device,
        precision: str,
        progress: Callable[[float], None] | None,
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"unknown precision {precision!r}; there are: {', '.join(PRECISIONS)}")
        if 0 in shape:
            raise ValueError("the picture is empty")
        self.dtype = PRECISIONS[precision]
        self.device = pick_device(device)
        self.progress = progress
        height, width = int(shape[0]), int(shape[1])
        wanted = scale
        if scale is not None or size is not None:
            self.size = target_size(height, width, scale=scale, size=size)
            wanted = max(self.size[0] / height, self.size[1] / width) if size else scale
        self.model = choose_model(model, wanted)
        if wanted is None:
            self.size = target_size(height, width, scale=self.model.scale or 4, size=None)
        own = self.model.scale
        self.model_size = self.size if own is None else (round(own * height), round(own * width))
        self._say(height, width)
        self._check_memory(height, width)

    def _say(self, height: int, width: int) -> None:
        name = f"{self.model.config.backbone} + {self.model.config.head}"
        if not self.model.trained:
            _notice(
                f"the network ({name}) is untrained: its weights are random, so the result is "
                "not a picture; load weights with escsr.load or build(weights=…)"
            )
        vertical, horizontal = self.size[0] / height, self.size[1] / width
        if abs(vertical - horizontal) * min(height, width) > 1:  # more than rounding
            _notice(
                f"the size asked stretches the picture: {vertical:.3g} times in height, "
                f"{horizontal:.3g} times in width"
            )
        if self.model_size != self.size:
            _notice(
                f"the network ({name}) makes ×{self.model.scale} only: its result of "
                f"{self.model_size[1]}×{self.model_size[0]} pixels is resized to "
                f"{self.size[1]}×{self.size[0]}"
            )

    def _check_memory(self, height: int, width: int) -> None:
        free = free_memory(self.device)
        if free is None:
            return
        needed = estimate_memory(self.model, height, width, self.model_size)
        if self.device.type == "cpu":  # pictures as float32 and float64, before and after
            pixels = self.model_size[0] * self.model_size[1] + self.size[0] * self.size[1]
            needed += 3 * 12 * pixels
        if needed > free:
            raise MemoryError(
                f"a picture of {width}×{height} pixels would take about {needed / 2**30:.1f} GiB "
                f"with this network, and {free / 2**30:.1f} GiB are free on {self.device}. Use "
                "a smaller picture or a smaller network"
            )

    def run(self, lq: Tensor) -> Tensor:
        """(B, 3, H, W) float32 in [0, 1] to the network's (B, 3, H', W'), clipped, on the CPU."""
        network = self.model.to(self.device)
        training = network.training
        network.eval()
        try:
            with (
                _told(network, self.progress),
                torch.inference_mode(),
                torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None),
            ):
                sr: Tensor = network(lq.to(self.device), size=self.model_size).float()
        finally:
            network.train(training)
        if not torch.isfinite(sr).all():
            raise ValueError(
                "the network's result is not finite; in half precision, try precision='fp32'"
            )
        return sr.clamp(0, 1).cpu()

    def fit(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resize (3, H', W') in [0, 1] to the size asked, if it is another."""
        if planes.shape[1:] == self.size:
            return planes
        resized = imresize(planes.transpose(1, 2, 0), size=self.size)
        return np.clip(resized, 0, 1).transpose(2, 0, 1)


@contextmanager
def _told(network: SuperResolver, progress: Callable[[float], None] | None) -> Iterator[None]:
    """Report each layer that is done while the block runs."""
    if progress is None:
        yield
        return
    layers = [m for m in network.modules() if not any(True for _ in m.children())]
    done = itertools.count(1)

    def tell(*_: object) -> None:
        progress(min(next(done) / len(layers), 1.0))

    handles = [layer.register_forward_hook(tell) for layer in layers]
    try:
        yield
        progress(1.0)  # some layers are used without being called
    finally:
        for handle in handles:
            handle.remove()


def _upscale_picture(picture: Picture, job: _Job) -> Picture:
    sr = job.run(torch.from_numpy(to_float(picture.pixels))[None])[0].numpy()
    if picture.gray:
        sr = np.repeat(sr.mean(axis=0, keepdims=True), 3, axis=0)
    alpha = picture.alpha
    if alpha is not None:
        # Coverage is no photograph: enlarged smoothly, nothing invented at its edges.
        alpha = imresize(alpha, size=job.size, round_between=False)
    pixels = from_float(job.fit(sr), depth=picture.depth)
    return dataclasses.replace(picture, pixels=pixels, alpha=alpha)


def _upscale_tensor(image: Tensor, job: _Job) -> Tensor:
    if not image.is_floating_point() or image.ndim not in (3, 4) or image.shape[-3] != 3:
        raise ValueError(
            "a tensor must be floating point in [0, 1] with the shape (3, H, W) or "
            f"(B, 3, H, W), not {image.dtype} of {tuple(image.shape)}"
        )
    if not bool(((image >= 0) & (image <= 1)).all()):
        raise ValueError("a tensor must lie in [0, 1]")
    batch = image.detach().reshape(-1, *image.shape[-3:])
    singles = [job.fit(job.run(one[None].float())[0].numpy()) for one in batch]
    result = torch.stack([torch.from_numpy(np.ascontiguousarray(sr)) for sr in singles]).to(image)
    return result[0] if image.ndim == 3 else result
