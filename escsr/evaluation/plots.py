"""Plots as SVG, written by hand: three kinds do not justify a plotting library."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from escsr.evaluation.catalogue import Metric
from escsr.evaluation.contenders import BICUBIC
from escsr.evaluation.results import Findings, Result

__all__ = ["cost_plot", "gain_plot", "plots", "scale_plot"]

Points = Sequence[tuple[float, float]]

# Okabe and Ito's colours, distinct for colour-blind readers; a shape each for print.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 34, 48


@dataclass(frozen=True, kw_only=True)
class _Axis:
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """A few round numbers."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 2, 5) if len(powers) < 5 else (1,)
            found = self._inside([step * 10.0**power for power in powers for step in steps])
            if len(found) > 2:
                return found
        rough = (self.high - self.low) / 5
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * n for n in (1, 2, 2.5, 5, 10) if unit * n >= rough)
        first, last = math.floor(self.low / step), math.ceil(self.high / step)
        return self._inside([step * n for n in range(first, last + 1)])

    def _inside(self, ticks: list[float]) -> list[float]:
        return [tick for tick in ticks if self.low <= tick <= self.high]


def plots(c: Findings) -> dict[str, str]:
    """All plots that the figures allow, as SVG text by title."""
    found: dict[str, str] = {}
    if not c.metrics:
        return found
    metric = c.metrics[0]
    order = [name for name in dict.fromkeys(r.model for r in c.results) if name != BICUBIC]
    for (data, scale), group in c.groups().items():
        title = f"{data} x{scale:g}: {metric.name}, gain over bicubic"
        gain = gain_plot(group, metric, title, order=order)
        if gain:
            found[f"gain {data} x{scale:g}"] = gain
        title = f"{data} x{scale:g}: {metric.name} against cost"
        cost = cost_plot(c, group, metric, title, order=order)
        if cost:
            found[f"cost {data} x{scale:g}"] = cost
    for data in dict.fromkeys(r.data for r in c.results):
        results = [r for r in c.results if r.data == data]
        svg = scale_plot(results, metric, f"{data}: {metric.name}", order=order)
        if svg:
            found[f"scales {data}"] = svg
    return found


def gain_plot(
    group: Sequence[Result], metric: Metric, title: str, *, order: Sequence[str] = ()
) -> str:
    """The gain of each model over bicubic on each picture.

    Args:
        group: Results of one data set at one scale.
        metric: The figure.
        title: Title above the plot.
        order: All models; a model's position sets its colour. By default those of the plot.

    Returns:
        SVG, or "" without bicubic or without another model.
    """
    values = {r.model: _by_picture(r, metric) for r in group}
    base = values.pop(BICUBIC, None)
    if not base:
        return ""
    names = list(base)
    lines = {
        model: [
            (number, figures[name] - base[name])
            for number, name in enumerate(names)
            if name in figures and math.isfinite(figures[name] - base[name])
        ]
        for model, figures in values.items()
        if figures
    }
    few = [name.rpartition("/")[2] for name in names] if len(names) <= 16 else []
    return _draw(lines, order, title=title, labels=few, zero=True, joined=False, bottom="picture")


