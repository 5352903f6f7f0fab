"""Figures saved while an evaluation runs, so that it can continue after an interruption."""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Missing", "Records", "Value", "from_json_value", "record_key", "to_json_value"]


class Missing(str):
    """Takes the place of a figure that could not be measured; the text is the reason."""


Value = float | Missing


def to_json_value(value: Value) -> float | str | dict[str, str]:
    """A value in strict JSON: infinity is the string "inf"."""
    if isinstance(value, Missing):
        return {"missing": str(value)}
    return value if math.isfinite(value) else str(value)


def from_json_value(value: Any) -> Value:
    """The value that `to_json_value` wrote."""
    return Missing(value["missing"]) if isinstance(value, dict) else float(value)


def record_key(conditions: Mapping[str, Any]) -> str:
    """A short name for everything that affects the results of one picture."""
    text = json.dumps(conditions, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


class Records:
    """Figures by key and metric, in memory and, if there is one, in a file.

    One line is appended and flushed per picture and model. A line cut short by an interruption is
    skipped and its picture measured again. Figures measured under other conditions have other keys,
    so one file can serve several evaluations.

    Args:
        path: The file (JSON lines), or None to keep nothing.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._values: dict[str, dict[str, Value]] = {}
        self._seconds: dict[str, float] = {}
        if path is not None and path.exists():
            self._read(path)

    def __len__(self) -> int:
        return len(self._values)

    def values(self, key: str) -> dict[str, Value]:
        """The values stored under a key, by metric."""
        return self._values.get(key, {})

    def seconds(self, key: str) -> float | None:
        """How long the enlargement took."""
        return self._seconds.get(key)

    def add(self, key: str, values: Mapping[str, Value], *, seconds: float | None = None) -> None:
        """Keep figures, replacing those of the same key and metric."""
        self._values.setdefault(key, {}).update(values)
        line: dict[str, Any] = {
            "key": key,
            "values": {k: to_json_value(v) for k, v in values.items()},
        }
        if seconds is not None:
            self._seconds[key] = seconds
            line["seconds"] = round(seconds, 4)
        if self._path is None:
            return
        text = json.dumps(line, ensure_ascii=False, allow_nan=False)
        with self._path.open("a+b") as file:
            # Start a new line after one that was cut short.
            whole = file.seek(0, 2) == 0 or (file.seek(-1, 2), file.read(1))[1] == b"\n"
            file.write(b"" if whole else b"\n")
            file.write(text.encode() + b"\n")

    def _read(self, path: Path) -> None:
        for line in path.read_bytes().splitlines():
            try:
                entry = json.loads(line)
                values = {k: from_json_value(v) for k, v in entry["values"].items()}
                key = str(entry["key"])
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # cut short
            self._values.setdefault(key, {}).update(values)
            if "seconds" in entry:
                self._seconds[key] = float(entry["seconds"])
