"""Positions of an enlarged picture's pixels between those of the features, inside a graph."""

from dataclasses import dataclass

from escsr.export.graph import BOOL, FLOAT, INT, Graph

# See `escsr.layers.coords`: a position this close before a border counts as past it.
_TIE = 2.0**-14


@dataclass(frozen=True)
class Tap:
    """One neighbour of each place along an axis; see `escsr.layers.coords.Tap`.

    Attributes:
        pixels: Indices, int64, (n,) on a grid and (B, Q, 1) for free points.
        offsets: 2 · (position - centre of the pixel), likewise.
        weights: Weights in the answer, likewise.
    """

    pixels: str
    offsets: str
    weights: str


@dataclass(frozen=True)
class Axis:
    """Neighbours of all places along an axis.

    Attributes:
        taps: One or two per place.
        cell: Side of a requested pixel, in pixels of the features times two, a scalar;
            "" for free points.
    """

    taps: tuple[Tap, ...]
    cell: str = ""


def grid_axis(g: Graph, out: str, length: str, *, ensemble: bool = True) -> Axis:
    """`escsr.layers.coords.grid_taps` in whole numbers, for sides known only at run time.

    Args:
        g: The graph.
        out: Places: pixels of the enlarged side, a scalar.
        length: Pixels of the small side, a scalar.
        ensemble: Both neighbours of a place, or only the nearest.
    """
    two = g.ints(2)
    whole = g.once("Mul", out, two)
    odd = g.once("Add", g.once("Mul", g.once("Range", g.ints(0), out, g.ints(1)), two), g.ints(1))
    # One more than the position, as division rounds towards zero.
    numerator = g.once("Add", g.once("Mul", odd, length), out)
    above = g.once("Div", numerator, whole)
    lower = g.once("Sub", above, g.ints(1))
    rest = g.once("Sub", numerator, g.once("Mul", above, whole))
    fraction = g.once("Div", _float(g, rest), _float(g, whole))
    cell = g.once("Div", _float(g, g.once("Mul", length, two)), _float(g, out))
    one = g.number(1, fraction)
    if ensemble:
        taps = (
            _tap(g, lower, lower, fraction, length, g.once("Sub", one, fraction)),
            _tap(g, above, lower, fraction, length, fraction),
        )
        return Axis(taps, cell)
    half = g.once("GreaterOrEqual", g.once("Mul", rest, two), whole, type=BOOL)
    nearest = g.once("Add", lower, g.once("Cast", half, type=INT, to=INT))
    return Axis((_tap(g, nearest, lower, fraction, length, one),), cell)


def point_axis(g: Graph, coords: str, length: str, *, ensemble: bool = True) -> Axis:
    """`escsr.layers.coords.point_taps`.

    Args:
        g: The graph.
        coords: (B, Q, 1) in [-1, 1].
        length: Pixels of the small side, a scalar.
        ensemble: Both neighbours of a position, or only the nearest.
    """
    one, half = g.number(1, coords), g.number(0.5, coords)
    side = g.once("Mul", _float(g, length), half)
    position = g.op("Sub", g.op("Mul", g.op("Add", coords, one), side), half)
    if not ensemble:
        near = g.op("Floor", g.op("Add", position, g.number(0.5 + _TIE, position)))
        lower = g.op("Cast", near, type=INT, to=INT)
        return Axis((_tap(g, lower, lower, g.op("Sub", position, near), length, one),))
    floor = g.op("Floor", position)
    fraction = g.op("Sub", position, floor)
    lower = g.op("Cast", floor, type=INT, to=INT)
    upper = g.op("Add", lower, g.ints(1))
    first = _tap(g, lower, lower, fraction, length, g.op("Sub", one, fraction))
    return Axis((first, _tap(g, upper, lower, fraction, length, fraction)))


def _tap(g: Graph, pixels: str, lower: str, fraction: str, length: str, weights: str) -> Tap:
    """Of places that lie ``fraction`` behind the pixel ``lower``."""
    last = g.once("Sub", length, g.ints(1))
    inside = g.once("Max", g.once("Min", pixels, last), g.ints(0))
    distance = g.once("Add", _float(g, g.once("Sub", lower, inside)), fraction)
    return Tap(inside, g.once("Mul", distance, g.number(2, distance)), weights)


def _float(g: Graph, value: str) -> str:
    return g.once("Cast", value, type=FLOAT, to=FLOAT)


@dataclass(frozen=True)
class Spot:
    """Queries answered by one neighbour each; see `escsr.heads.implicit.Places`.

    Attributes:
        y: Distances in rows of the features, times two.
        x: Likewise in columns.
        cell: Sides of the queries' pixels.
        rows: Indices of the neighbours' rows.
        columns: Of their columns.
        on_grid: Whether all rows combine with all columns; otherwise indices are (B, Q, 1).
    """

    y: str
    x: str
    cell: str
    rows: str
    columns: str
    on_grid: bool

    @classmethod
    def between(
        cls, g: Graph, row: Tap, column: Tap, cell: str, *, on_grid: bool
    ) -> tuple["Spot", str]:
        """The neighbours of two taps, and their weights in the answers."""
        if on_grid:
            y, x = _column(g, row.offsets, 2), _column(g, column.offsets, 1)
            shares = (_column(g, row.weights, 2), _column(g, column.weights, 1))
        else:
            y, x, shares = row.offsets, column.offsets, (row.weights, column.weights)
        spot = cls(y, x, cell, row.pixels, column.pixels, on_grid)
        return spot, g.op("Mul", *shares)

    def take(self, g: Graph, features: str) -> str:
        """The neighbours' vectors from a (B, h, w, C) map."""
        if self.on_grid:
            lines = g.once("Gather", features, self.rows, axis=1)
            return g.op("Gather", lines, self.columns, axis=2)
        both = g.once("Concat", self.rows, self.columns, axis=2)
        return g.op("GatherND", features, both, batch_dims=1)


def _column(g: Graph, weights: str, sides: int) -> str:
    """Numbers along an axis, with sides of 1 behind; a single number stays one."""
    return g.once("Reshape", weights, g.ints([-1] + [1] * sides))
