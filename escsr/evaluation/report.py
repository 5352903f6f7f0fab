"""The report on one model and one data set: figures and conditions."""

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from escsr.evaluation.catalogue import OWN_METRICS
from escsr.files import write_text

__all__ = ["Report", "Row", "check_writable", "leave_out_infinite", "show"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """Figures of one picture.

    Attributes:
        name: The picture.
        height: Pixels compared, before the crop.
        width: Likewise.
        values: Figure by metric.
        missing: Metrics that could not be measured on this picture, with the reason.
        seconds: How long the enlargement took, if known.
    """

    name: str
    height: int
    width: int
    values: Mapping[str, float]
    missing: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The row for JSON, without the time, which differs from run to run."""
        facts = {"name": self.name, "height": self.height, "width": self.width}
        missing = {"missing": dict(self.missing)} if self.missing else {}
        return {**facts, **_finite_or_text(self.values), **missing}


@dataclass(frozen=True, kw_only=True)
class Report:
    """Figures per picture and their means, with the conditions of the measurement.

    Attributes:
        rows: One per picture.
        conditions: Everything that affects a figure (protocol, crop, colour, rounding, resizer,
            counts, versions), as plain words and numbers.
        set_values: Figures that belong to the set as a whole (FID).
        left_out: By metric, the pictures left out of its mean because the value is infinite for
            this model or for one it is compared with (a flat picture, enlarged exactly).
    """

    rows: tuple[Row, ...]
    conditions: Mapping[str, str | int | float]
    set_values: Mapping[str, float] = field(default_factory=dict)
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the per-picture figures."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.values))

    @property
    def counts(self) -> dict[str, int]:
        """The number of pictures in each mean."""
        return {name: len(self._rows_in_mean(name)) for name in self.metrics}

    @property
    def means(self) -> dict[str, float]:
        """Mean of each figure over the pictures that count for it (of PSNR: of the decibels)."""
        means = {}
        for name in self.metrics:
            values = [row.values[name] for row in self._rows_in_mean(name)]
            means[name] = math.fsum(values) / len(values)
        return {**means, **self.set_values}

    def is_complete(self, metric: str) -> bool:
        """Whether all pictures have a figure, or the set as a whole."""
        return metric in self.set_values or (
            metric in self.metrics and all(metric in row.values for row in self.rows)
        )

    def _rows_in_mean(self, metric: str) -> list[Row]:
        out = self.left_out.get(metric, ())
        return [row for row in self.rows if metric in row.values and row.name not in out]

    def to_json(self) -> str:
        """Conditions, means and rows. Strict JSON: an infinite PSNR is the string "inf"."""
        content = {
            "conditions": dict(self.conditions),
            "means": _finite_or_text(self.means),
            **(
                {"left_out": {k: list(v) for k, v in self.left_out.items()}}
                if self.left_out
                else {}
            ),
            "images": [row.to_dict() for row in self.rows],
        }
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """One line per picture, without the means."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["name", "height", "width", *self.metrics])
        for row in self.rows:
            figures = [row.values.get(name, "") for name in self.metrics]
            writer.writerow([row.name, row.height, row.width, *figures])
        return text.getvalue()

    def to_markdown(self) -> str:
        """A table with the means last, and the conditions below it."""
        names = list(self.means)
        lines = [f"| image | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
        for name, values in [*((r.name, r.values) for r in self.rows), ("**mean**", self.means)]:
            cells = [show(k, values[k]) if k in values else "" for k in names]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines += ["", *(f"- {key}: {value}" for key, value in self.conditions.items())]
        lines += [f"- {line}" for line in self.remarks()]
        return "\n".join(lines) + "\n"

    def remarks(self) -> list[str]:
        """The remarks on the means: pictures left out of them."""
        return [
            f"not in the mean of {metric}: {', '.join(names)} (enlarged exactly, the value is "
            "infinite)"
            for metric, names in self.left_out.items()
        ]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report whole or not at all, in the format of the file name's ending.

        Args:
            path: Ending in .json, .csv or .md.

        Raises:
            ValueError: Another ending.
            OSError: It cannot be written there, e.g. because the folder is missing.
        """
        path = Path(path)
        write = {".json": self.to_json, ".csv": self.to_csv, ".md": self.to_markdown}
        check_writable(path, tuple(write))
        write_text(path, write[path.suffix.lower()]())


def leave_out_infinite(reports: Sequence[Report]) -> list[Report]:
    """Leave out of the means the pictures whose value is infinite for any of several models.

    All means are then over the same pictures. Where none would be left, they stay infinite.

    Args:
        reports: Reports on one data set at one scale.
    """
    left_out: dict[str, tuple[str, ...]] = {}
    for metric in dict.fromkeys(name for report in reports for name in report.metrics):
        rows = [row for report in reports for row in report.rows if metric in row.values]
        out = dict.fromkeys(row.name for row in rows if not math.isfinite(row.values[metric]))
        every = [{row.name for row in r.rows if metric in row.values} for r in reports]
        if out and all(names - out.keys() for names in every if names):
            left_out[metric] = tuple(out)
    return [
        replace(r, left_out={k: v for k, v in left_out.items() if k in r.metrics}) for r in reports
    ]


def check_writable(path: Path, endings: tuple[str, ...] = (".json", ".csv", ".md")) -> None:
    """Check a report's file name early.

    Args:
        path: Where the report will be written.
        endings: The endings allowed.

    Raises:
        ValueError: Another ending.
        FileNotFoundError: The folder does not exist.
        IsADirectoryError: It is a folder.
    """
    if path.suffix.lower() not in endings:
        raise ValueError(f"{path}: unknown ending; allowed: {', '.join(endings)}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give a file name")


def show(metric: str, value: float) -> str:
    """A figure with as many digits as in papers: 2 for decibels, mostly 4 otherwise."""
    if metric in OWN_METRICS:
        return OWN_METRICS[metric].show(value)
    return f"{value:.2f}" if metric.startswith(("psnr", "pyiqa:psnr")) else f"{value:.4f}"


def _finite_or_text(values: Mapping[str, float]) -> dict[str, float | str]:
    """JSON has no infinity."""
    return {k: v if math.isfinite(v) else str(v) for k, v in values.items()}
