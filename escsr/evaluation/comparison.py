"""The report on several models, and its file formats."""

import json
import os
from pathlib import Path
from typing import Any

from escsr.evaluation.crops import slug
from escsr.evaluation.page import html_page
from escsr.evaluation.plots import plots
from escsr.evaluation.report import check_writable
from escsr.evaluation.results import Findings, Result
from escsr.evaluation.tables import csv_table, latex_table, markdown_tables
from escsr.files import write_text

__all__ = ["Comparison"]


class Comparison(Findings):
    """Figures of several models, with methods to write them; made by `escsr.evaluation.compare`."""

    def to_json(self) -> str:
        """Everything except times, which differ from run to run, as strict JSON."""
        content = {
            "format": 1,
            "conditions": dict(self.conditions),
            "metrics": [metric.facts() for metric in self.metrics],
            "unavailable": dict(self.unavailable),
            "models": list(self.models),
            "data": list(self.data),
            "results": [_result_to_dict(result) for result in self.results],
            "differences": self.differences(),
        }
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """One line per picture and model."""
        return csv_table(self)

    def to_markdown(self) -> str:
        """One table per data set and scale, and the conditions below."""
        return markdown_tables(self)

    def to_latex(self) -> str:
        """One table for a paper (needs the package booktabs)."""
        return latex_table(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report, in the format of the file name's ending or all of them to a folder.

        Args:
            path: Ending in .json, .csv, .md or .tex; anything else is a folder, which is made and
                gets ``report.json``, ``report.csv``, ``report.md``, ``report.tex``,
                ``report.html`` and the plots as SVG.

        Raises:
            OSError: It cannot be written there.
        """
        path = Path(path)
        write = {
            ".json": self.to_json,
            ".csv": self.to_csv,
            ".md": self.to_markdown,
            ".tex": self.to_latex,
        }
        if path.suffix.lower() in write:
            check_writable(path, tuple(write))
            write_text(path, write[path.suffix.lower()]())
            return
        path.mkdir(parents=True, exist_ok=True)
        for suffix, make in write.items():
            write_text(path / f"report{suffix}", make())
        for title, svg in plots(self).items():
            name = slug(title.replace(" ", "_"))
            write_text(path / f"{name}.svg", svg)
        write_text(path / "report.html", html_page(self))


def _result_to_dict(result: Result) -> dict[str, Any]:
    who: dict[str, Any] = {"model": result.model, "data": result.data, "scale": result.scale}
    if result.report is None:
        return who | {"not_made": result.reason}
    content = json.loads(result.report.to_json())
    return who | {
        "crop": result.report.conditions["crop"],
        "means": content["means"],
        "counts": result.report.counts,
        **({"left_out": content["left_out"]} if "left_out" in content else {}),
        "images": content["images"],
    }
