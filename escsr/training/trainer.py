"""The training loop: one function, from a recipe to weights."""

import random
import signal
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from escsr.locking import only_run
from escsr.recipe import Recipe, RecipeError, check
from escsr.training.processes import Processes
from escsr.training.run import Run, Summary
from escsr.training.run_folder import RunFolder
from escsr.training.state import rng_state, set_rng_state
from escsr.training.timing import Deadline

__all__ = ["train"]


def train(
    recipe: Recipe,
    *,
    out: str | Path,
    resume: bool = False,
    changing: Sequence[str] = (),
    source: str | Path | None = None,
    overrides: Sequence[str] = (),
    minutes: float | None = None,
    console: Console | None = None,
) -> Summary:
    """Train a network as described by a recipe.

    The run's folder contains the recipe, all resolved values, versions, a log of figures
    (``log.jsonl``) and one of events with times and speeds (``events.jsonl``), TensorBoard's files,
    checkpoints, and at the end ``model.safetensors`` with the averaged weights, which `escsr.load`
    opens. ``best.safetensors`` contains those of the best validation so far.

    Whatever ends a run except a kill (Ctrl-C, SIGTERM, an error) saves its state first. When
    resumed, it continues from the last checkpoint: on a CPU its weights and log are then those of
    an uninterrupted run, bit for bit.

    Several processes, started by ``accelerate launch`` or ``torchrun``, share each batch.

    Args:
        recipe: The recipe, which is checked first.
        out: Folder of the run.
        resume: Continue from the last checkpoint in ``out``; if there is none, begin.
        changing: Keys of the recipe whose values may differ from the run's start, e.g. "steps" or
            "optimizer.lr"; "optimizer" covers all of its keys. Other changes are refused on resume.
            Changes are recorded in ``events.jsonl``.
        source: The recipe's file as `escsr.recipe.load` read it: the folder keeps a copy, also of
            the recipes it builds on and the modules beside it.
        overrides: The changes made to it (`escsr.recipe.apply`), to be kept with it.
        minutes: Time limit of this call: when it is reached, everything is saved, and the run can
            be resumed. The call stops before a step and its validation if, judging by their
            durations so far, they would end too late. None: no limit.
        console: Where progress is shown; None: standard output.

    Returns:
        How it ended. After Ctrl-C or SIGTERM, or when time is up, everything is saved and
        ``finished`` is False.

    Raises:
        RecipeError: If the recipe has problems; all are listed, and nothing is written.
        FileExistsError: If ``out`` contains a run and ``resume`` is False, or a run is in progress
            there.
        ValueError: If a resumed run's recipe was changed, or its checkpoint is damaged.
        OSError: If something cannot be written, e.g. because the disk is full; earlier checkpoints
            stay intact.
        TrainingError: If loss or gradient stay non-finite; the last batch is kept in the run's
            folder.

    Example:
        >>> summary = train(load("recipes/smoke.py"), out="runs/smoke")
        >>> model = escsr.load(summary.weights)
    """
    if minutes is not None and not minutes > 0:
        raise ValueError(f"minutes must be above 0, got {minutes}")
    deadline = Deadline(None if minutes is None else 60 * minutes)
    folder = RunFolder(out)
    problems = check(recipe, resumed=resume and folder.has_checkpoint())
    if problems:
        raise RecipeError(problems)
    processes = Processes(recipe.device)
    # From the start, since a run writes its first file only after a while.
    advice = "wait until it ends, stop it, or name another folder (--out)"
    alone = only_run(folder.path, advice=advice) if processes.is_main else nullcontext()
    with alone, _random_state(recipe.seed):
        run = Run(recipe, folder, processes, deadline=deadline, console=console)
        run.start(resume=resume, changing=changing, source=source, overrides=overrides)
        with _stop_signals() as stop:
            return run.loop(stop)


@contextmanager
def _random_state(seed: int) -> Iterator[None]:
    """Seed the global generators for the run, and restore the caller's states afterwards.

    Our own parts have their own generators; network weights are drawn from torch's global one, and
    third-party parts may draw from any.
    """
    before = rng_state()
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        yield
    finally:
        set_rng_state(before)


@contextmanager
def _stop_signals() -> Iterator[Callable[[], int | None]]:
    """Turn Ctrl-C and SIGTERM into a flag that the loop checks after each step.

    A second Ctrl-C interrupts immediately. Outside the main thread signals cannot be caught, and
    nothing is changed.
    """
    received: list[int] = []

    def note(number: int, frame: types.FrameType | None) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    previous = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            previous[number] = signal.signal(number, note)
        except ValueError:  # not the main thread
            break
    try:
        yield lambda: received[0] if received else None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
