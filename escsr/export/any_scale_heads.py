"""Heads for any scale as nodes of a graph."""

import itertools
import math
from collections.abc import Iterable
from functools import singledispatch

import torch
from torch import Tensor, nn

from escsr.export.graph import END, FLOAT, Graph
from escsr.export.layers import convolve
from escsr.export.networks import Request, enlarge_picture, pixel_shuffle, write_head
from escsr.export.places import Axis, Spot, grid_axis, point_axis
from escsr.heads import LIIF, LMFLIIF, LMFLTE, LTE, ImplicitHead, MetaSR

# Hidden channels of a MetaSR head that are evaluated for all pixels of the result at once.
_CHANNELS = 16


@write_head.register
def _implicit(head: ImplicitHead, g: Graph, features: str, lq: str, request: Request) -> str:
    """A whole picture of any size, in one piece."""
    height, width = _out_size(g, request)
    features, rows, columns = _axes(g, head, features, (height, width), request)
    cell = _grid_cell(g, head, rows, columns)
    maps = prepare(head, g, features, cell)
    blend = _blended(head, g, maps, rows, columns, cell)
    sr = g.transpose(_to_rgb(g, head, blend), 0, 3, 1, 2)
    return _with_skip(head, g, sr, lq, (height, width), request)


@write_head.register
def _metasr(head: MetaSR, g: Graph, features: str, lq: str, request: Request) -> str:
    """At a whole scale one convolution before a pixel shuffle."""
    if request.scale is None:
        return _metasr_of_any_size(head, g, features, lq, request)
    x = convolve(g, features, head.as_convolution(request.scale), None, padding=1)
    if head.image_skip is not None:
        skip = enlarge_picture(g, lq, request.scale, head.image_skip, shuffled=False)
        x = g.op("Add", x, skip)
    return pixel_shuffle(g, x, request.scale)


def _metasr_of_any_size(head: MetaSR, g: Graph, features: str, lq: str, request: Request) -> str:
    height, width = _out_size(g, request)
    features, rows, columns = _axes(g, head, features, (height, width), request)
    cell = _grid_cell(g, head, rows, columns)
    ((spot, _),) = _spots(g, rows, columns, cell)
    rgb = _metasr_colours(head, g, features, spot)
    return _with_skip(head, g, g.transpose(rgb, 0, 3, 1, 2), lq, (height, width), request)


def _metasr_colours(head: MetaSR, g: Graph, features: str, spot: Spot) -> str:
    """Colours, a few hidden channels at a time: all of them would take 3 KB per pixel."""
    shape = (-1, head.in_channels, 3, 3)
    kernels = head.last.weight.reshape(3, *shape[1:], -1).permute(4, 0, 1, 2, 3)
    assert head.last.bias is not None
    always = convolve(g, features, head.last.bias.reshape(shape), None, padding=1)
    from_y, from_x, from_scale = head.first.weight.unbind(1)
    # 1 / scale, from the geometric mean of both.
    area = g.op("Mul", g.cut(spot.cell, -1, 0, 1), g.cut(spot.cell, -1, 1, 2))
    inverse = g.op("Mul", g.op("Sqrt", area), g.number(0.5, area))
    sums = ["", "", ""]
    for start in range(0, len(from_y), _CHANNELS):
        part = slice(start, start + _CHANNELS)
        constant = g.op("Mul", inverse, g.weight(from_scale[part], inverse))
        constant = g.op("Add", constant, g.weight(head.first.bias[part], constant))
        along = g.op("Add", g.op("Mul", spot.x, g.weight(from_x[part], spot.x)), constant)
        weights = g.op("Add", g.op("Mul", spot.y, g.weight(from_y[part], spot.y)), along)
        weights = g.op("Relu", weights)
        for colour in range(3):
            answers = _last(g, convolve(g, features, kernels[part, colour], None, padding=1))
            found = _sum_last(g, g.op("Mul", spot.take(g, answers), weights))
            sums[colour] = g.op("Add", sums[colour], found) if sums[colour] else found
    rgb = g.op("Concat", *sums, axis=-1)
    return g.op("Add", rgb, spot.take(g, _last(g, always)))


