"""Results as Markdown, LaTeX and CSV."""

import csv
import io
from dataclasses import dataclass

from escsr.evaluation.perceptual import PYIQA_LICENCE
from escsr.evaluation.results import Findings, Result

__all__ = ["LEGEND", "Cell", "cells", "csv_table", "latex_table", "markdown_tables", "notes"]

LEGEND = (
    "Bold: the best mean. ≈: not significantly different from the best on these pictures (the "
    "95 % interval of the paired bootstrap contains zero, the difference is smaller than those due "
    "to rounding and correct resizers, or there are fewer than five pictures). (n): the mean of n "
    "pictures only."
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One mean in a table.

    Attributes:
        text: The figure, with its remarks.
        best: Whether it is the best of its group.
    """

    text: str
    best: bool = False


def cells(c: Findings, group: list[Result], result: Result) -> list[Cell]:
    """The means of one model compared with its group, one cell per metric."""
    row = []
    for metric in c.metrics:
        report = result.report
        if report is None or metric.name not in report.means:
            row.append(Cell(text="—"))
            continue
        text = metric.show(report.means[metric.name])
        count = report.counts.get(metric.name, len(report.rows))
        best = c.best(group, metric) is result and len(group) > 1
        if count < len(report.rows):
            text += f" ({count})"
        if (
            report.is_complete(metric.name)
            and not best
            and (result.data, result.scale, metric.name, result.model) in c.alike
        ):
            text += " ≈"
        row.append(Cell(text=text, best=best))
    return row


def markdown_tables(c: Findings) -> str:
    """One table per data set and scale, the unavailable figures, and the conditions."""
    lines: list[str] = []
    for (data, scale), group in c.groups().items():
        count = max((len(r.report.rows) for r in group if r.report), default=0)
        lines += [f"### {data} x{scale:g} ({count} pictures)", ""]
        lines += [f"| model | {' | '.join(c.heads())} |", "|---" + "|--:" * len(c.metrics) + "|"]
        for result in group:
            row = [f"**{x.text}**" if x.best else x.text for x in cells(c, group, result)]
            if result.report is None:
                row[:1] = [f"does not make x{scale:g}"]
            name = result.model.replace("|", r"\|")
            lines.append(f"| {name} | {' | '.join(row)} |")
        lines.append("")
    lines += [LEGEND, "", *(f"- {line}" for line in notes(c))]
    return "\n".join(lines) + "\n"


def latex_table(c: Findings) -> str:
    """One table: scales and data sets as groups of rows, figures as columns."""
    lines = [f"% {line}" for line in [*notes(c), LEGEND]]
    lines += [
        r"\begin{tabular}{lll" + "r" * len(c.metrics) + "}",
        r"\toprule",
        " & ".join(["Data", "Scale", "Model", *map(_tex, c.heads())]) + r" \\",
    ]
    for (data, scale), group in c.groups().items():
        lines.append(r"\midrule")
        where = [_tex(data), rf"$\times${scale:g}"]
        for result in group:
            if result.report is None:
                continue
            row = [
                rf"\textbf{{{_tex(x.text)}}}" if x.best else _tex(x.text)
                for x in cells(c, group, result)
            ]
            lines.append(" & ".join([*where, _tex(result.model), *row]) + r" \\")
            where = ["", ""]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def csv_table(c: Findings) -> str:
    """One line per picture and model; times come last where they are known.

    Times differ from run to run, so they are given here and not in the JSON.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [m.name for m in c.metrics if m.measure_set is None]
    writer.writerow(["data", "scale", "model", "image", "height", "width", *names, "seconds"])
    for r in c.results:
        for row in r.report.rows if r.report is not None else ():
            figures = [row.values.get(name, "") for name in names]
            place = [r.data, f"{r.scale:g}", r.model, row.name, row.height, row.width]
            seconds = "" if row.seconds is None else f"{row.seconds:.4f}"
            writer.writerow([*place, *figures, seconds])
    return text.getvalue()


def notes(c: Findings) -> list[str]:
    """The remarks that a reader of the figures needs."""
    lines = [f"{key}: {value}" for key, value in c.conditions.items()]
    lines += [
        f"{m.name}: {m.looks_at}, {m.range}, {m.better} is better, by {m.source}" for m in c.metrics
    ]
    if any(m.source.startswith("pyiqa") for m in c.metrics):
        lines.append(PYIQA_LICENCE)
    lines += [f"{name} is unavailable: {reason}" for name, reason in c.unavailable.items()]
    lines += dict.fromkeys(r.reason for r in c.results if r.report is None)
    for r in c.results:
        for row in r.report.rows if r.report is not None else ():
            lines += [
                f"{r.model} on {r.data} x{r.scale:g}, {row.name}: no {name}: {reason}"
                for name, reason in row.missing.items()
            ]
    for (data, scale), group in c.groups().items():
        remarks = [line for r in group if r.report is not None for line in r.report.remarks()]
        lines += [f"{data} x{scale:g}, {line}" for line in dict.fromkeys(remarks)]
    resized = {f["name"]: f["scale"] for f in c.models if f["resized"]}
    lines += [f"{name} makes {own}; elsewhere resized" for name, own in resized.items()]
    return lines


def _tex(text: str) -> str:
    special = {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "≈": r"$\approx$",
        "—": "--",
    }
    return "".join(special.get(ch, f"\\{ch}" if ch in "_&%$#{}" else ch) for ch in text)
