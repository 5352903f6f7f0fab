"""Resizing as PyTorch defines it, with the same bits for any number of threads.

Real-ESRGAN shrinks with ``torch.nn.functional.interpolate`` and no antialiasing: aliasing is one of
the defects a network should undo. These are the same filters. PyTorch's own bilinear filter uses
different code for one thread and for two, with differences of 1e-5; here each sum is taken in a
fixed order. For the small pictures of benchmarks there is `escsr.resize.imresize`, which is
MATLAB's.
"""

import math
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from escsr.degradations._checks import Size, check_images, check_size
from escsr.degradations.bounds import Choice

ResizeMode = Literal["area", "bilinear", "bicubic"]
RESIZE_MODES: tuple[ResizeMode, ...] = get_args(ResizeMode)
"""Filters that `resize` knows."""

_Taps = tuple[Tensor, Tensor]
_SUPPORT = {"bilinear": 1.0, "bicubic": 2.0}


def resize(
    images: Tensor, size: Size, *, mode: ResizeMode = "bilinear", antialias: bool = False
) -> Tensor:
    """Resize a batch to any size, smaller or larger, each axis by its own factor.

    Pixel centres lie at (i + 0.5) · length / out - 0.5 (``align_corners=False``).

    Args:
        images: (B, C, H, W) float.
        size: (H, W) of the result in pixels, each at least 1.
        mode: "area" is the mean over the pixels that an output pixel touches, "bilinear", or
            "bicubic" (Keys' cubic with a = -0.75, or -0.5 with antialias, as in PyTorch).
        antialias: Widen the filter when shrinking. "area" has nothing to widen.

    Returns:
        (B, C, *size); "bicubic" may overshoot. The input itself if it has that size.

    Raises:
        TypeError: Pictures that are no floats.
        ValueError: Another shape, a size below 1, an unknown mode, or "area" with antialias.

    Example:
        >>> resize(torch.rand(1, 3, 20, 30), (7, 45), mode="area").shape
        torch.Size([1, 3, 7, 45])
    """
    check_images(images, channels=None)
    check_size("size", size)
    Choice(RESIZE_MODES).check("mode", mode)
    if antialias and mode == "area":
        raise ValueError('mode "area" is a mean already; leave antialias out')
    result = images
    # The axis that shrinks most goes first, which leaves less for the other.
    for axis in sorted((-2, -1), key=lambda axis: size[axis] / images.shape[axis]):
        if size[axis] != images.shape[axis]:
            taps = _taps(images.shape[axis], size[axis], mode, antialias)
            rows = result if axis == -2 else result.transpose(-1, -2).contiguous()
            rows = _weighted_rows(rows, taps)
            result = rows if axis == -2 else rows.transpose(-1, -2)
    return result.contiguous()


def _weighted_rows(images: Tensor, taps: _Taps) -> Tensor:
    """Sum over taps of weight × row: (..., H, W) to (..., out, W), tap after tap."""
    indices, weights = (table.to(images.device) for table in taps)
    weights = weights.to(images.dtype)[..., None]
    total = images.index_select(-2, indices[0]) * weights[0]
    for tap in range(1, len(indices)):
        total = total + images.index_select(-2, indices[tap]) * weights[tap]
    return total


@lru_cache(maxsize=1024)
def _taps(length: int, out: int, mode: str, antialias: bool) -> _Taps:
    """Positions read by each output sample, and their weights: both (taps, out)."""
    if mode == "area":
        indices, weights = _area(length, out)
    elif antialias:
        indices, weights = _antialiased(length, out, mode)
    else:
        indices, weights = _interpolated(length, out, mode)
    used = np.any(weights != 0, axis=0)
    indices = np.clip(indices, 0, length - 1)[:, used]
    return (
        torch.from_numpy(np.ascontiguousarray(indices.T.astype(np.int64))),
        torch.from_numpy(np.ascontiguousarray(weights.T[used])),
    )


Table = npt.NDArray[np.float64]


def _area(length: int, out: int) -> tuple[Table, Table]:
    """All input pixels that an output pixel touches, with equal weights."""
    whole = np.arange(out)
    first = whole * length // out
    last = -((-(whole + 1) * length) // out)  # rounded up, exclusive
    indices = first[:, None] + np.arange(int((last - first).max()))
    weights = (indices < last[:, None]) / (last - first)[:, None]
    return indices.astype(np.float64), weights


def _interpolated(length: int, out: int, mode: str) -> tuple[Table, Table]:
    """Two or four neighbours, whatever the factor."""
    position = (np.arange(out) + 0.5) * (length / out) - 0.5
    if mode == "bilinear":
        position = np.maximum(position, 0)
    support = int(_SUPPORT[mode])
    base = np.floor(position)
    indices = base[:, None] + np.arange(1 - support, support + 1)
    distance = np.abs(position[:, None] - indices)
    return indices, _triangle(distance) if mode == "bilinear" else _cubic(distance, -0.75)


def _antialiased(length: int, out: int, mode: str) -> tuple[Table, Table]:
    """The filter widened by the factor, cut off at the border and normalized."""
    factor = length / out
    stretch = max(factor, 1.0)
    reach = _SUPPORT[mode] * stretch
    centre = factor * (np.arange(out) + 0.5)
    first = np.maximum(np.floor(centre - reach + 0.5), 0)
    last = np.minimum(np.floor(centre + reach + 0.5), length)
    indices = first[:, None] + np.arange(math.ceil(2 * reach) + 2)
    distance = np.abs(indices - centre[:, None] + 0.5) / stretch
    weights = _triangle(distance) if mode == "bilinear" else _cubic(distance, -0.5)
    weights = weights * (indices < last[:, None])
    return indices, weights / weights.sum(axis=1, keepdims=True)


def _triangle(x: Table) -> Table:
    return np.maximum(0, 1 - x)


def _cubic(x: Table, a: float) -> Table:
    """Keys' cubic, zero from 2 on."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
