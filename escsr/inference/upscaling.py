"""`upscale`: a picture in, a picture of the same kind out."""

import dataclasses
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from escsr.build import find_weights, load
from escsr.devices import PRECISIONS, pick_device
from escsr.images import Picture, from_float, to_float
from escsr.inference.kinds import like, to_picture
from escsr.inference.memory import estimate_memory, free_memory
from escsr.inference.sizes import SizeRequest
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
    width: int | None = None,
    height: int | None = None,
    min_side: int | None = None,
    max_side: int | None = None,
    model: str | os.PathLike[str] | SuperResolver = "default",
    device: str | torch.device = "auto",
    precision: str = "fp32",
    progress: Callable[[float], None] | None = None,
) -> Any:
    """Enlarge a picture with a network, to exactly the size asked.

    At most one of ``scale``, ``size``, ``width``, ``height``, ``min_side`` and ``max_side`` is
    given; with none, the network's own scale is made, or ×4. Sides grow up to 30 times.

    Args:
        image: One of

            - a path: the picture file is read with its profile, transparency and depth;
            - an `escsr.images.Picture`;
            - a NumPy array (H, W), (H, W, 3) or (H, W, 4), RGB, uint8, uint16, or floating
              point in [0, 1];
            - a PIL image;
            - a PyTorch tensor (3, H, W) or (B, 3, H, W), floating point in [0, 1].
        scale: Enlargement of both sides, above 0 and up to 30; sides are rounded to whole
            pixels.
        size: (H_out, W_out) in pixels; each side has its own scale, so shapes can change.
        width: Columns to make; the rows follow the picture's shape.
        height: Rows to make; the columns follow.
        min_side: What the shorter side becomes; the longer follows.
        max_side: What the longer side becomes; the shorter follows.
        model: "default" (an embedded network that suits the scale), a name of
            `escsr.list_models`, a weight file, or a network.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps" …
        precision: "fp32", "bf16" or "fp16" for the network's arithmetic.
        progress: Called with the share of the network's layers that are done, from 0 to 1.

    Returns:
        The same kind as ``image`` (a `Picture` for a path), clipped to its range. A network for
        any scale makes the size asked itself. A network of one fixed scale is run at its own
        scale and its result resized with an antialiasing filter (`escsr.resize.imresize`). A
        size below the picture's needs no network and is made by that filter alone. The latter
        two, stretching and an untrained network are told by an `UpscaleNotice`.

    Raises:
        ValueError: If size, scale, device or precision are impossible, or more than one size
            is asked.
        TypeError: If ``image`` is of no known kind.
        MemoryError: If the estimated memory exceeds what is free; with both figures.

    Example:
        >>> picture = escsr.upscale("photo.jpg", scale=3.7)
        >>> escsr.images.write_image("large.png", picture)
        >>> array = escsr.upscale(array, size=(2160, 3840), model="esc_real.pth")
        >>> image = escsr.upscale(pil_image, max_side=3840)
    """
    request = SizeRequest(
        scale=scale, size=size, width=width, height=height, min_side=min_side, max_side=max_side
    )
    if isinstance(image, Tensor):
        job = _Job(image.shape[-2:], request, model, device, precision, progress)
        return _upscale_tensor(image, job)
    picture = to_picture(image)
    job = _Job(picture.size, request, model, device, precision, progress)
    return like(image, _upscale_picture(picture, job))


def choose_model(model: str | os.PathLike[str] | SuperResolver) -> SuperResolver:
    """Find the network that a name, an alias such as "default" or a file means, on the CPU.

    A file is opened once and again only after it changed.
    """
    if isinstance(model, SuperResolver):
        return model
    path = find_weights(model)
    return _load_once(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _load_once(path: Path, _changed: int) -> SuperResolver:
    return load(path)


def _notice(text: str) -> None:
    # Shown at the line that called `upscale`: through _say and the constructor of _Job.
    warnings.warn(text, UpscaleNotice, stacklevel=5)


def _size_of_network(
    scale: float | None, height: int, width: int, size: tuple[int, int]
) -> tuple[int, int] | None:
    """What the network makes on the way to ``size``; None where nothing is to be enlarged."""
    smaller = size[0] <= height and size[1] <= width and size != (height, width)
    if smaller:
        return None
    if scale is None:
        return max(size[0], height), max(size[1], width)
    return round(scale * height), round(scale * width)


class _Job:
    """One request, checked: the network, where it runs, and the size to make.

    Attributes:
        size: (H_out, W_out) that is asked.
        model_size: (H, W) that the network makes for it, or None if it is not needed.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        request: SizeRequest,
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
        self.model = choose_model(model)
        if request.is_open:
            request = SizeRequest(scale=self.model.scale or 4)
        self.size = request.of(height, width)
        self.model_size = _size_of_network(self.model.scale, height, width, self.size)
        self._say(height, width)
        self._check_memory(height, width)

    def _say(self, height: int, width: int) -> None:
        name = f"{self.model.config.backbone} + {self.model.config.head}"
        if not self.model.trained and self.model_size is not None:
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
        asked = f"{self.size[1]}×{self.size[0]}"
        if self.model_size is None:
            _notice(
                f"the size asked, {asked} pixels, is smaller than the picture, {width}×{height}: "
                "it is made by an antialiasing filter, without the network"
            )
        elif self.model_size != self.size:
            own = self.model.scale
            why = f"makes ×{own} only" if own is not None else "enlarges, and one side is to shrink"
            _notice(
                f"the network ({name}) {why}: its result of "
                f"{self.model_size[1]}×{self.model_size[0]} pixels is resized to {asked}"
            )

    def _check_memory(self, height: int, width: int) -> None:
        free = free_memory(self.device)
        if free is None:
            return
        if self.model_size is None:
            return  # a filter takes little more than the pictures themselves
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
        if self.model_size is None:
            return lq
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
    done: set[nn.Module] = set()  # a head that works in blocks calls its layers many times

    def tell(layer: nn.Module, *_: object) -> None:
        done.add(layer)
        progress(len(done) / len(layers))

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
