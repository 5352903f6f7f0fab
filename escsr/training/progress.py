"""The progress of a run as shown to people: one tidy line, on a terminal or in a log file."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from escsr.training.timing import Length


@dataclass
class Window:
    """Sums of the steps' figures since the last line of the log, without skipped steps.

    Attributes:
        sums: Figure to the sum of its values.
        steps: Number of steps.
    """

    sums: dict[str, float] = field(default_factory=dict)
    steps: int = 0

    def add(self, figures: Mapping[str, float]) -> None:
        """Add a step."""
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.steps += 1

    def means(self) -> dict[str, float | None]:
        """Return the mean of every figure; loss and gradient norm are None if all were skipped."""
        if not self.steps:
            return {"loss": None, "grad_norm": None}
        return {name: value / self.steps for name, value in self.sums.items()}


@dataclass
class Pace:
    """The speed since the last line of the log."""

    images: int = 0
    steps: int = 0
    waited: float = 0.0
    seconds: float = 0.0

    def add(self, images: int, waited: float, seconds: float) -> None:
        """Add a step: its images, the seconds it waited for data, and its seconds in total."""
        self.images += images
        self.steps += 1
        self.waited += waited
        self.seconds += seconds

    def figures(self) -> dict[str, float]:
        """Return images per second and the share of the time spent waiting for data."""
        seconds = max(self.seconds, 1e-9)
        return {"images_per_s": self.images / seconds, "wait": self.waited / seconds}

    def seconds_per_step(self) -> float:
        """Return the mean duration of a step."""
        return self.seconds / max(self.steps, 1)


def opening(
    *,
    network: str,
    parameters: int,
    photos: int,
    held_out: int,
    device: str,
    precision: str,
    processes: int,
) -> str:
    """Describe in one line the network, the photos and the device of a run.

    Args:
        network: Description of the network.
        parameters: Number of trained parameters.
        photos: Number of training photos; 0: unknown.
        held_out: Number of validation photos; 0: none, or unknown.
        device: Where the run computes.
        precision: Arithmetic of the run.
        processes: Number of processes that share it.
    """
    parts = [f"{network}, {parameters:,} parameters"]
    if photos:
        validated = f", {held_out} to validate on" if held_out else ""
        parts.append(f"{photos:,} photo{'' if photos == 1 else 's'}{validated}")
    shared = f", {processes} processes" if processes > 1 else ""
    parts.append(f"{device}, {precision}{shared}")
    return "; ".join(parts)


_FORECAST_AFTER = 10.0
"""Seconds of steps that a forecast is based on."""

_WARM_UP = 2
"""Steps excluded from the forecast: they read photos, choose kernels, or compile."""


class Display:
    """Shows a run: a live bar on a terminal, a plain line per report elsewhere.

    Args:
        length: Length of the run.
        start: Step at which it begins.
        console: Where to print; None: standard output.
    """

    def __init__(self, length: Length, *, start: int, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._length = length
        self._first: tuple[int, float] | None = None
        self._forecast_at = start + _WARM_UP
        self._live: Progress | None = None
        if self.console.is_terminal:
            self._live = Progress(
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"),
                console=self.console,
            )
            self._task = self._live.add_task(
                "",
                total=None if length.is_timed else length.steps,
                completed=start,
                figures="",
            )

    def __enter__(self) -> Self:
        """Start the live bar, if there is one."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last state of the bar on the screen."""
        if self._live:
            self._live.stop()

    def advance(self, step: int) -> None:
        """Move the bar; nothing is printed."""
        if self._live:
            self._live.update(self._task, completed=step)

    def forecast(self, step: int) -> None:
        """Print the speed and the expected end once, as soon as they are known."""
        now = time.monotonic()
        if self._first is None:
            if step >= self._forecast_at:
                self._first = (step, now)
            return
        first, began = self._first
        if now - began < _FORECAST_AFTER or self._forecast_at < 0:
            return
        self._forecast_at = -1
        pace = (now - began) / (step - first)
        left = self._length.left(step, pace)
        end = datetime.now().astimezone() + timedelta(seconds=left)
        when = f"{end:%H:%M}" if left < 12 * 3600 else f"{end:%a %d %b, %H:%M}"
        self.say(f"{1 / pace:.2g} batches/s; will end about {when}, in {duration(left)}")

    def report(
        self,
        step: int,
        record: Mapping[str, float | None],
        *,
        metrics: Mapping[str, float],
        left: float,
    ) -> None:
        """Show the figures of a window.

        Args:
            step: Steps done.
            record: ``loss``, ``lr``, ``images_per_s`` and ``wait``.
            metrics: The figures of the last validation; the first one is shown.
            left: Seconds to the end of the run.
        """
        loss = "-" if record["loss"] is None else f"{record['loss']:.5f}"
        first = next(iter(metrics.items()), None)
        figures = (
            f"loss {loss}  {'' if first is None else f'{first[0]} {first[1]:.2f}  '}"
            f"lr {record['lr']:.2e}  {record['images_per_s']:.1f} images/s  "
            f"data wait {record['wait']:.0%}  left {duration(left)}"
        )
        if self._live:
            self._live.update(self._task, completed=step, figures=figures)
        else:
            self.say(f"step {self._length.counted(step)}  {figures}")

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.console.print(text, markup=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Phrase a duration: ``45 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
