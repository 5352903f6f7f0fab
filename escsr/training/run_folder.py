"""The folder of a run: its recipe, its logs and its results."""

import json
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from escsr.files import write_json, write_text
from escsr.recipe import Recipe, differences
from escsr.training.kept_recipe import keep_recipe
from escsr.training.state import checkpoints, load_state, write_atomically

NEUTRAL = frozenset(
    {
        "workers",
        "log_every",
        "save_every",
        "keep",
        "tensorboard",
        "trackers",
        "data.cache_bytes",
        "data.cache_folder",
    }
)
"""Keys of a recipe that affect how a run proceeds but not its result; free on resume."""

_DEFAULTS = {
    field.name: list(field.default) if isinstance(field.default, tuple) else field.default
    for field in fields(Recipe)
    if field.default is not MISSING
}

_PACKAGES = ("torch", "numpy", "safetensors", "pyvips", "timm", "accelerate")


class RunFolder:
    """The files of one run: their names, and how they are written.

    ``recipe.py`` and ``recipe`` (the recipe's file and the files it is made from), ``recipe.json``
    (every value, including overrides and defaults), ``environment.json`` (versions, git revision),
    ``log.jsonl`` (figures), ``events.jsonl`` (what happened when).

    Args:
        path: The folder; created when a run begins.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.log_path = self.path / "log.jsonl"
        self.events_path = self.path / "events.jsonl"
        self.weights = self.path / "model.safetensors"
        self.best_weights = self.path / "best.safetensors"

    def begin(
        self,
        description: dict[str, Any],
        source: str | Path | None,
        overrides: Sequence[str] = (),
        *,
        anew: bool = False,
    ) -> None:
        """Create the folder and write the recipe.

        Args:
            description: The recipe's values.
            source: The recipe's file, to be copied with the files it is made from, or None.
            overrides: The changes made to it.
            anew: Whether a run that has no checkpoint yet may be started again here.

        Raises:
            FileExistsError: If the folder already contains a run.
        """
        begun = self.log_path.exists() and not anew
        if begun or checkpoints(self.checkpoints):
            raise FileExistsError(
                f"{self.path} holds a run already; go on with it (--resume), or name another "
                "folder (--out)"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        self.log_path.unlink(missing_ok=True)
        keep_recipe(self.path, source, overrides)
        self.rewrite(description)
        write_json(self.path / "environment.json", environment())
        self.note({"step": 0, "event": "begun"})

    def rewrite(self, description: dict[str, Any]) -> None:
        """Write the recipe's values, at the beginning or after a change."""
        write_json(self.path / "recipe.json", description)

    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint to continue from."""
        return bool(checkpoints(self.checkpoints))

    def latest_state(self) -> dict[str, Any] | None:
        """Read the last checkpoint.

        Returns:
            The checkpoint, or None if there is none yet.

        Raises:
            ValueError: If it is damaged.
        """
        found = checkpoints(self.checkpoints)
        return load_state(found[-1]) if found else None

    def refuse_changes(
        self, before: dict[str, Any], now: dict[str, Any], changing: Sequence[str] = ()
    ) -> dict[str, tuple[Any, Any]]:
        """Compare a resumed recipe with the one the run began with.

        Args:
            before: The values it began with.
            now: The values it is to continue with.
            changing: Keys that may differ; the name of a part covers all of its keys.

        Returns:
            The changes that are harmless or allowed: key to (old, new).

        Raises:
            ValueError: If anything else was changed; every key is named.
        """
        # a setting that an older version lacked behaved like the present default
        before = {key: value for key, value in _DEFAULTS.items() if key in now} | before
        changed = differences(before, now)
        lines = [
            f"\n  {key}: was {old!r}, is {new!r}"
            for key, (old, new) in changed.items()
            if key not in NEUTRAL and not any(f"{key}.".startswith(f"{c}.") for c in changing)
        ]
        if lines:
            raise ValueError(
                f"the recipe was changed since {self.path} began, so its result would be neither "
                "the old nor the new recipe's; change it back, start again in another folder, or "
                "name the keys that may change (--change KEY):" + "".join(lines)
            )
        return changed

    def keep_batch(self, pieces: Sequence[dict[str, Tensor]], step: int, process: int) -> Path:
        """Write a batch whose loss or gradient was not finite, for inspection.

        Returns:
            Path of the file, which ``torch.load`` opens.
        """
        path = self.path / f"bad_batch_{step}_process_{process}.pt"
        write_atomically(path, {"step": step, "pieces": list(pieces)})
        return path

    def log(self, record: dict[str, Any]) -> None:
        """Append figures to ``log.jsonl``."""
        _append(self.log_path, record)

    def note(self, record: dict[str, Any]) -> None:
        """Append an event, with the time, to ``events.jsonl``."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        _append(self.events_path, {"time": now, **record})

    def forget_after(self, step: int) -> None:
        """Drop lines of the log after a step; they will be written again on resume."""
        if not self.log_path.exists():
            return
        kept = [line for line in self._lines() if json.loads(line).get("step", 0) <= step]
        write_text(self.log_path, "".join(line + "\n" for line in kept))

    def _lines(self) -> Iterable[str]:
        for line in self.log_path.read_text(encoding="utf-8").splitlines():
            if line.endswith("}"):  # a killed run may leave half a line at the end
                yield line


def _append(path: Path, record: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def environment() -> dict[str, Any]:
    """Return versions, machine and git revision, as far as they are known."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    from escsr.version import __version__

    return {
        "escsr": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "git": _git_revision(),
    }


def _git_revision() -> str | None:
    """Return the revision of the working directory, marked if there are uncommitted changes."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
