"""The sides of pictures as known in a graph, and padding."""

from dataclasses import dataclass

import numpy as np

from escsr.export.graph import Graph
from escsr.layers.padding import reflected_indices

Length = int | str
"""The length of a side: a number, or a scalar value of the graph."""


@dataclass(frozen=True)
class Frame:
    """The sides of a picture or of its features.

    Attributes:
        height: Rows; None if nothing in the graph may ask for them.
        width: Columns; likewise.
        multiple: Number that the sides are guaranteed to be multiples of, so that padding is left
            out.
    """

    height: Length | None
    width: Length | None
    multiple: int = 1

    def folded(self, g: Graph, stride: int) -> "Frame":
        """The sides after a picture was padded and folded."""
        if stride == 1:
            return self
        height, width = (
            None if side is None else ceil_div(g, side, stride)
            for side in (self.height, self.width)
        )
        return Frame(height, width, max(self.multiple // stride, 1))

    def pad(self, g: Graph, x: str, multiple: int, axes: tuple[int, int] = (2, 3)) -> str:
        """Continue ``x`` by reflection, at the bottom and on the right, to whole multiples."""
        if self.multiple % multiple == 0:
            return x
        for axis, side in zip(axes, self._known(), strict=True):
            if isinstance(side, int):
                after = -side % multiple
                if after:
                    indices = g.ints(reflected_indices(side, 0, after).numpy())
                    x = g.op("Gather", x, indices, axis=axis)
            else:
                padded = times(g, ceil_div(g, side, multiple), multiple)
                x = g.op("Gather", x, _reflected(g, side, 0, padded), axis=axis)
        return x

    def pad_around(self, g: Graph, x: str, margin: int) -> str:
        """Continue ``x`` (B, C, H, W) by reflection on all sides."""
        if self.multiple > margin:
            return g.pad(x, [0, 0, margin, margin] * 2, "reflect")
        for axis, side in zip((2, 3), self._known(), strict=True):
            if isinstance(side, int):
                indices = g.ints(reflected_indices(side, margin, margin).numpy())
            else:
                end = g.once("Add", side, g.ints(margin))
                indices = _reflected(g, side, margin, end)
            x = g.op("Gather", x, indices, axis=axis)
        return x

    def crop(self, g: Graph, x: str, multiple: int, scale: int = 1) -> str:
        """Undo `pad` in a picture that may have been enlarged since."""
        if self.multiple % multiple == 0:
            return x
        for axis, side in zip((2, 3), self._known(), strict=True):
            if not isinstance(side, int):
                x = g.cut(x, axis, 0, times(g, side, scale))
            elif side % multiple:
                x = g.cut(x, axis, 0, side * scale)
        return x

    def _known(self) -> tuple[Length, Length]:
        assert self.height is not None
        assert self.width is not None
        return self.height, self.width


def times(g: Graph, length: Length, factor: int) -> Length:
    """A length times a number."""
    if isinstance(length, int):
        return length * factor
    return length if factor == 1 else g.once("Mul", length, g.ints(factor))


def ceil_div(g: Graph, length: Length, divisor: int) -> Length:
    """The number of parts of a given size in a length, the last one possibly incomplete."""
    if isinstance(length, int):
        return -(-length // divisor)
    if divisor == 1:
        return length
    return g.once("Div", g.once("Add", length, g.ints(divisor - 1)), g.ints(divisor))


def _reflected(g: Graph, length: str, before: int, end: Length) -> str:
    """The positions of `reflected_indices` from ``-before`` to ``end``, for any length."""
    stop = g.ints(end) if isinstance(end, int) else end
    positions = g.once("Range", g.ints(-before), stop, g.ints(1))
    last = g.once("Sub", length, g.ints(1))
    # A side of one pixel is repeated: a period of one leaves only the position 0.
    period = g.once("Max", g.once("Mul", last, g.ints(2)), g.ints(1))
    folded = g.once("Mod", positions, period)
    return g.once("Min", folded, g.once("Sub", period, folded))


def positions(g: Graph, length: Length) -> str:
    """The numbers from 0 up to but not ``length``, int64."""
    if isinstance(length, int):
        return g.ints(np.arange(length))
    return g.once("Range", g.ints(0), length, g.ints(1))
