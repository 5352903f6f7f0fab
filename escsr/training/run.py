"""A run in progress: steps, reports, validations and checkpoints in their order."""

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from escsr.data import BatchLoader, Share
from escsr.data.loader import Batch
from escsr.model import unwrapped
from escsr.recipe import Recipe, describe
from escsr.training.board import Board
from escsr.training.engine import Engine, TrainingError
from escsr.training.kept_recipe import keep_recipe
from escsr.training.processes import Processes
from escsr.training.progress import Display, Pace, Window, opening
from escsr.training.run_folder import RunFolder
from escsr.training.state import FORMAT, rng_state, save_state, set_rng_state
from escsr.training.tensorboard import TensorBoard
from escsr.training.timing import Deadline, Length
from escsr.training.trackers import Trackers


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How a run ended.

    Attributes:
        steps: Steps done in total, including earlier parts of a resumed run.
        finished: Whether the run is complete.
        signal: The signal that stopped it (e.g. 15 for SIGTERM), or None.
        metrics: The last validation's figures.
        best: The best value of the recipe's ``best`` figure, or None.
        best_step: The step at which it was reached, or None.
        skipped: Steps skipped because the loss or the gradient was not finite.
        seconds: Duration of this call.
        weights: File of the averaged weights.
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


class Run:
    """A run in progress: the engine, its folder, and the running counts.

    Args:
        recipe: A checked recipe.
        folder: Where everything is written, by the main process only.
        processes: The processes that share the run.
        deadline: When this call has to end.
        console: Where progress is shown; None: standard output.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        processes: Processes,
        *,
        deadline: Deadline,
        console: Console | None,
    ) -> None:
        self.recipe = recipe
        self.folder = folder
        self.processes = processes
        self.console = console if self.processes.is_main else Console(quiet=True)
        self.description = describe(recipe)
        self.engine = Engine(recipe, self.processes)
        self.validation = recipe.validation() if recipe.validation is not None else None
        prepare = getattr(self.validation, "prepare", None)
        if self.processes.is_main and prepare is not None:
            prepare(self.processes.device)
        self.step = 0
        self.length = Length(recipe.steps, recipe.minutes)
        self.deadline = deadline
        self.window = Window()
        self.pace = Pace()
        self.metrics: dict[str, float] = {}
        self.best: float | None = None
        self.best_step: int | None = None
        self.saved_step: int | None = None

    def start(
        self,
        *,
        resume: bool,
        changing: Sequence[str] = (),
        source: str | Path | None,
        overrides: Sequence[str] = (),
    ) -> None:
        """Begin, or continue from the last checkpoint."""
        state = self.folder.latest_state() if resume else None
        if state is not None:
            self._go_on(state, changing)
            if self.processes.is_main:
                keep_recipe(self.folder.path, source, overrides)
        else:
            if self.processes.is_main:
                self.folder.begin(self.description, source, overrides, anew=resume)
            self.engine.initialise()
            if self.processes.number:  # the weights are the same everywhere, later draws differ
                torch.manual_seed(self.recipe.seed + self.processes.number)
        self.processes.wait()

    def _go_on(self, state: dict[str, Any], changing: Sequence[str]) -> None:
        before = json.loads(state["recipe"])
        changed = self.folder.refuse_changes(before, self.description, changing)
        self.step = self.saved_step = state["step"]
        self.engine.load_state_dict(state["engine"])
        self.window = Window(**state["window"])
        self.length.seconds = state.get("seconds", 0.0)
        self.metrics = state["metrics"]
        self.best, self.best_step = state["best"], state["best_step"]
        generators = state["rng"]  # one per process
        if self.processes.count == len(generators):
            set_rng_state(generators[self.processes.number])
        if self.processes.is_main:
            self.folder.forget_after(self.step)
            if changed:
                self.folder.rewrite(self.description)
            self.folder.note(
                {
                    "step": self.step,
                    "event": "resumed",
                    "changed": changed,
                    "processes": self.processes.count,
                }
            )

    def loop(self, stop: Callable[[], int | None]) -> Summary:
        """Train to the end, or until ``stop`` names a signal."""
        recipe, processes = self.recipe, self.processes
        began = time.monotonic()
        dataset = recipe.data(seed=recipe.seed)
        loader = BatchLoader(
            dataset,
            batch=recipe.batch,
            start=self.step,
            stop=self.length.loaded_steps,
            share=Share(
                pieces=recipe.accumulate, process=processes.number, processes=processes.count
            ),
            workers=recipe.workers,
            seed=recipe.seed,
            device=processes.device,
        )
        display = Display(self.length, start=self.step, console=self.console)
        # after the display, so that its first line comes before any output of TensorBoard
        board = Board(
            TensorBoard(self.folder.path, start=self.step, wanted=self._wants_board(display)),
            Trackers(
                recipe.trackers if processes.is_main else (),
                project=recipe.name,
                folder=self.folder.path,
                config=self.description,
                device=processes.device,
            ),
        )
        display.say(self._opening(dataset))
        with loader, display, board:
            if self.step:
                display.say(f"resumed at step {self.step}")
            try:
                while not self.length.is_over(self.step) and not self._all_stop(stop()):
                    with self.deadline.measured("step"):
                        self._advance(loader)
                    display.forecast(self.step)
                    self._report(display, board)
            except BaseException as error:
                self._rescue(display, error)
                raise
            self._finish(display)
        return self._summary(stop(), time.monotonic() - began)

    def _opening(self, dataset: Any) -> str:
        """The network, the photos and the device of the run, in one line."""
        network = unwrapped(self.engine.model)
        photos = len(getattr(dataset, "paths", ()))
        held_out = len(getattr(self.validation, "paths", ()))
        return opening(
            network=network.extra_repr().removesuffix(", untrained"),
            parameters=sum(p.numel() for p in network.parameters()),
            photos=photos,
            held_out=held_out,
            device=str(self.processes.device),
            precision=self.recipe.precision,
            processes=self.processes.count,
        )

    def _wants_board(self, display: Display) -> bool:
        if not (self.recipe.tensorboard and self.processes.is_main):
            return False
        if not TensorBoard.available():
            display.say("TensorBoard is not installed (pip install tensorboard); it gets no files")
            return False
        return True

    def _all_stop(self, signal: int | None) -> bool:
        """Whether any process was asked to stop; all then stop after the same step.

        The same holds if there is no time for another step and the validation that may follow it.
        """
        next_one = self.step + 1
        validated = self.validation is not None and (
            next_one % self.recipe.validate_every == 0 or self.length.is_over(next_one)
        )
        late = self.deadline.forbids("step", *(["validation"] if validated else []))
        return self.processes.means([float(late or signal is not None)])[0] > 0

    def _summary(self, signal: int | None, seconds: float) -> Summary:
        return Summary(
            steps=self.step,
            finished=self.length.is_over(self.step),
            signal=signal,
            metrics=self.metrics,
            best=self.best,
            best_step=self.best_step,
            skipped=self.engine.skipped,
            seconds=seconds,
            weights=self.folder.weights,
        )

    def _advance(self, batches: Iterator[Batch]) -> None:
        """Do one step, and record its figures and times."""
        began = time.perf_counter()
        pieces = [next(batches) for _ in range(self.recipe.accumulate)]
        got = time.perf_counter()
        try:
            result = self.engine.step(pieces, self.step, place=self.length.place(self.step))
        except TrainingError as error:
            path = self.folder.keep_batch(pieces, self.step, self.processes.number)
            raise TrainingError(f"{error}\nthe batch is kept in {path}") from None
        self.step += 1
        if result is not None:
            self.window.add({"loss": result.loss, "grad_norm": result.grad_norm, **result.terms})
        taken = time.perf_counter() - began
        self.pace.add(self.recipe.batch, got - began, taken)
        # the same in all processes, as they must end together
        self.length.seconds += self.processes.means([taken])[0] if self.length.is_timed else taken

    def _report(self, display: Display, board: Board) -> None:
        """Log, validate and save, if due after this step."""
        recipe, step = self.recipe, self.step
        last = self.length.is_over(step)
        display.advance(step)
        if last or step % recipe.log_every == 0:
            self._log(display, board)
        new_best = False
        if self.validation is not None and (last or step % recipe.validate_every == 0):
            with self.deadline.measured("validation"):
                new_best = self._validate(display, board)
        if last or new_best or step % recipe.save_every == 0:
            with self.deadline.measured("save"):
                self._save(new_best=new_best)

    def _log(self, display: Display, board: Board) -> None:
        record = {
            **self.window.means(),
            "lr": self.engine.optimized.rate,
            "skipped": self.engine.skipped,
        }
        speed = self.pace.figures()
        left = self.length.left(self.step, self.pace.seconds_per_step())
        if self.processes.is_main:
            self.folder.log({"step": self.step, **record})
            self.folder.note({"step": self.step, "event": "pace", **speed})
            board.scalars(self.step, record | speed, group="train")
        display.report(self.step, record | speed, metrics=self.metrics, left=left)
        self.window, self.pace = Window(), Pace()

    def _validate(self, display: Display, board: Board) -> bool:
        """Validate the averaged weights; return whether they are the best so far."""
        assert self.validation is not None
        model = self.engine.average.model
        found = dict(self.validation(model)) if self.processes.is_main else {}
        self.metrics = self.processes.gather(found)[0]
        figures = "  ".join(f"{name} {value:.3f}" for name, value in self.metrics.items())
        value = self.metrics.get(self.recipe.best)
        if value is None:
            known = ", ".join(self.metrics)
            raise ValueError(
                f"the recipe's best is {self.recipe.best!r}, but validation gives: {known}"
            )
        new_best = math.isfinite(value) and (self.best is None or self._is_better(value, self.best))
        if new_best:
            self.best, self.best_step = value, self.step
        if self.processes.is_main:
            self.folder.log({"step": self.step, "validation": self.metrics})
            board.scalars(self.step, self.metrics, group="validation")
            board.panels(self.step, self.validation, model)
        display.say(
            f"step {self.length.counted(self.step)}  validation: {figures}"
            + ("  (best so far)" if new_best else "")
        )
        return new_best

    def _is_better(self, value: float, than: float) -> bool:
        """Compare two values of the recipe's best figure."""
        lower = self.recipe.best in getattr(self.validation, "lower_is_better", ())
        return value < than if lower else value > than

    def _rescue(self, display: Display, error: BaseException) -> None:
        """Save before an error ends the run, so that no step is lost."""
        if not self.processes.is_main or self.step == self.saved_step:
            return
        if self.engine.updating:
            display.say(f"interrupted during a weight update: step {self.step} cannot be saved")
            return
        if isinstance(error, TrainingError):
            self.engine.bad_in_a_row = 0  # whoever resumes will have changed something
        try:
            self._write([rng_state()], new_best=False)  # others may never gather theirs
            self._export(self.folder.weights)
        except Exception as second:  # the first error is the one to report
            display.say(f"step {self.step} could not be saved: {second}")
        else:
            display.say(f"saved at step {self.step}; continue with --resume")

    def _save(self, *, new_best: bool) -> None:
        generators = self.processes.gather(rng_state())
        self._write(generators, new_best=new_best)
        self.processes.wait()

    def _write(self, generators: list[dict[str, Any]], *, new_best: bool) -> None:
        """Write a checkpoint with the generator states of every process."""
        if self.processes.is_main:
            state = {
                "format": FORMAT,
                "step": self.step,
                "samples": self.step * self.recipe.batch,
                "seconds": self.length.seconds,
                "recipe": json.dumps(self.description),
                "engine": self.engine.state_dict(),
                "window": vars(self.window),
                "metrics": self.metrics,
                "best": self.best,
                "best_step": self.best_step,
                "rng": generators,
            }
            save_state(self.folder.checkpoints, state, keep=self.recipe.keep, best=new_best)
            if new_best:
                self._export(self.folder.best_weights)
        self.saved_step = self.step

    def _finish(self, display: Display) -> None:
        if self.saved_step != self.step:  # stopped between two checkpoints
            self._save(new_best=False)
        if self.processes.is_main:
            self._export(self.folder.weights)
            self.engine.export_discriminator(self.folder.path / "discriminator.safetensors")
        self.processes.wait()
        if not self.length.is_over(self.step):
            display.say(f"stopped and saved at step {self.step}; continue with --resume")
            return
        best = ""
        if self.best is not None:
            best = f"; best {self.recipe.best} {self.best:.3f} at {self.best_step}"
        skipped = f"; {self.engine.skipped} steps skipped" if self.engine.skipped else ""
        display.say(f"done: {self.folder.weights}{best}{skipped}")

    def _export(self, path: Path) -> None:
        """Write the averaged weights as a file that `escsr.load` opens."""
        facts = {
            "recipe": self.recipe.name,
            "steps": self.step,
            "batch": self.recipe.batch,
            "seed": self.recipe.seed,
            "ema": self.recipe.ema,
            "metrics": self.metrics,
        }
        self.engine.export(path, facts, trained=self.step > 0)
