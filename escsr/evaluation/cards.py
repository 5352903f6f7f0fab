"""Model cards: what a weight file is, and its measured results."""

import os
from pathlib import Path

from escsr.evaluation.report import check_writable
from escsr.evaluation.results import Findings
from escsr.files import write_text

__all__ = ["model_card", "write_card"]

_BEGIN, _END = "<!-- measured -->", "<!-- end of measured -->"
_MEASURED = "Measured with "


def model_card(c: Findings, model: str, *, before: str = "") -> str:
    """Write the card of a model, or bring its figures up to date.

    The figures are placed between two comments; all other text is yours and is kept.

    Args:
        c: An evaluation of the model, preferably together with "bicubic".
        model: Name or file of the model, as in the evaluation.
        before: The existing card; if it lacks the comments, the figures are appended. Without a
            card, a new one starts with the metadata of the weight file.

    Returns:
        Markdown.

    Raises:
        ValueError: The model is not in the evaluation, or was not measured.
    """
    there = [r for r in c.results if r.model == model and r.report is not None]
    if not there:
        raise ValueError(f"there are no results for {model!r} in this evaluation")
    above, _, rest = (before or _head(c, model)).partition(_BEGIN)
    _, _, below = rest.partition(_END)
    scales = dict.fromkeys(r.scale for r in there)
    measured = "\n\n".join([_BEGIN, *(_table(c, model, scale) for scale in scales), _END])
    return "\n\n".join(filter(None, (above.rstrip(), measured, below.strip()))) + "\n"


def write_card(c: Findings, model: str, path: str | os.PathLike[str]) -> None:
    """Write a card to a file, whole or not at all; see `model_card`.

    Args:
        c: An evaluation of the model.
        model: Its name.
        path: Ending in .md; an existing card is updated.

    Raises:
        ValueError: Another ending, or no figures of the model.
        OSError: It cannot be written there.
    """
    path = Path(path)
    check_writable(path, (".md",))
    before = path.read_text("utf-8") if path.exists() else ""
    write_text(path, model_card(c, model, before=before))


def _head(c: Findings, model: str) -> str:
    """The facts stored in the weight file."""
    facts = next(f for f in c.models if f["name"] == model)
    rows = {"network": f"{facts['network']}, {facts['scale']}"}
    if "training" in facts:
        rows["training"] = facts["training"]
    if "licence" not in rows.get("training", ""):
        rows["licence"] = "not stated in the weight file"
    count = f"{facts['parameters']:,}".replace(",", " ")
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    return f"# {model}\n\n{count} parameters.\n\n| | |\n|---|---|\n{table}\n"


def _table(c: Findings, model: str, scale: float) -> str:
    """The first two metrics of every model at one scale, with their conditions."""
    metrics = c.metrics[:2]
    sets = list(dict.fromkeys(r.data for r in c.results))
    models = [m for m in dict.fromkeys(r.model for r in c.results) if m in ("bicubic", model)]
    names = " ".join(f"--model {m}" for m in models)
    pictures = {r.data: len(r.report.rows) for r in c.results if r.report and r.scale == scale}
    counts = ", ".join(f"{count} pictures of {data}" for data, count in pictures.items())
    crop = next(r.report.conditions["crop"] for r in c.results if r.report and r.scale == scale)
    how = (
        f"{_MEASURED}`escsr evaluate {names} --data {' --data '.join(sets)} --scale {scale:g} …`\n"
        f"({' / '.join(m.name for m in metrics)}; protocol {c.conditions['protocol']}, "
        f"crop {crop}, {c.conditions['rounding']}; LQ {c.conditions['lq']}; {counts}; "
        f"escsr {c.conditions['escsr']}, torch {c.conditions['torch']})."
    )
    lines = [how, "", f"| x{scale:g} | {' | '.join(sets)} |", "|---" * (1 + len(sets)) + "|"]
    for name in models:
        cells = []
        for data in sets:
            found = [r for r in c.results if (r.model, r.data, r.scale) == (name, data, scale)]
            means = found[0].report.means if found and found[0].report else {}
            texts = [m.show(means[m.name]) for m in metrics if m.name in means]
            cells.append(" / ".join(text.removeprefix("0") for text in texts) or "—")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
