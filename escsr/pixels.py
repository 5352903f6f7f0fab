"""Conversion between integer pixels and floats, by one rule in NumPy and in PyTorch.

Black is 0 and white is 255 or 65535; floats run from 0 to 1. Floats are clipped and rounded to the
nearest integer, halves upwards; NaN is refused.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[Any]

_NAN = "planes hold NaN (if a network made them: it overflowed; try float32 precision)"


def to_float(pixels: Array) -> npt.NDArray[np.float32]:
    """Turn integer pixels into float planes, the input of networks.

    Args:
        pixels: (H, W, C) or (H, W), uint8 or uint16.

    Returns:
        (C, H, W) float32 in [0, 1], contiguous; C is 1 for (H, W).

    Raises:
        TypeError: If the dtype is another.
        ValueError: If the number of dimensions is another.

    Example:
        >>> float(to_float(np.full((1, 1), 255, np.uint8))[0, 0, 0])
        1.0
    """
    if pixels.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"pixels are {pixels.dtype}; allowed: uint8, uint16")
    if pixels.ndim not in (2, 3):
        raise ValueError(f"pixels must be (H, W) or (H, W, C), got {pixels.shape}")
    planes = np.atleast_3d(pixels).transpose(2, 0, 1).astype(np.float32, order="C")
    planes /= np.iinfo(pixels.dtype).max
    return planes


def to_tensor(pixels: Array) -> Tensor:
    """Turn integer pixels into a float tensor; like `to_float`, without a copy.

    Args:
        pixels: (H, W, C) or (H, W), uint8 or uint16.

    Returns:
        (C, H, W) float32 in [0, 1], contiguous, on the CPU.

    Raises:
        TypeError: If the dtype is another.
        ValueError: If the number of dimensions is another.
    """
    return torch.from_numpy(to_float(pixels))


def from_float(planes: Array, *, depth: int = 8) -> Array:
    """Turn float planes back into integer pixels.

    Args:
        planes: (C, H, W) floats, nominally in [0, 1].
        depth: 8 or 16 bits.

    Returns:
        (H, W, C) uint8 or uint16, contiguous.

    Raises:
        ValueError: If the depth or the number of dimensions is another, or values are NaN.

    Example:
        >>> int(from_float(np.full((1, 1, 1), 0.5))[0, 0, 0])
        128
    """
    if planes.ndim != 3:
        raise ValueError(f"planes must be (C, H, W), got {planes.shape}")
    return to_levels(planes.transpose(1, 2, 0), depth=depth)


def from_tensor(planes: Tensor, *, depth: int = 8) -> Array:
    """Turn a float tensor back into integer pixels; like `from_float`, for any device and dtype.

    Args:
        planes: (C, H, W) floats, nominally in [0, 1].
        depth: 8 or 16 bits.

    Returns:
        (H, W, C) uint8 or uint16, contiguous.

    Raises:
        ValueError: If the depth or the number of dimensions is another, or values are NaN.
    """
    planes = planes.detach().cpu()
    wide = planes if planes.dtype == torch.float64 else planes.float()  # NumPy has no bfloat16
    return from_float(wide.numpy(), depth=depth)


def to_levels(values: Array, *, depth: int = 8) -> Array:
    """Round floats of any shape to integer levels.

    Args:
        values: Floats, nominally in [0, 1].
        depth: 8 or 16 bits.

    Returns:
        Contiguous uint8 or uint16 of the same shape.

    Raises:
        ValueError: If the depth is another, or values are NaN.
    """
    _check_depth(depth)
    if np.isnan(values).any():
        raise ValueError(_NAN)
    # float32 at least: half precision cannot count to 65535.
    wide = values.astype(np.result_type(values.dtype, np.float32), order="C")
    np.clip(wide, 0, 1, out=wide)
    wide *= 2**depth - 1
    wide += 0.5
    return wide.astype(np.uint8 if depth == 8 else np.uint16)


def to_levels_tensor(values: Tensor, *, depth: int = 8) -> Tensor:
    """Round a tensor of floats to integer levels; the same numbers as `to_levels`.

    Args:
        values: Floats, nominally in [0, 1], of any shape and on any device.
        depth: 8 or 16 bits.

    Returns:
        uint8 or uint16 of the same shape, without a gradient.

    Raises:
        ValueError: If the depth is another, or values are NaN.
    """
    _check_depth(depth)
    values = values.detach()
    if bool(values.isnan().any()):
        raise ValueError(_NAN)
    wide = values if values.dtype == torch.float64 else values.float()
    rounded = wide.clamp(0, 1).mul_(2**depth - 1).add_(0.5)
    return rounded.to(torch.uint8 if depth == 8 else torch.uint16)


def _check_depth(depth: int) -> None:
    if depth not in (8, 16):
        raise ValueError(f"depth must be 8 or 16, got {depth}")
