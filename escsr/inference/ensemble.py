"""Self-ensemble: the mean of a network's results for a picture's eight flips and rotations.

Source: "Enhanced Deep Residual Networks for Single Image Super-Resolution", arXiv 1707.02921.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from escsr.inference.sources import PixelRows
from escsr.inference.stores import Stores
from escsr.layers import Band, RowSource
from escsr.layers.bands import as_tensor

# Rows of the result that are combined at once.
_ROWS = 256


@dataclass(frozen=True)
class Turn:
    """One of the eight symmetries of the square, applied to a picture.

    Attributes:
        transposed: Whether rows and columns are exchanged, before the rest.
        down: Whether the order of rows is reversed.
        across: Whether the order of columns is reversed.
    """

    transposed: bool
    down: bool
    across: bool

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(H, W) of a picture after the turn."""
        return (size[1], size[0]) if self.transposed else size

    def flip(self, values: Tensor) -> Tensor:
        """Reverse the rows and columns of (B, C, H, W) as in the turn; doing it twice undoes it."""
        axes = [axis for axis, flipped in ((-2, self.down), (-1, self.across)) if flipped]
        return values.flip(axes) if axes else values

    def of(self, picture: RowSource) -> RowSource:
        """Turn a picture."""
        if isinstance(picture, PixelRows):  # without a copy
            pixels = picture.pixels.swapaxes(0, 1) if self.transposed else picture.pixels
            step = slice(None, None, -1)
            return PixelRows(
                pixels[step if self.down else slice(None), step if self.across else slice(None)]
            )
        values = as_tensor(picture)
        return Band.whole(self.flip(values.transpose(-2, -1) if self.transposed else values))


TURNS = tuple(
    Turn(transposed, down, across)
    for transposed in (False, True)
    for down in (False, True)
    for across in (False, True)
)
"""All eight; the first is the identity."""


class TurnedMean:
    """The mean of the results for the eight turns of a picture, turned back.

    Args:
        size: (H_out, W_out) of the result.
        stores: Stores for two sums: one of the turns that keep rows, one of the others.
    """

    def __init__(self, size: tuple[int, int], stores: Stores) -> None:
        self._size = size
        self._sums = {
            exchanged: stores.make(3, *Turn(exchanged, False, False).size(size), torch.float32)
            for exchanged in (False, True)
        }

    def add(self, turn: Turn, top: int, rows: Tensor) -> None:
        """Add rows of the result for a turned picture; unflipped turns come first.

        Args:
            turn: The turn of the picture.
            top: Index of the first of these rows.
            rows: (1, 3, rows, W).
        """
        total, rows = self._sums[turn.transposed], rows.cpu()
        bottom = top + rows.shape[2]
        if turn.down:
            top, bottom = total.shape[2] - bottom, total.shape[2] - top
        if turn.down or turn.across:
            rows = total.read(top, bottom) + turn.flip(rows)
        total.write(top, rows)

    def rows(self) -> Iterator[tuple[int, Tensor]]:
        """The first row of each part of the mean, and that part, (1, 3, rows, W_out)."""
        for top in range(0, self._size[0], _ROWS):
            bottom = min(top + _ROWS, self._size[0])
            exchanged = self._sums[True].read_columns(top, bottom)
            yield top, (self._sums[False].read(top, bottom) + exchanged.transpose(-2, -1)) / 8
