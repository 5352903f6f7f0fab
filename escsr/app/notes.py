"""Warnings for users, put to the work they are about: threads share Python's list of filters."""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_current: ContextVar[list[str] | None] = ContextVar("escsr_app_notes", default=None)
_lock = threading.Lock()
_open = 0
_catching: "warnings.catch_warnings[None] | None" = None


@contextmanager
def collecting() -> Iterator[list[str]]:
    """Gather the warnings of this thread in a list, each once.

    Example:
        >>> with collecting() as notes:
        ...     warnings.warn("only the first page is read")
        >>> notes
        ['only the first page is read']
    """
    notes: list[str] = []
    token = _current.set(notes)
    _enter()
    try:
        yield notes
    finally:
        _leave()
        _current.reset(token)


def _enter() -> None:
    """The first one in changes where warnings go, for all threads."""
    global _open, _catching
    with _lock:
        _open += 1
        if _open == 1:
            _catching = warnings.catch_warnings()
            _catching.__enter__()
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _sorting(warnings.showwarning)


def _leave() -> None:
    """The last one out puts it back."""
    global _open, _catching
    with _lock:
        _open -= 1
        if _open == 0 and _catching is not None:
            _catching.__exit__(None, None, None)
            _catching = None


def _sorting(shown: Callable[..., None]) -> Callable[..., None]:
    """What takes the place of ``warnings.showwarning``."""

    def note(message: Warning | str, category: type[Warning], *more: Any, **others: Any) -> None:
        notes = _current.get()
        if notes is None or not issubclass(category, UserWarning):
            shown(message, category, *more, **others)
        elif str(message) not in notes:
            notes.append(str(message))

    return note
