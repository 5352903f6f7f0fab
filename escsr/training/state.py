"""Checkpoints of a run: everything that the next step depends on, written atomically."""

import os
import pickle
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from escsr.files import remove_leftovers, replacing

FORMAT = 1
"""Version of the checkpoint layout; raised when older programs could not read it."""

_NAME = re.compile(r"step_(\d+)\.pt")


def save_state(folder: Path, state: dict[str, Any], *, keep: int, best: bool = False) -> Path:
    """Write the checkpoint of ``state["step"]`` and remove the oldest ones.

    The file appears under its name only when it is completely on the disk, so a crash or a full
    disk at any moment leaves the previous checkpoint intact.

    Args:
        folder: Where checkpoints are kept; created if missing.
        state: Tensors, numbers, strings and plain containers of them.
        keep: Number of latest checkpoints to keep, at least 1.
        best: Whether to keep this one as ``best.pt``, too.

    Returns:
        Path of the checkpoint.

    Raises:
        OSError: If it cannot be written; the message names the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)  # a run killed while saving leaves a file as large as a checkpoint
    path = folder / f"step_{state['step']:09d}.pt"
    write_atomically(path, state)
    if best:
        try:
            with replacing(folder / "best.pt") as link:
                link.unlink()
                os.link(path, link)  # the same bytes under a second name cost no disk
        except OSError:  # a file system without hard links
            write_atomically(folder / "best.pt", state)
    for old in checkpoints(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """List a run's checkpoints from the oldest to the latest step (without ``best.pt``)."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def load_state(path: Path) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted (``weights_only``).

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If the file is no checkpoint of a run, or is damaged.
    """
    with path.open("rb") as file:  # so that a missing file or permission raises its own error
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except (RuntimeError, OSError, EOFError, pickle.UnpicklingError, KeyError) as error:
            raise ValueError(f"{path} is damaged or no checkpoint of a training run") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        found = state.get("format") if isinstance(state, dict) else type(state).__name__
        raise ValueError(f"{path} is no checkpoint of format {FORMAT} (found: {found})")
    return state


def write_atomically(path: Path, state: dict[str, Any]) -> None:
    """Write with `torch.save`, completely and synced to the disk, or not at all."""
    try:
        with replacing(path, durable=True) as temporary, temporary.open("wb") as file:
            torch.save(state, file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise OSError(f"cannot write the checkpoint {path}: {error}") from error


def rng_state() -> dict[str, Any]:
    """Return the states of the global generators of torch, CUDA, NumPy and Python.

    The library draws from its own generators; these are kept for parts that do not, such as
    dropout.
    """
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        # as a tensor, since weights_only loading does not accept NumPy arrays
        "numpy": (name, torch.from_numpy(np.asarray(keys, np.int64)), position, has_gauss, cached),
        "python": random.getstate(),
    }


def set_rng_state(state: dict[str, Any]) -> None:
    """Restore what `rng_state` returned (CUDA only where the number of GPUs is the same)."""
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
