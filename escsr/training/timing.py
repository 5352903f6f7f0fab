"""Time in a run: the length of the run, and the deadline of a call."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

_FAR = 1 << 40  # more steps than any run has


class Length:
    """The length of a run: a number of steps, or minutes of training.

    A run measured in minutes goes through its schedule by training time: after half of the minutes
    its learning rate is that of half of its ``steps``.

    Args:
        steps: Steps of the recipe.
        minutes: Minutes of the recipe, or None.

    Attributes:
        seconds: Training time so far, without validations and saving.
    """

    def __init__(self, steps: int, minutes: float | None) -> None:
        self.steps = steps
        self._limit = None if minutes is None else 60 * minutes
        self.seconds = 0.0

    @property
    def is_timed(self) -> bool:
        """Whether the length is a time."""
        return self._limit is not None

    @property
    def loaded_steps(self) -> int:
        """The step up to which batches may be requested."""
        return self.steps if self._limit is None else _FAR

    def is_over(self, step: int) -> bool:
        """Whether the run ends after this many steps."""
        return step >= self.steps if self._limit is None else self.seconds >= self._limit

    def place(self, step: int) -> int:
        """The position of a step in the schedule."""
        if self._limit is None:
            return step
        return min(int(self.seconds / self._limit * self.steps), self.steps - 1)

    def left(self, step: int, pace: float) -> float:
        """Seconds of training left.

        Args:
            step: Steps done.
            pace: Seconds per step.
        """
        return pace * (self.steps - step) if self._limit is None else self._limit - self.seconds

    def counted(self, step: int) -> str:
        """A step as shown in lines: ``12/300``, or with the share of the time used."""
        if self._limit is None:
            return f"{step}/{self.steps}"
        return f"{step} ({min(self.seconds / self._limit, 1):.0%})"


class Deadline:
    """The deadline of a call, and whether the next work would end in time.

    Args:
        seconds: Seconds from now; None: no deadline.
    """

    # Durations not known yet, as shares of the time: a first validation may be long.
    _GUESSES: ClassVar[dict[str, float]] = {"step": 0.02, "validation": 0.08, "save": 0.02}
    _MARGIN = 1.5  # seconds, for the work after the last save

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds
        self._longest: dict[str, float] = {}

    @contextmanager
    def measured(self, what: str) -> Iterator[None]:
        """Time a block that may be repeated: "step", "validation" or "save"."""
        began = time.monotonic()
        yield
        taken = time.monotonic() - began
        self._longest[what] = max(taken, self._longest.get(what, 0.0))

    def forbids(self, *what: str) -> bool:
        """Whether this much work, and saving after it, would end too late."""
        if self._end is None or self._seconds is None:
            return False
        wanted = [*what, "save"]
        needed = sum(self._longest.get(w, self._GUESSES[w] * self._seconds) for w in wanted)
        return time.monotonic() + needed + self._MARGIN > self._end
