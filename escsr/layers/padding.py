"""Reflection padding for pictures of any size."""

import torch
import torch.nn.functional as F
from torch import Tensor


def reflected_indices(
    length: int, before: int, after: int, device: torch.device | None = None
) -> Tensor:
    """Positions that a reflection pad reads, for a side of any length.

    Reflection continues with period ``2 (length - 1)``, so the pad may be wider than the
    picture; a side of one pixel is repeated.

    Args:
        length: Length of the side, in pixels, at least 1.
        before: Pixels added before it.
        after: Pixels added after it.
        device: Device of the result.

    Returns:
        (before + length + after,) int64 positions in [0, length - 1].

    Example:
        >>> reflected_indices(3, 1, 4).tolist()
        [1, 0, 1, 2, 1, 0, 1, 2]
    """
    positions = torch.arange(-before, length + after, device=device)
    if length == 1:
        return torch.zeros_like(positions)
    period = 2 * (length - 1)
    positions = positions % period
    return torch.where(positions < length, positions, period - positions)


def reflect_pad(
    x: Tensor, *, left: int = 0, right: int = 0, top: int = 0, bottom: int = 0
) -> Tensor:
    """Pad the last two dimensions by reflection, for any size.

    PyTorch's own reflection refuses pads as wide as the picture. This function gives the same
    result for smaller pads and continues reflecting for larger ones.

    Args:
        x: (B, C, H, W), H and W at least 1.
        left: Columns added on the left; likewise ``right``, ``top`` and ``bottom``.
        right: See ``left``.
        top: See ``left``.
        bottom: See ``left``.

    Returns:
        (B, C, top + H + bottom, left + W + right); ``x`` itself if there is nothing to add.
    """
    height, width = x.shape[-2:]
    if not (left or right or top or bottom):
        return x
    if max(left, right) < width and max(top, bottom) < height:
        return F.pad(x, (left, right, top, bottom), mode="reflect")
    rows = reflected_indices(height, top, bottom, x.device)
    columns = reflected_indices(width, left, right, x.device)
    return x.index_select(-2, rows).index_select(-1, columns)
