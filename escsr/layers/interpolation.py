"""Plain interpolation of any rows of an enlarged picture.

Positions are quotients of whole numbers and are not rounded before they are split into a pixel
and a fraction, so a row does not depend on which other rows are computed with it.
"""

from typing import Literal

import torch
from torch import Tensor

from escsr.layers.bands import RowSource
from escsr.layers.inplace import add
from escsr.layers.tables import keeps_tables, kept

InterpolationMode = Literal["nearest", "bilinear", "bicubic"]
# Number of pixels used before and after the one at or below a position.
_AROUND = {"nearest": (0, 0), "bilinear": (0, 1), "bicubic": (1, 2)}
# The sharpness of bicubic interpolation in PyTorch and OpenCV.
_A = -0.75


def interpolate_rows(
    picture: RowSource, size: tuple[int, int], rows: tuple[int, int], *, mode: InterpolationMode
) -> Tensor:
    """Some rows of an interpolated picture; constant beyond the outermost centres.

    Equals ``F.interpolate(picture, size, mode=mode, align_corners=False)`` without its rounding
    of positions.

    Args:
        picture: (B, C, h, w).
        size: (H_out, W_out) of the whole result.
        rows: The first row to compute, and the one after the last.
        mode: "nearest", "bilinear" or "bicubic" (a = -0.75, no antialiasing).

    Returns:
        (B, C, rows, W_out), a new tensor.

    Source:
        Cubic convolution: Keys, IEEE TASSP 29 (1981).
    """
    height, width = picture.shape[2:]
    top, bottom = interpolation_rows(rows, size[0], height, mode=mode)
    given = picture.read(top, bottom)
    # Columns first, because there are fewer rows before the enlargement.
    wide = _along(given, 3, _taps((0, size[1]), size[1], width, mode, like=given))
    taps = _taps(rows, size[0], height, mode, like=given)
    return _along(wide, 2, [(pixels - top, weights) for pixels, weights in taps])


def add_interpolated(
    sr: Tensor,
    picture: RowSource,
    size: tuple[int, int],
    rows: tuple[int, int],
    *,
    mode: InterpolationMode,
) -> Tensor:
    """Add some rows of an interpolated picture, in inference writing into ``sr``.

    Args:
        sr: (B, C, rows, W_out), a tensor that nobody else holds.
        picture: See `interpolate_rows`; also ``size``, ``rows`` and ``mode``.
        size: (H_out, W_out) of the whole result.
        rows: The first row to make, and the one after the last.
        mode: "nearest", "bilinear" or "bicubic".

    Returns:
        The sum.
    """
    height, width = picture.shape[2:]
    factor = size[0] // height
    whole = size == (height * factor, width * factor) and not any(row % factor for row in rows)
    if mode != "nearest" or not whole or torch.is_grad_enabled() or sr.dtype != picture.dtype:
        return add(sr, interpolate_rows(picture, size, rows, mode=mode))
    given = picture.read(*(row // factor for row in rows)).permute(0, 2, 3, 1)
    wide = given.repeat_interleave(factor, dim=2).permute(0, 3, 1, 2)
    # Each row is added to all rows of the result that it maps to, without copies.
    blocks = sr.view(*sr.shape[:2], -1, factor, size[1])
    blocks.add_(wide[:, :, :, None])
    return sr


def interpolation_rows(
    rows: tuple[int, int], length_out: int, length_in: int, *, mode: InterpolationMode
) -> tuple[int, int]:
    """The rows of a picture that some rows of its enlargement depend on.

    Args:
        rows: The first row to make, and the one after the last.
        length_out: Rows of the whole enlargement.
        length_in: Rows of the picture.
        mode: See `interpolate_rows`.

    Returns:
        The first row needed, and the one after the last.

    Example:
        >>> interpolation_rows((8, 12), 40, 10, mode="bilinear")
        (1, 4)
    """
    if rows[0] == 0 and rows[1] == length_out:
        return 0, length_in
    before, behind = _AROUND[mode]
    first, last = (_floor(row, length_out, length_in, mode) for row in (rows[0], rows[1] - 1))
    top, bottom = (min(max(row, 0), length_in - 1) for row in (first - before, last + behind))
    return top, bottom + 1


def _floor(place: int, length_out: int, length_in: int, mode: InterpolationMode) -> int:
    """The pixel at or below the position of a place."""
    if mode == "nearest":
        return place * length_in // length_out
    return ((2 * place + 1) * length_in - length_out) // (2 * length_out)


def _taps(
    places: tuple[int, int], length_out: int, length_in: int, mode: InterpolationMode, like: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """The pixels that some places along an axis depend on, and their weights."""
    if not keeps_tables(length_out):
        return _make_taps(places, length_out, length_in, mode, like.dtype, like.device)
    whole = (0, length_out)
    taps = _kept_taps(whole, length_out, length_in, mode, like.dtype, like.device)
    if places == whole:
        return taps
    own = slice(*places)
    return [(pixels[own], weights[own]) for pixels, weights in taps]


def _make_taps(
    places: tuple[int, int],
    length_out: int,
    length_in: int,
    mode: InterpolationMode,
    dtype: torch.dtype,
    device: torch.device,
) -> list[tuple[Tensor, Tensor]]:
    # On the CPU, because not every device supports float64.
    numbers = torch.arange(*places)
    if mode == "nearest":
        pixels = torch.div(numbers * length_in, length_out, rounding_mode="floor")
        return [(pixels.to(device), torch.ones(len(pixels), dtype=dtype, device=device))]
    numerator = (2 * numbers + 1) * length_in - length_out
    lower = torch.div(numerator, 2 * length_out, rounding_mode="floor")
    fraction = (numerator - lower * (2 * length_out)).double() / (2 * length_out)
    before, behind = _AROUND[mode]
    weights = [1 - fraction, fraction] if mode == "bilinear" else _cubic(fraction)
    return [
        (
            (lower + shift).clamp(0, length_in - 1).to(device),
            weight.to(dtype).to(device),
        )
        for shift, weight in zip(range(-before, behind + 1), weights, strict=True)
    ]


_kept_taps = kept(_make_taps)


def _cubic(fraction: Tensor) -> list[Tensor]:
    """Weights of the pixels -1, 0, 1 and 2 at a fraction between 0 and 1."""
    return [_far(1 + fraction), _near(fraction), _near(1 - fraction), _far(2 - fraction)]


def _near(x: Tensor) -> Tensor:
    return ((_A + 2) * x - (_A + 3)) * x * x + 1


def _far(x: Tensor) -> Tensor:
    return ((_A * x - 5 * _A) * x + 8 * _A) * x - 4 * _A


def _along(picture: Tensor, axis: int, taps: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Blend pixels along the rows (axis 2) or columns (axis 3)."""
    found = [picture.index_select(axis, pixels) for pixels, _ in taps]
    if len(found) == 1:
        return found[0]
    weights = [weight[:, None] if axis == 2 else weight for _, weight in taps]
    if len(found) == 2:
        return torch.lerp(found[0], found[1], weights[1])
    blend = found[0] * weights[0]
    for part, weight in zip(found[1:], weights[1:], strict=True):
        blend = torch.addcmul(blend, part, weight)
    return blend
