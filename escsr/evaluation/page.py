"""The report as one HTML file: it holds its pictures and opens without a server."""

import base64
from importlib.resources import files
from pathlib import Path
from typing import Any

from escsr.evaluation.plots import plots
from escsr.evaluation.results import Crops, Findings, Result
from escsr.evaluation.tables import LEGEND, cells, notes

__all__ = ["html_page"]

_HINT = (
    "Zoom with the wheel or + and -, pan by dragging or with the arrow keys, reset with a double "
    "click or 0; all pictures of a row follow. The part shown is where bicubic errs most, or where "
    "contrast is highest if there is no ground truth. LQ is shown with its pixels repeated."
)


def html_page(c: Findings) -> str:
    """Tables, plots and crops that zoom and pan together.

    Args:
        c: The comparison; its crop files must still exist.

    Returns:
        Self-contained HTML.
    """
    from jinja2 import Environment

    folder = files("escsr.evaluation")
    style, script, template = (
        folder.joinpath(name).read_text("utf-8")
        for name in ("viewer.css", "viewer.js", "report.html.jinja")
    )
    environment = Environment(autoescape=True, trim_blocks=True, keep_trailing_newline=True)
    return environment.from_string(template).render(
        style=style,
        script=script,
        headings=c.heads(),
        tables=[_table(c, *where, group) for where, group in c.groups().items()],
        legend=LEGEND,
        plots=list(plots(c).values()),
        hint=_HINT,
        crops=[_crops(c, crops) for crops in c.crops],
        notes=notes(c),
    )


def _table(c: Findings, data: str, scale: float, group: list[Result]) -> dict[str, Any]:
    rows = [
        {
            "model": result.model,
            "absent": "" if result.report is not None else f"does not make x{scale:g}",
            "cells": cells(c, group, result),
        }
        for result in group
    ]
    count = max((len(r.report.rows) for r in group if r.report), default=0)
    return {"title": f"{data} x{scale:g}", "count": count, "rows": rows}


def _crops(c: Findings, crops: Crops) -> dict[str, Any]:
    group = c.groups()[crops.data, crops.scale]
    return {
        "title": f"{crops.data} x{crops.scale:g}, {crops.image}",
        "panes": [_pane(c, crops.image, group, name, path) for name, path in crops.panes],
    }


def _pane(c: Findings, image: str, group: list[Result], name: str, path: Path) -> dict[str, str]:
    """One crop, with up to three metrics of its picture."""
    report = next((r.report for r in group if r.model == name), None)
    figures: list[str] = []
    if report is not None:
        values = next(row.values for row in report.rows if row.name == image)
        figures = [f"{m.name} {m.show(values[m.name])}" for m in c.metrics if m.name in values]
    png = base64.b64encode(path.read_bytes()).decode()
    return {"name": name, "figures": ", ".join(figures[:3]), "png": png}
