"""Checks of numbers, with messages that say what came and what is allowed."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Range = tuple[float, float]
Size = tuple[int, int]


def check_number(name: str, value: Any, least: float, most: float, unit: str = "") -> None:
    """Refuse what is no finite number in [least, most]."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and least <= value <= most):
        unit = f" {unit}" if unit else ""
        top = f"{least:g} to {most:g}" if math.isfinite(most) else f"at least {least:g}"
        raise ValueError(f"{name} must be a number, {top}{unit}, got {value!r}")


def check_integer(name: str, value: Any, least: int, most: float, unit: str = "") -> None:
    """Refuse what is no integer in [least, most]."""
    check_number(name, value, least, most, unit)
    if not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number, got {value!r}")


def check_range(name: str, value: Any, least: float, most: float, unit: str = "") -> None:
    """Refuse what is no pair (low, high) with least <= low <= high <= most."""
    if not isinstance(value, Sequence) or len(value) != 2:
        raise ValueError(f"{name} must be a pair (low, high), got {value!r}")
    for end in value:
        check_number(name, end, least, most, unit)
    if value[0] > value[1]:
        raise ValueError(f"{name} must be (low, high) with low <= high, got {value!r}")


def check_whole_range(name: str, value: Any, least: int, most: int) -> None:
    """Refuse what is no pair of integers (low, high) with least <= low <= high <= most."""
    check_range(name, value, least, most)
    for end in value:
        check_integer(name, end, least, most)


def check_motion(value: Any) -> None:
    """Refuse what is no movement (down, right) that `encode_decode_video` makes."""
    if not isinstance(value, Sequence) or len(value) != 2:
        raise ValueError(f"motion must be a pair (down, right), got {value!r}")
    for part in value:
        check_integer("motion", part, -32, 32, "pixels")


def check_probability(name: str, value: Any) -> None:
    """Refuse what is no number in [0, 1]."""
    check_number(name, value, 0.0, 1.0)


def check_option(name: str, value: Any, options: Sequence[Any]) -> None:
    """Refuse what is none of the options."""
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(str, options))}, got {value!r}")


def check_size(name: str, value: Any) -> None:
    """Refuse what is no (H, W) in whole pixels."""
    if (
        not isinstance(value, tuple)
        or len(value) != 2
        or any(not isinstance(side, int) or isinstance(side, bool) or side < 1 for side in value)
    ):
        raise ValueError(f"{name} must be (H, W) in whole pixels, at least 1, got {value!r}")


def check_seed(value: Any) -> None:
    """Refuse what cannot seed a generator."""
    check_integer("seed", value, 0, 2**53)


def check_images(images: Any, channels: int | None = 3) -> None:
    """Refuse what is no batch of float pictures."""
    if not isinstance(images, Tensor):
        raise TypeError(f"images must be a tensor, got {type(images).__name__}")
    if images.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"images are {images.dtype}; allowed: float32, float64")
    shape = tuple(images.shape)
    if len(shape) != 4 or 0 in shape or (channels is not None and shape[1] != channels):
        raise ValueError(f"images must be (B, {channels or 'C'}, H, W), not empty, got {shape}")


def check_one_each(name: str, values: Sequence[Any], images: Tensor) -> None:
    """Refuse a list that has not one entry for each picture."""
    if len(values) != len(images):
        raise ValueError(f"{len(images)} pictures need as many {name}, got {len(values)}")


def check_rng(rng: Any) -> None:
    """Refuse what is no numpy generator."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng must be a numpy.random.Generator, got {type(rng).__name__}; "
            "make one: numpy.random.default_rng(seed)"
        )


def per_image(values: Sequence[float], images: Tensor) -> Tensor:
    """One number for each picture, (B, 1, 1, 1), so that it multiplies a batch."""
    return torch.tensor(values, dtype=images.dtype, device=images.device).view(-1, 1, 1, 1)
