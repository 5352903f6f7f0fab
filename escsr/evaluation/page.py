"""The report as one HTML file: it holds its pictures and opens without a server."""

import base64
from html import escape
from importlib.resources import files
from pathlib import Path

from escsr.evaluation.plots import plots
from escsr.evaluation.results import Crops, Findings, Result
from escsr.evaluation.tables import LEGEND, cells, notes

__all__ = ["html_page"]

_HINT = (
    "Wheel or + and - magnify, dragging or arrow keys move, a double click or 0 goes back; all "
    "pictures of a row follow. The part shown is where bicubic errs most, or where contrast is "
    "highest if there is no ground truth. LQ is shown with its pixels repeated."
)


def html_page(c: Findings) -> str:
    """Tables, plots and crops that magnify and move together.

    Args:
        c: the comparison; the files of its crops must still be there.

    Returns:
        HTML with everything in it.
    """
    style, script = (
        files("escsr.evaluation").joinpath(name).read_text("utf-8")
        for name in ("viewer.css", "viewer.js")
    )
    sections = [_tables(c)]
    drawn = plots(c)
    if drawn:
        sections.append(f'<h2>Plots</h2><div class="plots">{"".join(drawn.values())}</div>')
    if c.crops:
        shown = "".join(_crops(c, crops) for crops in c.crops)
        sections.append(f'<h2>Pictures</h2><p class="hint">{escape(_HINT)}</p>{shown}')
    told = "".join(f"<li>{escape(line)}</li>" for line in notes(c))
    sections.append(f'<h2>How it was taken</h2><ul class="notes">{told}</ul>')
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Evaluation</title><style>\n{style}</style></head><body>"
        f"<h1>Evaluation</h1>{''.join(sections)}<script>\n{script}</script></body></html>\n"
    )


def _tables(c: Findings) -> str:
    parts = ["<h2>Figures</h2>"]
    for (data, scale), group in c.groups().items():
        count = max((len(r.report.rows) for r in group if r.report), default=0)
        heads = "".join(f"<th>{escape(head)}</th>" for head in c.heads())
        parts.append(
            f"<h3>{escape(data)} x{scale:g} ({count} pictures)</h3><div class='table'><table>"
        )
        parts.append(f"<tr><th>model</th>{heads}</tr>")
        for result in group:
            parts.append(f"<tr><td>{escape(result.model)}</td>{_row(c, group, result)}</tr>")
        parts.append("</table></div>")
    return "".join(parts) + f'<p class="hint">{escape(LEGEND)}</p>'


def _row(c: Findings, group: list[Result], result: Result) -> str:
    if result.report is None:
        return f'<td class="absent" colspan="{len(c.metrics)}">does not make x{result.scale:g}</td>'
    return "".join(
        f'<td class="{"best" if cell.best else ""}">{escape(cell.text)}</td>'
        for cell in cells(c, group, result)
    )


def _crops(c: Findings, crops: Crops) -> str:
    group = c.groups()[crops.data, crops.scale]
    panes = "".join(_pane(c, crops, group, what, path) for what, path in crops.panes)
    title = f"{crops.data} x{crops.scale:g}, {crops.image}"
    return f'<h3>{escape(title)}</h3><div class="group">{panes}</div>'


def _pane(c: Findings, crops: Crops, group: list[Result], what: str, path: Path) -> str:
    figures = ""
    report = next((r.report for r in group if r.model == what), None)
    if report is not None:
        row = next(row for row in report.rows if row.name == crops.image)
        told = [f"{m.name} {m.show(row.values[m.name])}" for m in c.metrics if m.name in row.values]
        figures = f"<br><span>{escape(', '.join(told[:3]))}</span>"
    data = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<figure><div class="pane" tabindex="0" role="img" aria-label="{escape(what)}">'
        f'<img alt="{escape(what)}" draggable="false" src="data:image/png;base64,{data}"></div>'
        f"<figcaption><b>{escape(what)}</b>{figures}</figcaption></figure>"
    )