def write_at(head: ImplicitHead, g: Graph, features: str, lq: str, coords: str, cells: str) -> str:
    """Colours at free points; arguments as of `QueryHead.query`.

    Returns:
        (B, Q, 3).
    """
    features = g.cast(features, FLOAT)
    rows, columns = _point_axes(g, features, coords, ensemble=head.local_ensemble)
    sides = (g.length(features, axis) for axis in (2, 3))
    lengths = [g.vector(g.once("Cast", side, type=FLOAT, to=FLOAT)) for side in sides]
    cell = _clipped(g, head, g.op("Mul", cells, g.op("Concat", *lengths, axis=0)))
    if isinstance(head, MetaSR):
        ((spot, _),) = _spots(g, rows, columns, cell, on_grid=False)
        rgb = _metasr_colours(head, g, features, spot)
    else:
        # One cell for all queries of a picture, where maps depend on it.
        maps = prepare(head, g, features, g.reshape(g.cut(cell, 1, 0, 1), -1, 1, 1, 2))
        rgb = _to_rgb(g, head, _blended(head, g, maps, rows, columns, cell, on_grid=False))
    if head.image_skip is None:
        return rgb
    rows, columns = _point_axes(g, lq, coords)
    picture = _last(g, lq)
    for spot, weight in _spots(g, rows, columns, cell, on_grid=False):
        rgb = g.op("Add", rgb, g.op("Mul", spot.take(g, picture), weight))
    return rgb


def _point_axes(g: Graph, maps: str, coords: str, *, ensemble: bool = True) -> tuple[Axis, Axis]:
    rows, columns = (
        point_axis(g, g.cut(coords, 2, axis, axis + 1), g.length(maps, axis + 2), ensemble=ensemble)
        for axis in (0, 1)
    )
    return rows, columns


# ---------------------------------------------------------------------------- shared parts


def _out_size(g: Graph, request: Request) -> tuple[str, str]:
    if request.size is not None:
        return request.size
    assert request.scale is not None
    if request.frame.height is None or request.frame.width is None:
        raise ValueError(
            "of the heads for any scale only 'metasr' can be written for programs that find out "
            "shapes before they run; write this one for another target, or with a size"
        )
    sides = (request.frame.height, request.frame.width)
    return tuple(  # type: ignore[return-value]
        g.ints(side * request.scale)
        if isinstance(side, int)
        else g.once("Mul", side, g.ints(request.scale))
        for side in sides
    )


def _axes(
    g: Graph, head: ImplicitHead, features: str, size: tuple[str, str], request: Request
) -> tuple[str, Axis, Axis]:
    if request.stride != 1:
        raise ValueError(
            "heads for any scale are written only after backbones that do not fold the picture "
            f"(this one folds {request.stride}×{request.stride} pixels)"
        )
    # Distances need more than the 11 bits of half precision.
    features = g.cast(features, FLOAT)
    rows, columns = (
        grid_axis(g, out, g.length(features, axis), ensemble=head.local_ensemble)
        for out, axis in zip(size, (2, 3), strict=True)
    )
    return features, rows, columns


def _grid_cell(g: Graph, head: ImplicitHead, rows: Axis, columns: Axis) -> str:
    """Sides of the requested pixels, in pixels of the features times two, (1, 1, 1, 2)."""
    cell = g.op("Concat", g.reshape(rows.cell, 1), g.reshape(columns.cell, 1), axis=0)
    return g.reshape(_clipped(g, head, cell), 1, 1, 1, 2)


def _clipped(g: Graph, head: ImplicitHead, cell: str) -> str:
    if head.cell_max_scale is None:
        return cell
    return g.op("Max", cell, g.number(2 / head.cell_max_scale, cell))


def _spots(
    g: Graph, rows: Axis, columns: Axis, cell: str, *, on_grid: bool = True
) -> list[tuple[Spot, str]]:
    """All neighbours and their weights."""
    return [
        Spot.between(g, row, column, cell, on_grid=on_grid)
        for row, column in itertools.product(rows.taps, columns.taps)
    ]


def _blended(
    head: ImplicitHead,
    g: Graph,
    maps: list[str],
    rows: Axis,
    columns: Axis,
    cell: str,
    *,
    on_grid: bool = True,
) -> str:
    """The neighbours' predictions up to the last layer, blended."""
    blend = ""
    for spot, weight in _spots(g, rows, columns, cell, on_grid=on_grid):
        found = g.op("Mul", hidden(head, g, maps, spot), weight)
        blend = g.op("Add", blend, found) if blend else found
    return blend