def scale_plot(
    results: Sequence[Result], metric: Metric, title: str, *, order: Sequence[str] = ()
) -> str:
    """The mean figure against the scale; "" for fewer than two scales."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for r in results:
        if r.report is not None and math.isfinite(r.report.means.get(metric.name, math.nan)):
            lines.setdefault(r.model, []).append((r.scale, r.report.means[metric.name]))
    if len({x for points in lines.values() for x, _ in points}) < 2:
        return ""
    ordered = {model: sorted(points) for model, points in lines.items()}
    return _draw(ordered, [*order, BICUBIC] if order else (), title=title, bottom="scale")


def cost_plot(
    c: Findings, group: Sequence[Result], metric: Metric, title: str, *, order: Sequence[str] = ()
) -> str:
    """The mean figure against multiply-adds for 1280 x 720, bicubic as a line.

    Returns:
        SVG, or "" where fewer than two models have a known cost.
    """
    scale = group[0].scale
    costs = {
        f["name"]: f["multiply_adds"] for f in c.models if f["at"] == scale and "multiply_adds" in f
    }
    means = {r.model: r.report.means.get(metric.name, math.nan) for r in group if r.report}
    lines = {
        model: [(costs[model] / 1e9, mean)]
        for model, mean in means.items()
        if model in costs and math.isfinite(mean)
    }
    if len(lines) < 2:
        return ""
    bottom = "multiply-adds for 1280 x 720, in billions"
    level = means.get(BICUBIC)
    return _draw(lines, order, title=title, logarithmic=True, bottom=bottom, level=level)


def _by_picture(result: Result, metric: Metric) -> dict[str, float]:
    rows = result.report.rows if result.report is not None else ()
    return {row.name: row.values[metric.name] for row in rows if metric.name in row.values}


def _draw(
    lines: Mapping[str, Points],
    order: Sequence[str],
    *,
    title: str,
    bottom: str,
    labels: Sequence[str] = (),
    zero: bool = False,
    joined: bool = True,
    logarithmic: bool = False,
    level: float | None = None,
) -> str:
    """Points of several models, with axes and a legend; "" without any point.

    A model's place in ``order`` is its colour and shape, the same in every plot of a page.
    """
    order = order or list(lines)
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    if not xs:
        return ""
    ys += [level] if level is not None and math.isfinite(level) else []
    ys += [0.0] if zero else []
    across = _axis(xs, (_LEFT, _WIDTH - _RIGHT), logarithmic)
    up = _axis(ys, (_HEIGHT - _BOTTOM, _TOP), logarithmic=False)
    parts = [_frame(title, bottom), *_grid(across, up, labels)]
    if zero or level is not None:
        y = up(0.0 if zero or level is None else level)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
            'stroke="#555" stroke-dasharray="5 4"/>'
            f'<text x="{_LEFT + 4}" y="{y - 4:.1f}" fill="#555">bicubic</text>'
        )
    parts += [
        _series(order.index(name), row, name, [(across(x), up(y)) for x, y in points], joined)
        for row, (name, points) in enumerate(lines.items())
    ]
    height = _HEIGHT + 18 * len(lines)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>'
    )


def _axis(values: Sequence[float], ends: tuple[float, float], logarithmic: bool) -> _Axis:
    low, high = min(values), max(values)
    if logarithmic:
        low, high = low / 1.5, high * 1.5
    else:
        room = 0.08 * (high - low) or max(abs(high) * 0.01, 0.01)
        low, high = low - room, high + room
    return _Axis(low=low, high=high, start=ends[0], end=ends[1], logarithmic=logarithmic)


def _frame(title: str, bottom: str) -> str:
    return (
        f'<text x="{_LEFT}" y="20" font-size="14" font-weight="bold">{escape(title)}</text>'
        f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">'
        f"{escape(bottom)}</text>"
    )


def _grid(across: _Axis, up: _Axis, labels: Sequence[str]) -> list[str]:
    parts = []
    for tick in up.ticks():
        y = up(tick)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:.6g}</text>'
        )
    marks = list(enumerate(labels)) if labels else [(t, f"{t:.6g}") for t in across.ticks()]
    y = _HEIGHT - _BOTTOM + 14
    for tick, text in marks:
        x = across(tick)
        slanted = f' font-size="9" transform="rotate(-20 {x:.1f} {y})"' if len(labels) > 6 else ""
        where = f'x="{x:.1f}" y="{y}" text-anchor="middle"'
        parts.append(f"<text {where}{slanted}>{escape(text)}</text>")
    return parts


def _series(number: int, row: int, name: str, points: Points, joined: bool) -> str:
    colour = _COLOURS[number % len(_COLOURS)]
    marks = "".join(_mark(number, x, y) for x, y in points)
    line = ""
    if joined and len(points) > 1:
        where = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        line = f'<polyline points="{where}" fill="none" stroke="{colour}" stroke-width="2"/>'
    y = _HEIGHT + 6 + 18 * row
    legend = f'{_mark(number, _LEFT, y)}<text x="{_LEFT + 12}" y="{y + 4}">{escape(name)}</text>'
    return f'{line}<g fill="{colour}">{marks}</g><g fill="{colour}">{legend}</g>'


def _mark(number: int, x: float, y: float) -> str:
    """A circle, a square or a diamond."""
    if number % 3 == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    turn = f' transform="rotate(45 {x:.1f} {y:.1f})"' if number % 3 == 2 else ""
    return f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7"{turn}/>'
