"""Checks of pictures and sizes, with messages that give the value and what is allowed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Range = tuple[float, float]
Size = tuple[int, int]


def check_size(name: str, value: Any) -> None:
    """Refuse anything but (H, W) in whole pixels."""
    if (
        not isinstance(value, tuple)
        or len(value) != 2
        or any(not isinstance(side, int) or isinstance(side, bool) or side < 1 for side in value)
    ):
        raise ValueError(f"{name} must be (H, W) in whole pixels, at least 1, got {value!r}")


def check_images(images: Any, channels: int | None = 3) -> None:
    """Refuse anything but a batch of float pictures."""
    if not isinstance(images, Tensor):
        raise TypeError(f"images must be a tensor, got {type(images).__name__}")
    if images.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"images are {images.dtype}; allowed: float32, float64")
    shape = tuple(images.shape)
    if len(shape) != 4 or 0 in shape or (channels is not None and shape[1] != channels):
        raise ValueError(f"images must be (B, {channels or 'C'}, H, W), not empty, got {shape}")


def check_one_each(name: str, values: Sequence[Any], images: Tensor) -> None:
    """Refuse a list that does not have one entry per picture."""
    if len(values) != len(images):
        raise ValueError(f"{len(images)} pictures need as many {name}, got {len(values)}")


def check_rng(rng: Any) -> None:
    """Refuse anything but a numpy generator."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng must be a numpy.random.Generator, got {type(rng).__name__}; "
            "make one: numpy.random.default_rng(seed)"
        )


def per_image(values: Sequence[float], images: Tensor) -> Tensor:
    """One number for each picture, (B, 1, 1, 1), so that it multiplies a batch."""
    return torch.tensor(values, dtype=images.dtype, device=images.device).view(-1, 1, 1, 1)
