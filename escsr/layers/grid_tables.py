"""The neighbours of a regular grid's places (`escsr.layers.coords`) as tensors on a device."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from escsr.layers.coords import GridPhases, GridTaps, Tap, grid_phases, grid_taps
from escsr.layers.tables import keeps_tables, kept


@dataclass(frozen=True)
class PlacedTaps:
    """Places with the same number of neighbours, as numbers and tensors.

    Attributes:
        numbers: The same on the host, for loops and cuts.
        places: (k,) on the device; see `GridTaps`.
        taps: Neighbours of each place, on the device.
    """

    numbers: GridTaps
    places: Tensor
    taps: tuple[Tap, ...]

    def between(self, start: int, stop: int) -> "PlacedTaps":
        """The part with places from ``start`` up to but not including ``stop``."""
        first, last = (int(i) for i in np.searchsorted(self.numbers.places, (start, stop)))
        cut = slice(first, last)
        taps = (Tap(t.pixels[cut], t.offsets[cut], t.weights[cut]) for t in self.taps)
        return PlacedTaps(self.numbers.between(start, stop), self.places[cut], tuple(taps))


def placed_taps(
    length_out: int,
    length_in: int,
    between: tuple[int, int],
    *,
    ensemble: bool,
    dtype: torch.dtype,
    device: torch.device,
) -> list[PlacedTaps]:
    """`grid_taps` of some places, on a device.

    Args:
        length_out: See `grid_taps`; also ``length_in`` and ``ensemble``.
        length_in: See ``length_out``.
        between: The first place, and the one after the last.
        ensemble: See ``length_out``.
        dtype: Dtype of offsets and weights.
        device: Device of the tensors.

    Returns:
        One or two groups; empty groups are left out.
    """
    if keeps_tables(length_out):
        placed = [
            group if between == (0, length_out) else group.between(*between)
            for group in _kept_taps(length_out, length_in, ensemble, dtype, device)
        ]
    else:
        groups = grid_taps(length_out, length_in, ensemble=ensemble)
        placed = [_placed(group.between(*between), dtype, device) for group in groups]
    return [group for group in placed if len(group.numbers.places)]


@kept
def _kept_taps(
    length_out: int, length_in: int, ensemble: bool, dtype: torch.dtype, device: torch.device
) -> list[PlacedTaps]:
    groups = grid_taps(length_out, length_in, ensemble=ensemble)
    return [_placed(group, dtype, device) for group in groups]


def _placed(group: GridTaps, dtype: torch.dtype, device: torch.device) -> PlacedTaps:
    taps = (
        Tap(
            torch.from_numpy(pixels).to(device),
            torch.from_numpy(offsets).to(dtype).to(device),
            torch.from_numpy(weights).to(dtype).to(device),
        )
        for pixels, offsets, weights in zip(group.pixels, group.offsets, group.weights, strict=True)
    )
    return PlacedTaps(group, torch.from_numpy(group.places).to(device), tuple(taps))


def phase_offsets(axis: GridPhases, like: Tensor) -> Tensor:
    """The offset of each place of an axis, (n,), of the dtype and on the device of ``like``."""
    if not keeps_tables(axis.sides[0]):
        return _offsets(axis, like.dtype, like.device)
    return _kept_offsets(*axis.sides, like.dtype, like.device)[axis.own]


@kept
def _kept_offsets(
    length_out: int, length_in: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    return _offsets(grid_phases(length_out, length_in), dtype, device)


def _offsets(axis: GridPhases, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.from_numpy(axis.offsets[axis.indices]).to(dtype).to(device)


def phase_pixels(length_out: int, length_in: int, device: torch.device) -> Tensor:
    """The nearest pixel of each place of a whole axis, (length_out,) int64."""
    make = _kept_pixels if keeps_tables(length_out) else _pixels
    return make(length_out, length_in, device)


def _pixels(length_out: int, length_in: int, device: torch.device) -> Tensor:
    return torch.from_numpy(grid_phases(length_out, length_in).pixels).to(device)


_kept_pixels = kept(_pixels)


def slots(length_out: int, length_in: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The places of every pixel, padded to the greatest number of places per pixel.

    Returns:
        (length_in, most) places, and whether they belong to the pixel, unlike the padding.
    """
    starts = grid_phases(length_out, length_in).starts
    places = starts[:-1, None] + np.arange(int(np.diff(starts).max()))
    return places.clip(0, length_out - 1), places < starts[1:, None]


def slot_places(length_out: int, length_in: int, device: torch.device) -> Tensor:
    """The places of `slots` on a device, (length_in, most)."""
    make = _kept_places if keeps_tables(length_out) else _places
    return make(length_out, length_in, device)


def _places(length_out: int, length_in: int, device: torch.device) -> Tensor:
    return torch.from_numpy(slots(length_out, length_in)[0]).to(device)


_kept_places = kept(_places)


def own_slots(
    length_out: int, length_in: int, first: int, last: int, device: torch.device
) -> Tensor:
    """Indices, row by row, of the `slots` that belong to the pixels ``first`` up to ``last``."""
    make = _kept_own if keeps_tables(length_out) else _own
    return make(length_out, length_in, first, last, device)


def _own(length_out: int, length_in: int, first: int, last: int, device: torch.device) -> Tensor:
    own = slots(length_out, length_in)[1][first:last]
    return torch.from_numpy(own.ravel().nonzero()[0]).to(device)


_kept_own = kept(_own)
