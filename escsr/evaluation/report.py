"""What an evaluation found, and how it was taken."""

import csv
import io
import json
import math
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Report", "Row", "check_writable", "show"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """Figures of one picture.

    Attributes:
        name: the picture.
        height: pixels compared, before the crop.
        width: likewise.
        values: figure by metric.
    """

    name: str
    height: int
    width: int
    values: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Report:
    """Figures per picture and their means, with the conditions under which they were taken.

    Attributes:
        rows: one per picture.
        conditions: everything that moves a figure (protocol, crop, colour, rounding, resizer,
            counts, versions), as plain words and numbers.
    """

    rows: tuple[Row, ...]
    conditions: Mapping[str, str | int | float]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the figures."""
        return tuple(self.rows[0].values) if self.rows else ()

    @property
    def means(self) -> dict[str, float]:
        """Mean over pictures of each figure (of PSNR: of the decibels)."""
        return {
            name: math.fsum(row.values[name] for row in self.rows) / len(self.rows)
            for name in self.metrics
        }

    def to_json(self) -> str:
        """Conditions, means and rows. Strict JSON: an infinite PSNR is the string "inf"."""
        content = {
            "conditions": dict(self.conditions),
            "means": _plain(self.means),
            "images": [
                {"name": row.name, "height": row.height, "width": row.width, **_plain(row.values)}
                for row in self.rows
            ],
        }
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """One line per picture, without the means."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["name", "height", "width", *self.metrics])
        for row in self.rows:
            writer.writerow([row.name, row.height, row.width, *row.values.values()])
        return text.getvalue()

    def to_markdown(self) -> str:
        """A table with the means last, and the conditions below it."""
        lines = [
            f"| image | {' | '.join(self.metrics)} |",
            "|---" * (1 + len(self.metrics)) + "|",
        ]
        for name, values in [*((r.name, r.values) for r in self.rows), ("**mean**", self.means)]:
            lines.append(f"| {name} | {' | '.join(show(k, v) for k, v in values.items())} |")
        lines += ["", *(f"- {key}: {value}" for key, value in self.conditions.items())]
        return "\n".join(lines) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report whole or not at all, in the format of the file name's ending.

        Args:
            path: ending in .json, .csv or .md.

        Raises:
            ValueError: another ending.
            OSError: it cannot be written there, e.g. for want of its folder.
        """
        path = Path(path)
        check_writable(path)
        write = {".json": self.to_json, ".csv": self.to_csv, ".md": self.to_markdown}
        beside = path.with_name(f".escsr-{secrets.token_hex(6)}.tmp")
        try:
            beside.write_text(write[path.suffix.lower()](), encoding="utf-8")
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Refuse a report's file name early.

    Args:
        path: where a report shall go.

    Raises:
        ValueError: an ending other than .json, .csv and .md.
        FileNotFoundError: the folder does not exist.
        IsADirectoryError: it is a folder.
    """
    if path.suffix.lower() not in (".json", ".csv", ".md"):
        raise ValueError(f"{path}: unknown ending; allowed: .json, .csv, .md")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give a file name")


def show(metric: str, value: float) -> str:
    """A figure with the digits that papers give: 2 for decibels, 4 otherwise."""
    return f"{value:.2f}" if metric.startswith("psnr") else f"{value:.4f}"


def _plain(values: Mapping[str, float]) -> dict[str, float | str]:
    """JSON knows no infinity."""
    return {k: v if math.isfinite(v) else str(v) for k, v in values.items()}
