"""The training loop: one function, from a recipe to weights."""

import json
import math
import random
import signal
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from escsr.data import BatchLoader
from escsr.recipe import Recipe, RecipeError, check, describe
from escsr.training.engine import Engine, TrainingError
from escsr.training.progress import Display, Window
from escsr.training.run_folder import RunFolder
from escsr.training.state import FORMAT, rng_state, save_state, set_rng_state

__all__ = ["Summary", "TrainingError", "train"]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How a run ended.

    Attributes:
        steps: Steps done in all, earlier parts of a resumed run included.
        finished: Whether that is all of the recipe's steps.
        signal: The signal that stopped it (e.g. 15 for SIGTERM), or None.
        metrics: The last validation's figures.
        best: The best value of the recipe's ``best`` figure, or None.
        best_step: The step that reached it, or None.
        skipped: Steps skipped because the loss or the gradient was not finite.
        seconds: Time taken by this call.
        weights: File with the averaged weights.
    """

    steps: int
    finished: bool
    signal: int | None
    metrics: dict[str, float]
    best: float | None
    best_step: int | None
    skipped: int
    seconds: float
    weights: Path


def train(
    recipe: Recipe,
    *,
    out: str | Path,
    resume: bool = False,
    source: str | Path | None = None,
    console: Console | None = None,
) -> Summary:
    """Train a network as a recipe says.

    The run's folder gets the recipe, all resolved values, versions, a log (``log.jsonl``),
    checkpoints and at the end ``model.safetensors`` with the averaged weights, which
    `escsr.load` opens. ``best.safetensors`` holds those of the best validation so far.

    A run that is interrupted (Ctrl-C, SIGTERM, a crash) is resumed from its last checkpoint;
    on a CPU its weights are then those of an uninterrupted run, bit for bit.

    Args:
        recipe: What to do. It is checked first.
        out: Folder of the run.
        resume: Go on from the last checkpoint in ``out``; if there is none, begin.
        source: The recipe's file, to be copied into the folder.
        console: Where progress is shown; None: standard output.

    Returns:
        How it ended. After Ctrl-C or SIGTERM everything is saved and ``finished`` is False.

    Raises:
        RecipeError: If the recipe has problems; all are listed, and nothing is written.
        FileExistsError: If ``out`` holds a run and ``resume`` is False.
        ValueError: If a resumed run's recipe was changed, or its checkpoint is damaged.
        TrainingError: If loss or gradient stay without finite values.

    Example:
        >>> summary = train(load("recipes/smoke.py"), out="runs/smoke")
        >>> model = escsr.load(summary.weights)
    """
    problems = check(recipe)
    if problems:
        raise RecipeError(problems)
    with _random_state(recipe.seed):
        run = _Run(recipe, RunFolder(out), console=console)
        run.start(resume=resume, source=source)
        return run.loop()


class _Run:
    """A run in progress: the engine, its folder, and what is counted on the way."""

    def __init__(self, recipe: Recipe, folder: RunFolder, *, console: Console | None) -> None:
        self.recipe = recipe
        self.folder = folder
        self.console = console
        self.description = describe(recipe)
        self.engine = Engine(recipe)
        self.validation = recipe.validation() if recipe.validation is not None else None
        self.step = 0
        self.window = Window()
        self.metrics: dict[str, float] = {}
        self.best: float | None = None
        self.best_step: int | None = None
        self.saved_step: int | None = None

    def start(self, *, resume: bool, source: str | Path | None) -> None:
        """Begin, or go on from the last checkpoint."""
        state = self.folder.latest_state() if resume else None
        if state is None:
            self.folder.begin(self.description, source, anew=resume)
            self.engine.initialise()
            return
        changed = self.folder.refuse_changes(json.loads(state["recipe"]), self.description)
        self.step = self.saved_step = state["step"]
        self.engine.load_state_dict(state["engine"])
        self.window = Window(**state["window"])
        self.metrics = state["metrics"]
        self.best, self.best_step = state["best"], state["best_step"]
        set_rng_state(state["rng"])
        self.folder.forget_after(self.step)
        self.folder.log({"step": self.step, "event": "resumed", "changed": changed})

    def loop(self) -> Summary:
        """Train to the end, or until a signal asks to stop."""
        recipe = self.recipe
        dataset = recipe.data(seed=recipe.seed)
        began = time.monotonic()
        loader = BatchLoader(
            dataset,
            batch=recipe.batch,
            start=self.step,
            stop=recipe.steps,
            workers=recipe.workers,
        )
        display = Display(steps=recipe.steps, start=self.step, console=self.console)
        with _stop_signals() as stop, loader, display:
            if self.step:
                display.say(f"resumed at step {self.step}")
            while self.step < recipe.steps and stop() is None:
                self._advance(loader)
                self._report(display)
            self._finish(display)
        return Summary(
            steps=self.step,
            finished=self.step == recipe.steps,
            signal=stop(),
            metrics=self.metrics,
            best=self.best,
            best_step=self.best_step,
            skipped=self.engine.skipped,
            seconds=time.monotonic() - began,
            weights=self.folder.weights,
        )

    def _advance(self, batches: Iterator[dict[str, torch.Tensor]]) -> None:
        """Do one step, and note its figures and times."""
        began = time.perf_counter()
        batch = next(batches)
        got = time.perf_counter()
        result = self.engine.step(batch, self.step)
        self.step += 1
        window = self.window
        if result is not None:
            window.loss += result.loss
            window.grad_norm += result.grad_norm
            window.steps += 1
        window.images += len(batch["lq"])
        window.waited += got - began
        window.seconds += time.perf_counter() - began

    def _report(self, display: Display) -> None:
        """Log, validate and save, where this step is one for it."""
        recipe, step = self.recipe, self.step
        last = step == recipe.steps
        display.advance(step)
        if last or step % recipe.log_every == 0:
            self._log(display)
        new_best = False
        if self.validation is not None and (last or step % recipe.validate_every == 0):
            new_best = self._validate(display)
        if last or new_best or step % recipe.save_every == 0:
            self._save(new_best=new_best)

    def _log(self, display: Display) -> None:
        record = {
            **self.window.means(),
            "lr": self.engine.learning_rate(self.step - 1),
            "skipped": self.engine.skipped,
            **self.window.speed(),
        }
        per_step = self.window.seconds * self.recipe.batch / max(self.window.images, 1)
        self.folder.log({"step": self.step, **record})
        display.report(self.step, record, left=per_step * (self.recipe.steps - self.step))
        self.window = Window()

    def _validate(self, display: Display) -> bool:
        """Validate the averaged weights; tell whether they are the best so far."""
        assert self.validation is not None
        self.metrics = dict(self.validation(self.engine.average.model))
        self.folder.log({"step": self.step, "validation": self.metrics})
        figures = "  ".join(f"{name} {value:.3f}" for name, value in self.metrics.items())
        value = self.metrics.get(self.recipe.best)
        if value is None:
            known = ", ".join(self.metrics)
            raise ValueError(
                f"the recipe's best is {self.recipe.best!r}, but validation gives: {known}"
            )
        new_best = math.isfinite(value) and (self.best is None or value > self.best)
        if new_best:
            self.best, self.best_step = value, self.step
        display.say(
            f"step {self.step}/{self.recipe.steps}  validation: {figures}"
            + ("  (best so far)" if new_best else "")
        )
        return new_best

    def _save(self, *, new_best: bool) -> None:
        state = {
            "format": FORMAT,
            "step": self.step,
            "samples": self.step * self.recipe.batch,
            "recipe": json.dumps(self.description),
            "engine": self.engine.state_dict(),
            "window": vars(self.window),
            "metrics": self.metrics,
            "best": self.best,
            "best_step": self.best_step,
            "rng": rng_state(),
        }
        self.saved_step = self.step
        save_state(self.folder.checkpoints, state, keep=self.recipe.keep, best=new_best)
        if new_best:
            self._export(self.folder.best_weights)

    def _finish(self, display: Display) -> None:
        if self.saved_step != self.step:  # stopped between two checkpoints
            self._save(new_best=False)
        self._export(self.folder.weights)
        if self.step < self.recipe.steps:
            display.say(f"stopped and saved at step {self.step}; go on with --resume")
        else:
            display.say(f"done: {self.folder.weights}")

    def _export(self, path: Path) -> None:
        """Write the averaged weights as a file that `escsr.load` opens."""
        facts = {
            "recipe": self.recipe.name,
            "steps": self.step,
            "batch": self.recipe.batch,
            "seed": self.recipe.seed,
            "ema": self.recipe.ema,
            "metrics": self.metrics,
            "trained": True,
        }
        self.engine.export(path, facts)


@contextmanager
def _random_state(seed: int) -> Iterator[None]:
    """Seed the global generators for the run, and give the caller's back afterwards.

    Our own parts have generators of their own; weights of networks are drawn from torch's
    global one, and other people's parts may draw from any.
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
    """Turn Ctrl-C and SIGTERM into a question that the loop asks after each step.

    A second Ctrl-C interrupts at once. Outside the main thread signals cannot be caught, and
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
