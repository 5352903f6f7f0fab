"""Time in a run: how long the run is, and when a call of it has to be over."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

_FAR = 1 << 40  # more steps than any run has


class Length:
    """How long a run is: a number of steps, or minutes of training.

    A run of so many minutes passes through its schedule by the time it has trained: after half of
    them its learning rate is that of half of its ``steps``.

    Args:
        steps: Steps of the recipe.
        minutes: Minutes of the recipe, or None.

    Attributes:
        seconds: How long was trained so far, validations and saving left out.
    """

    def __init__(self, steps: int, minutes: float | None) -> None:
        self.steps = steps
        self._limit = None if minutes is None else 60 * minutes
        self.seconds = 0.0

    @property
    def is_timed(self) -> bool:
        """Whether time decides."""
        return self._limit is not None

    @property
    def loaded_steps(self) -> int:
        """Up to which step batches may be asked for."""
        return self.steps if self._limit is None else _FAR

    def is_over(self, step: int) -> bool:
        """Whether the run ends after so many steps."""
        return step >= self.steps if self._limit is None else self.seconds >= self._limit

    def place(self, step: int) -> int:
        """Where in the schedule a step is."""
        if self._limit is None:
            return step
        return min(int(self.seconds / self._limit * self.steps), self.steps - 1)

    def left(self, step: int, pace: float) -> float:
        """Seconds of training to the end.

        Args:
            step: Steps done.
            pace: Seconds that one takes.
        """
        return pace * (self.steps - step) if self._limit is None else self._limit - self.seconds

    def counted(self, step: int) -> str:
        """A step as lines name it: ``12/300``, or how much of the time is over."""
        if self._limit is None:
            return f"{step}/{self.steps}"
        return f"{step} ({min(self.seconds / self._limit, 1):.0%})"


class Deadline:
    """When a call has to be over, and whether what comes next would end in time.

    Args:
        seconds: From now on; None: never.
    """

    # What is not known yet, as shares of the time: a first validation may be long.
    _GUESSES: ClassVar[dict[str, float]] = {"step": 0.02, "validation": 0.08, "save": 0.02}
    _MARGIN = 1.5  # seconds, for what comes after the last save

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds
        self._longest: dict[str, float] = {}

    @contextmanager
    def measured(self, what: str) -> Iterator[None]:
        """Note how long a block takes that may come again: "step", "validation" or "save"."""
        began = time.monotonic()
        yield
        taken = time.monotonic() - began
        self._longest[what] = max(taken, self._longest.get(what, 0.0))

    def forbids(self, *what: str) -> bool:
        """Whether so much, and saving after it, would not be over in time."""
        if self._end is None or self._seconds is None:
            return False
        wanted = [*what, "save"]
        needed = sum(self._longest.get(w, self._GUESSES[w] * self._seconds) for w in wanted)
        return time.monotonic() + needed + self._MARGIN > self._end