def _with_skip(
    head: ImplicitHead, g: Graph, sr: str, lq: str, size: tuple[str, str], request: Request
) -> str:
    """Add the picture, enlarged bilinearly, columns first."""
    if head.image_skip is None:
        return sr
    picture = g.cast(lq, FLOAT)
    for axis in (3, 2):
        taps = grid_axis(g, size[axis - 2], g.length(lq, axis)).taps
        parts = []
        for tap in taps:
            weight = tap.weights if axis == 3 else g.reshape(tap.weights, -1, 1)
            parts.append(g.op("Mul", g.op("Gather", picture, tap.pixels, axis=axis), weight))
        picture = g.op("Add", *parts)
    return g.op("Add", sr, picture)


def _to_rgb(g: Graph, head: ImplicitHead, blend: str) -> str:
    return _linear(g, blend, head.last.weight, head.last.bias)


def _last(g: Graph, x: str) -> str:
    return g.transpose(x, 0, 2, 3, 1)


def _sum_last(g: Graph, x: str) -> str:
    return g.op("ReduceSum", x, g.ints([-1]), keepdims=1)


def _linear(g: Graph, x: str, weight: Tensor, bias: Tensor | None = None) -> str:
    x = g.op("MatMul", x, g.weight(weight.flatten(1).t(), x))
    return x if bias is None else g.op("Add", x, g.weight(bias, x))


def _perceptron(g: Graph, x: str, layers: Iterable[nn.Module]) -> str:
    for layer in layers:
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        x = g.op("Relu", _linear(g, x, layer.weight, layer.bias))
    return x


