"""Positions of the pixels of an enlarged picture among those of the small one.

Coordinates are pixel centres in [-1, 1], order (y, x), as expected by the heads for any scale.
On a regular grid no rounding is needed: positions are quotients of whole numbers, so neighbours
and their weights are found exactly, one axis at a time.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# A position this close below the border of two pixels (in pixels of the features) belongs to the
# next one, so that rounded coordinates choose the same pixel as the exact ones of a regular grid.
_TIE = 2.0**-14


def make_coords(
    size: tuple[int, int],
    *,
    published: bool = False,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """Coordinates of all pixels of a picture, row by row.

    Args:
        size: (H, W) of the picture.
        published: Round as the published code of LIIF and LTE does: -1 + r + 2 r i with
            r = 1/n, in float32. By default each coordinate is rounded once, from float64.
        dtype: Dtype of the result.
        device: Device of the result.

    Returns:
        (H·W, 2), order (y, x), in [-1, 1].

    Example:
        >>> make_coords((2, 1)).tolist()
        [[-0.5, 0.0], [0.5, 0.0]]
    """
    axes = []
    for length in size:
        if published:
            radius = 1 / length
            axis = -1 + radius + 2 * radius * torch.arange(length, dtype=torch.float32)
        else:
            axis = (2 * torch.arange(length, dtype=torch.float64) + 1 - length) / length
        axes.append(axis)
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    return grid.reshape(-1, 2).to(dtype=dtype, device=device)


def make_cells(
    size: tuple[int, int],
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """The height and width of one pixel of a picture, in the units of coordinates.

    Args:
        size: (H, W) of the picture.
        dtype: Dtype of the result.
        device: Device of the result.

    Returns:
        (1, 1, 2): 2 / H and 2 / W, for any number of queries.
    """
    # Filled on the device: a copy from the host would stall a GPU's queue.
    sides = [torch.full((1, 1), 2 / length, dtype=dtype, device=device) for length in size]
    return torch.stack(sides, dim=-1)


@dataclass(frozen=True)
class Tap:
    """One neighbour for each of many positions along an axis.

    Attributes:
        pixels: Indices into the small side.
        offsets: 2 · (position - centre of the pixel), in pixels; the pixel's own area is
            [-1, 1].
        weights: Weight of this neighbour in the answer.
    """

    pixels: Tensor
    offsets: Tensor
    weights: Tensor


@dataclass(frozen=True)
class GridTaps:
    """Places of a regular grid along one axis that have the same number of neighbours.

    They are NumPy arrays, because the tables depend on numbers alone, even when tensors have no
    data (memory planning) or are traced.

    Attributes:
        places: (k,) indices of the places, increasing.
        pixels: (n, k) the n = 1 or 2 neighbours of each; see `Tap`.
        offsets: (n, k) float64; see `Tap`.
        weights: (n, k) float64; see `Tap`. They add up to one.
    """

    places: NDArray[np.int64]
    pixels: NDArray[np.int64]
    offsets: NDArray[np.float64]
    weights: NDArray[np.float64]

    def between(self, start: int, stop: int) -> "GridTaps":
        """The part with places from ``start`` up to but not including ``stop``."""
        first, last = np.searchsorted(self.places, (start, stop))
        cut = slice(first, last)
        return GridTaps(
            self.places[cut], self.pixels[:, cut], self.offsets[:, cut], self.weights[:, cut]
        )


def grid_taps(length_out: int, length_in: int, *, ensemble: bool = True) -> list[GridTaps]:
    """Exact neighbours of all places of a regular grid along one axis.

    Neighbours with zero weight are left out: a place on the centre of a pixel (every s-th at odd
    scales) needs only that pixel, and so does a place beyond the outermost centres.

    Args:
        length_out: Places: pixels of the enlarged side.
        length_in: Pixels of the small side.
        ensemble: Whether to use both neighbours of a place, or only the nearest.

    Returns:
        One or two groups that together contain all places.

    Example:
        >>> pairs = grid_taps(4, 2)[-1]
        >>> pairs.places.tolist(), pairs.pixels.tolist(), pairs.weights.tolist()
        ([1, 2], [[0, 0], [1, 1]], [[0.75, 0.25], [0.25, 0.75]])
    """
    lower, rest, whole = _grid_positions(length_out, length_in)
    position = lower + rest / whole
    if not ensemble:
        nearest = (lower + (2 * rest >= whole)).clip(0, length_in - 1)
        return [_grid_group(position, lower >= -1, [(nearest, np.ones(length_out))])]
    outside = (lower < 0) | (lower >= length_in - 1)
    alone = (rest == 0) | outside
    fraction = rest / whole
    pair = [(lower, 1 - fraction), (lower + 1, fraction)]
    groups = [
        _grid_group(position, alone, [(lower.clip(0, length_in - 1), np.ones(length_out))]),
        _grid_group(position, ~alone, pair),
    ]
    return [group for group in groups if len(group.places)]


def _grid_positions(length_out: int, length_in: int) -> tuple[Any, Any, int]:
    """Positions as whole pixels and a remainder, in ``whole``ths of a pixel."""
    whole = 2 * length_out
    numerator = (2 * np.arange(length_out, dtype=np.int64) + 1) * length_in - length_out
    lower = numerator // whole
    return lower, numerator - lower * whole, whole


def _grid_group(position: Any, chosen: Any, taps: Sequence[tuple[Any, Any]]) -> GridTaps:
    (places,) = np.nonzero(chosen)
    return GridTaps(
        places,
        np.stack([pixels[places] for pixels, _ in taps]),
        np.stack([2 * (position - pixels)[places] for pixels, _ in taps]),
        np.stack([weights[places] for _, weights in taps]),
    )


@dataclass(frozen=True)
class GridPhases:
    """The offset of each place of a regular grid along one axis within its nearest pixel.

    Attributes:
        pixels: (n,) nearest pixel of each place.
        indices: (n,) index of its offset in ``offsets``.
        offsets: The distinct offsets, increasing, float64; see `Tap`.
        period: Number of pixels after which the pattern, one place per offset, repeats.
        sides: Places and pixels of the whole axis.
        first: The first place of this part.
    """

    pixels: NDArray[np.int64]
    indices: NDArray[np.int64]
    offsets: NDArray[np.float64]
    period: int
    sides: tuple[int, int]
    first: int = 0

    @property
    def own(self) -> slice:
        """The places of this part, out of those of the whole axis."""
        return slice(self.first, self.first + len(self.pixels))

    @property
    def repetitions(self) -> int:
        """Number of periods of the grid."""
        return len(self.pixels) // len(self.offsets)

    @property
    def repeats(self) -> bool:
        """Whether each pixel is the nearest of one place for each offset, in order."""
        return self.period == 1

    def periods(self, first: int, last: int) -> "GridPhases":
        """Some periods of the grid as a grid of its own, with pixels counted from its first."""
        places = len(self.offsets)
        cut = slice(first * places, last * places)
        return replace(
            self,
            pixels=self.pixels[cut] - first * self.period,
            indices=self.indices[cut],
            first=self.first + cut.start,
        )

    def cut(self, places: slice) -> "GridPhases":
        """Some of the places."""
        first = self.first + (places.start or 0)
        return replace(self, pixels=self.pixels[places], indices=self.indices[places], first=first)

    @property
    def starts(self) -> NDArray[np.int64]:
        """(pixels + 1,) first place of each pixel, and the number of places."""
        return np.searchsorted(self.pixels, np.arange(self.period * self.repetitions + 1))

    def groups(self) -> Iterator[tuple[int, slice]]:
        """Each pixel of the first period that is the nearest of any place, with its places."""
        starts = self.starts
        for pixel in range(self.period):
            if starts[pixel] < starts[pixel + 1]:
                yield pixel, slice(int(starts[pixel]), int(starts[pixel + 1]))


@functools.lru_cache(maxsize=32)  # all tiles request the same
def grid_phases(length_out: int, length_in: int) -> GridPhases:
    """Find the exact distinct offsets of a regular grid's places from their nearest pixels.

    Args:
        length_out: Places: pixels of the enlarged side.
        length_in: Pixels of the small side.

    Returns:
        Places, and ``length_out`` over its greatest common divisor with ``length_in`` offsets.

    Example:
        >>> grid_phases(4, 2).offsets.tolist(), grid_phases(3, 2).indices.tolist()
        ([-0.5, 0.5], [1, 0, 2])
    """
    centres = (2 * np.arange(length_out, dtype=np.int64) + 1) * length_in
    pixels, rests = np.divmod(centres, 2 * length_out)
    different, indices = np.unique(rests, return_inverse=True)
    period = length_in * len(different) // length_out
    offsets = different / length_out - 1
    return GridPhases(pixels, indices.reshape(-1), offsets, period, (length_out, length_in))


def point_taps(coords: Tensor, length_in: int, *, ensemble: bool = True) -> tuple[Tap, ...]:
    """Neighbours of arbitrary coordinates along one axis.

    Args:
        coords: Any shape, in [-1, 1]; values outside belong to the border pixel.
        length_in: Pixels of the small side.
        ensemble: Whether to use both neighbours of a position, or only the nearest.

    Returns:
        One or two taps of the shape of ``coords``, floats of its dtype.
    """
    position = (coords + 1) * (length_in / 2) - 0.5
    if not ensemble:
        pixels = (position + (0.5 + _TIE)).floor().long().clamp(0, length_in - 1)
        return (Tap(pixels, 2 * (position - pixels), torch.ones_like(position)),)
    floor = position.floor()
    fraction = position - floor
    lower, upper = (index.long().clamp(0, length_in - 1) for index in (floor, floor + 1))
    return (
        Tap(lower, 2 * (position - lower), 1 - fraction),
        Tap(upper, 2 * (position - upper), fraction),
    )


def bilinear_at(picture: Tensor, coords: Tensor) -> Tensor:
    """A picture at arbitrary coordinates, bilinear; constant beyond the outermost centres.

    Args:
        picture: (B, C, h, w).
        coords: (B, Q, 2), order (y, x), in [-1, 1].

    Returns:
        (B, Q, C).
    """
    channels, height, width = picture.shape[1:]
    flat = picture.flatten(2).transpose(1, 2)
    answer: Tensor | None = None
    for row in point_taps(coords[..., 0], height):
        for column in point_taps(coords[..., 1], width):
            index = (row.pixels * width + column.pixels)[..., None].expand(-1, -1, channels)
            weights = (row.weights * column.weights)[..., None].to(picture.dtype)
            part = flat.gather(1, index) * weights
            answer = part if answer is None else answer + part
    assert answer is not None
    return answer
