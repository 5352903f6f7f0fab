"""The file of figures: written after each of them, and continued after a crash."""

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from escsr.files import replacing

SECTIONS: Mapping[str, float] = {
    "rates": 0.1,
    "correctness": 0.22,
    "against": 0.34,
    "networks": 0.76,
    "heads": 0.81,
    "end_to_end": 0.88,
    "training": 1.0,
}
"""What is measured, in this order, and the share of all time by which it must be over. Time that
one leaves goes to those that follow."""

FORMAT = 1
"""Of the file; changes when a reader of old files would misread new ones."""

Entry = dict[str, Any]


class DeviceLostError(RuntimeError):
    """The device no longer responds: only a new process can continue."""


class Record:
    """The figures of one run, on the disk as soon as they are known.

    Args:
        path: The JSON file.
        report: What is in it.
    """

    def __init__(self, path: Path, report: dict[str, Any]) -> None:
        self.path, self.report = path, report

    @classmethod
    def begun(cls, path: Path, settings: Mapping[str, Any]) -> "Record":
        """A new file; one that was there is replaced.

        Args:
            path: Where.
            settings: Of the run; ``minutes`` among them.
        """
        report: dict[str, Any] = {
            "format": FORMAT,
            "date": time.strftime("%Y-%m-%d"),
            "settings": dict(settings),
            "began": time.time(),
            "finished": False,
            "machine": {},
            **{name: [] for name in SECTIONS},
            "left_out": dict.fromkeys(SECTIONS, 0),
            "pending": None,
        }
        record = cls(path, report)
        record.write()
        return record

    @classmethod
    def resumed(cls, path: Path) -> "Record":
        """Reopen the file in another process; the interrupted measurement counts as failed."""
        record = cls(path, json.loads(path.read_text(encoding="utf-8")))
        record.give_up("the process ended")
        return record

    def write(self) -> None:
        """Write the file as a whole."""
        with replacing(self.path) as temporary:
            temporary.write_text(json.dumps(self.report, indent=1) + "\n", encoding="utf-8")

    def give_up(self, reason: str) -> None:
        """Record that the current measurement failed, if there is one."""
        pending = self.report["pending"]
        if pending is not None:
            self._add(pending["section"], {**pending["about"], "error": reason})

    def left(self, section: str) -> float:
        """Seconds that a section may still take; a rehearsal leaves nothing out."""
        if self.report["settings"]["dry_run"]:
            return math.inf
        whole = 60 * float(self.report["settings"]["minutes"])
        return float(self.report["began"]) + SECTIONS[section] * whole - time.time()

    def measure(
        self,
        section: str,
        about: Mapping[str, Any],
        function: Callable[[], Mapping[str, Any]],
        *,
        needs: float = 0.0,
    ) -> Entry | None:
        """Measure one thing, unless it was measured before or time is up.

        Args:
            section: One of `SECTIONS`.
            about: What it is; different for all entries of a section.
            function: Gives the figures.
            needs: Seconds that it will take, about.

        Returns:
            The entry: ``about``, and the figures or an ``error``; None if time was up.

        Raises:
            DeviceLostError: If the device no longer responds.
        """
        about = dict(about)
        for entry in self.report[section]:
            if all(entry.get(key) == value for key, value in about.items()):
                known: Entry = entry
                return known
        if self.left(section) < needs:
            self.report["left_out"][section] += 1
            return None
        self.report["pending"] = {"section": section, "about": about, "since": time.time()}
        self.write()
        try:
            return self._add(section, {**about, **function()})
        except Exception as error:  # whatever it is, the others can be measured
            entry = self._add(section, {**about, "error": _told(error)})
            if is_lost(error):
                raise DeviceLostError from error
            return entry

    def _add(self, section: str, entry: Entry) -> Entry:
        self.report[section].append(entry)
        self.report["pending"] = None
        self.write()
        return entry


def _told(error: Exception) -> str:
    lines = (str(error) or type(error).__name__).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}"[:400]


def is_lost(error: Exception) -> bool:
    """Whether an error means that the device no longer responds."""
    text = str(error)
    fatal = ("device-side assert", "illegal memory access", "unspecified launch failure")
    return any(part in text for part in fatal)