def _convs(g: Graph, features: str, *layers: nn.Conv2d) -> list[str]:
    return [
        _last(g, convolve(g, features, c.weight, c.bias, padding=c.weight.shape[-1] // 2))
        for c in layers
    ]


def _waves(g: Graph, amplitude: str, angle: str) -> str:
    both = g.op("Concat", g.op("Cos", angle), g.op("Sin", angle), axis=-1)
    return g.op("Mul", amplitude, both)


def _angle(g: Graph, frequency: str, spot: Spot, phase: nn.Linear | None, half: int) -> str:
    """Frequencies (y in the first half), times π already, times distances; and phases."""
    along_y = g.op("Mul", g.cut(frequency, -1, 0, half), spot.y)
    along_x = g.op("Mul", g.cut(frequency, -1, half, END), spot.x)
    angle = g.op("Add", along_y, along_x)
    if phase is None:
        return angle
    return g.op("Add", angle, _linear(g, spot.cell, phase.weight * math.pi))


# ---------------------------------------------------------------------------- head by head


@singledispatch
def prepare(head: nn.Module, g: Graph, features: str, cell: str) -> list[str]:
    """See `ImplicitHead.prepare`; ``cell`` is (B or 1, 1, 1, 2).

    Raises:
        ValueError: If no function is registered for this head.
    """
    raise ValueError(
        f"a {type(head).__name__} cannot be written as ONNX: register a function for it by "
        "escsr.export.write_head.register"
    )


@singledispatch
def hidden(head: nn.Module, g: Graph, maps: list[str], spot: Spot) -> str:
    """See `ImplicitHead.hidden`."""
    raise NotImplementedError(type(head).__name__)


@prepare.register
def _(head: LIIF, g: Graph, features: str, cell: str) -> list[str]:
    side = head.kernel_size
    weight = head.first.weight[:, : head.seen]
    kernel = weight.reshape(len(weight), -1, side, side)
    return [_last(g, convolve(g, features, kernel, None, padding=side // 2))]


@hidden.register
def _(head: LIIF, g: Graph, maps: list[str], spot: Spot) -> str:
    y, x, *cell = head.first.weight[:, head.seen :].unbind(1)
    found = g.op("Mul", spot.x, g.weight(x, spot.x))
    if head.cell_decode:
        constant = _linear(g, spot.cell, torch.stack(cell, dim=1), head.first.bias)
    else:
        constant = g.weight(head.first.bias, found)
    found = g.op("Add", spot.take(g, maps[0]), g.op("Add", found, constant))
    found = g.op("Add", found, g.op("Mul", spot.y, g.weight(y, spot.y)))
    return _perceptron(g, g.op("Relu", found), head.layers)


@prepare.register
def _(head: LTE, g: Graph, features: str, cell: str) -> list[str]:
    weight, bias = head.frequencies()
    frequency = convolve(g, features, weight * math.pi, bias * math.pi, padding=1)
    return [*_convs(g, features, head.coef), _last(g, frequency)]


@hidden.register
def _(head: LTE, g: Graph, maps: list[str], spot: Spot) -> str:
    half = head.freq.out_channels // 2
    angle = _angle(g, spot.take(g, maps[1]), spot, head.phase, half)
    return _perceptron(g, _waves(g, spot.take(g, maps[0]), angle), head.layers)


def _modulations(g: Graph, head: LMFLIIF | LMFLTE, found: str) -> tuple[list[str], list[str], str]:
    """See `_LatentModulated.modulations`."""
    found = _linear(g, _perceptron(g, found, head.latent), head.modulate.weight, head.modulate.bias)
    n, depth = head.render_dim, head.depth
    scales, shifts = [], []
    for number, layer in enumerate(head._dense()):
        scale = g.cut(found, -1, number * n, (number + 1) * n)
        scale = g.op("Add", scale, g.number(1, scale))
        shift = g.cut(found, -1, (depth + number) * n, (depth + number + 1) * n)
        biased = g.op("Mul", scale, g.weight(layer.bias, scale))
        scales.append(scale)
        shifts.append(g.op("Add", shift, biased))
    return scales, shifts, g.cut(found, -1, 2 * depth * n, END)


def _modulated(g: Graph, found: str, scale: str, shift: str, spot: Spot) -> str:
    found = g.op("Mul", found, spot.take(g, scale))
    return g.op("Relu", g.op("Add", found, spot.take(g, shift)))


def _render(g: Graph, head: LMFLIIF | LMFLTE, found: str, maps: list[str], spot: Spot) -> str:
    for layer, scale, shift in zip(head._dense()[1:], maps[::2], maps[1::2], strict=True):
        found = _modulated(g, _linear(g, found, layer.weight), scale, shift, spot)
    return found


@prepare.register
def _(head: LMFLIIF, g: Graph, features: str, cell: str) -> list[str]:
    (seen,) = _convs(g, features, head.see)
    if head.see_cell is not None:
        seen = g.op("Add", seen, _linear(g, cell, head.see_cell.weight))
    scales, shifts, code = _modulations(g, head, g.op("Relu", seen))
    first = head._dense()[0].weight
    inner = _linear(g, code, first[:, : head.render_dim])
    if head.cell_decode:
        inner = g.op("Add", inner, _linear(g, cell, first[:, head.render_dim + 2 :]))
    shifts[0] = g.op("Add", g.op("Mul", inner, scales[0]), shifts[0])
    return [m for pair in zip(scales, shifts, strict=True) for m in pair]


@hidden.register
def _(head: LMFLIIF, g: Graph, maps: list[str], spot: Spot) -> str:
    weight = head._dense()[0].weight
    y, x = weight[:, head.render_dim], weight[:, head.render_dim + 1]
    found = g.op("Mul", spot.y, g.weight(y, spot.y))
    found = g.op("Add", found, g.op("Mul", spot.x, g.weight(x, spot.x)))
    found = _modulated(g, found, maps[0], maps[1], spot)
    return _render(g, head, found, maps[2:], spot)


@prepare.register
def _(head: LMFLTE, g: Graph, features: str, cell: str) -> list[str]:
    amplitude, angle = _convs(g, features, head.coef, head.freq)
    if head.phase is not None:
        angle = g.op("Add", angle, _linear(g, cell, head.phase.weight))
    angle = g.op("Mul", angle, g.number(math.pi, angle))
    scales, shifts, code = _modulations(g, head, _waves(g, amplitude, angle))
    half = head.render_dim
    frequency = g.cut(code, -1, half, END)
    modulations = [m for pair in zip(scales, shifts, strict=True) for m in pair]
    scaled = g.op("Mul", frequency, g.number(math.pi, frequency))
    return [g.cut(code, -1, 0, half), scaled, *modulations]


@hidden.register
def _(head: LMFLTE, g: Graph, maps: list[str], spot: Spot) -> str:
    half = head.render_dim // 2
    angle = _angle(g, spot.take(g, maps[1]), spot, head.render_phase, half)
    found = _linear(g, _waves(g, spot.take(g, maps[0]), angle), head._dense()[0].weight)
    found = _modulated(g, found, maps[2], maps[3], spot)
    return _render(g, head, found, maps[4:], spot)
