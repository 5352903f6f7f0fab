"""Colour tags of videos, and conversion between Y'CbCr and RGB.

Source: ITU-T H.273, which defines the tag numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

UNSPECIFIED = 2
_RGB, _YCGCO = 0, 8
_LIMITED, _FULL = 1, 2

# Matrix: (Kr, Kb). 10 has constant luminance, which our encoders do not write; it is read as 9.
_LUMA = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
_HD, _SD = 1, 6


@dataclass(frozen=True, kw_only=True)
class ColourTags:
    """The colour tags of a video, by the numbers of H.273.

    Attributes:
        matrix: Matrix of Y'CbCr.
        range: 1 limited (16 to 235), 2 full, 0 unspecified.
        primaries: Primaries of RGB.
        transfer: Transfer curve.
    """

    matrix: int = UNSPECIFIED
    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @property
    def is_full(self) -> bool:
        """Whether black is 0 and white has all bits set; unspecified means limited."""
        return self.range == _FULL

    def matrix_for(self, size: tuple[int, int]) -> int:
        """The matrix that players use: the tag, or their guess from the picture's size."""
        if self.matrix in _LUMA or self.matrix == _YCGCO:
            return self.matrix
        return _HD if size[0] > 576 or size[1] > 1024 else _SD

    def as_luma(self) -> "ColourTags":
        """The tags for RGB that is written as Y'CbCr."""
        return replace(self, matrix=_HD, range=_LIMITED)

    def enlarged(self, size: tuple[int, int], new_size: tuple[int, int]) -> "ColourTags":
        """The tags of the enlarged video: the players' guess must not change with the size."""
        if self.matrix_for(size) == self.matrix_for(new_size):
            return self
        guess = self.matrix_for(size)
        tags = replace(self, matrix=guess)
        if self.primaries == UNSPECIFIED and self.transfer == UNSPECIFIED:
            tags = replace(tags, primaries=guess, transfer=guess)
        return tags


def to_rgb(
    planes: Sequence[Tensor], *, bits: int, matrix: int, full: bool, centred: bool = False
) -> Tensor:
    """Turn the planes of a frame into RGB.

    Args:
        planes: Integers of ``bits`` bits: Y' (H, W), and Cb and Cr of the same or half the size;
            or Y' alone; or R, G and B if ``matrix`` is 0.
        bits: 8 to 16.
        matrix: Number of the matrix.
        full: Whether values use the full range.
        centred: Whether chroma lies between the pixels of a row, as in JPEG, and not on them.

    Returns:
        (3, H, W) float32, clipped to [0, 1].
    """
    floats = [plane.float() for plane in planes]
    if matrix == _RGB and len(floats) == 3:
        return torch.stack([_luma(plane, bits, full) for plane in floats]).clamp_(0, 1)
    y = _luma(floats[0], bits, full)
    if len(floats) == 1:
        return y.clamp_(0, 1).expand(3, -1, -1).contiguous()
    cb, cr = (_enlarge(_chroma(p, bits, full), y.shape, centred=centred) for p in floats[1:])
    if matrix == _YCGCO:
        base = y - cb
        return torch.stack([base + cr, y + cb, base - cr]).clamp_(0, 1)
    kr, kb = _LUMA[matrix]
    kg = 1 - kr - kb
    r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    g = (y - kr * r - kb * b) / kg
    return torch.stack([r, g, b]).clamp_(0, 1)


def from_rgb(
    rgb: Tensor, *, bits: int, matrix: int, full: bool, shape: tuple[int, int] | None
) -> list[Tensor]:
    """Turn RGB into the planes of a frame; the inverse of `to_rgb`.

    Args:
        rgb: (3, H, W) floats in [0, 1].
        bits: 8 to 16.
        matrix: Number of the matrix.
        full: Whether values use the full range.
        shape: (H, W) of the chroma planes; None makes Y' alone.

    Returns:
        int32 planes.
    """
    r, g, b = rgb
    top = (1 << bits) - 1
    if matrix == _RGB and shape is not None:
        return [_rounded(_from_luma(plane, bits, full), top) for plane in (r, g, b)]
    if matrix == _YCGCO:
        y, cb, cr = (r + 2 * g + b) / 4, (2 * g - r - b) / 4, (r - b) / 2
    else:
        kr, kb = _LUMA.get(matrix, _LUMA[_HD])
        y = kr * r + (1 - kr - kb) * g + kb * b
        cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    planes = [_rounded(_from_luma(y, bits, full), top)]
    if shape is not None:
        planes += [_rounded(_from_chroma(_reduce(c, shape), bits, full), top) for c in (cb, cr)]
    return planes


def _luma(plane: Tensor, bits: int, full: bool) -> Tensor:
    if full:
        return plane / ((1 << bits) - 1)
    unit = 1 << (bits - 8)
    return (plane - 16 * unit) / (219 * unit)


def _chroma(plane: Tensor, bits: int, full: bool) -> Tensor:
    middle = 1 << (bits - 1)
    return (plane - middle) / (((1 << bits) - 1) if full else 224 << (bits - 8))


def _from_luma(plane: Tensor, bits: int, full: bool) -> Tensor:
    if full:
        return plane * ((1 << bits) - 1)
    unit = 1 << (bits - 8)
    return plane * (219 * unit) + 16 * unit


def _from_chroma(plane: Tensor, bits: int, full: bool) -> Tensor:
    span = ((1 << bits) - 1) if full else 224 << (bits - 8)
    return plane * span + (1 << (bits - 1))


def _rounded(plane: Tensor, top: int) -> Tensor:
    return plane.add(0.5).floor().clamp_(0, top).to(torch.int32)


def _enlarge(plane: Tensor, shape: torch.Size, *, centred: bool) -> Tensor:
    """Chroma at every pixel, interpolated linearly.

    Rows of chroma lie between two rows of pixels. Columns lie on every second pixel (MPEG-2 and
    later), or between two as well (JPEG, MPEG-1).
    """
    for dim, is_centred in ((0, True), (1, centred)):
        old, new = plane.shape[dim], shape[dim]
        if old == new:
            continue
        place = torch.arange(new, dtype=torch.float32) / 2 - (0.25 if is_centred else 0)
        place = place.clamp(0, old - 1)
        below = place.floor().long()
        above = (below + 1).clamp(max=old - 1)
        share = (place - below).unsqueeze(1 - dim)
        low, high = plane.index_select(dim, below), plane.index_select(dim, above)
        plane = torch.lerp(low, high, share.expand_as(low))
    return plane


def _reduce(plane: Tensor, shape: tuple[int, int]) -> Tensor:
    """Chroma of 4:2:2 and 4:2:0: columns by [1 2 1] / 4 on every second pixel, rows in pairs."""
    height, width = plane.shape
    if shape[1] != width:
        columns = torch.arange(shape[1]) * 2
        left, right = (columns - 1).clamp(min=0), (columns + 1).clamp(max=width - 1)
        parts = [plane[:, index] for index in (left, columns, right)]
        plane = (parts[0] + 2 * parts[1] + parts[2]) / 4
    if shape[0] != height:
        rows = torch.arange(shape[0]) * 2
        plane = (plane[rows] + plane[(rows + 1).clamp(max=height - 1)]) / 2
    return plane
