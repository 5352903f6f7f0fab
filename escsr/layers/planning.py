"""Whether a network really runs, or only to measure its cost."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Literal, TypeVar

T = TypeVar("T")

_planned: ContextVar[Literal["nothing", "memory", "work"]] = ContextVar(
    "escsr_planned", default="nothing"
)


@contextlib.contextmanager
def planning(what: Literal["memory", "work"] = "memory") -> Iterator[None]:
    """Mark that networks run only to be measured, on tensors without data.

    Inside the block, in this thread (or asynchronous task) only, layers cache nothing and avoid
    kernels that need real memory.

    Args:
        what: "memory" runs only the first of a loop's equal steps, because the others need no more
            memory; "work" runs them all.

    Example:
        >>> with planning(), FakeTensorMode():
        ...     model(torch.empty(1, 3, 64, 64), scale=2)
    """
    token = _planned.set(what)
    try:
        yield
    finally:
        _planned.reset(token)


def is_planning() -> bool:
    """Whether the caller runs inside `planning`."""
    return _planned.get() != "nothing"


def planned_steps(steps: Iterable[T]) -> Iterator[T]:
    """All steps of a loop; only the first while memory is being planned."""
    yield from itertools.islice(steps, 1 if _planned.get() == "memory" else None)
