"""Strips: a few rows of a feature map, processed while they are in the cache of a CPU."""

from collections.abc import Callable

import torch
from torch import Tensor

from escsr.layers.derived import being_recorded
from escsr.layers.planning import planned_steps

# Bytes of the widest map of a strip: half the second-level cache of common processors.
_STRIP = 1 << 20


def strip_height(x: Tensor, channels: int) -> int:
    """Rows of a feature map to process at once: all of them except in inference on a CPU.

    Args:
        x: (B, C, H, W).
        channels: Channels of the widest intermediate map.

    Returns:
        The number of rows, at least 1.
    """
    height: int = x.shape[2]
    if x.device.type != "cpu" or torch.is_grad_enabled() or being_recorded():
        return height
    row_bytes = channels * x.shape[3] * x.element_size()
    return min(max(_STRIP // row_bytes, 1), height)


def in_strips(function: Callable[[Tensor], Tensor], x: Tensor, strip: int) -> Tensor:
    """Apply a row-wise function that keeps size and channels, strip by strip.

    Args:
        function: From (1, C, rows, W) to the same shape.
        x: (B, C, H, W).
        strip: Rows at once; with H or more the function gets all of ``x``.

    Returns:
        (B, C, H, W), equal to ``function(x)``.
    """
    if strip >= x.shape[2]:
        return function(x)
    out: Tensor | None = None
    steps = [(i, top) for i in range(len(x)) for top in range(0, x.shape[2], strip)]
    for i, top in planned_steps(steps):
        made = function(x[i : i + 1, :, top : top + strip])
        out = torch.empty_like(x, dtype=made.dtype) if out is None else out
        out[i : i + 1, :, top : top + strip] = made
    assert out is not None
    return out
