"""Reporting the progress of a network to its caller, and cancelling it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import nn

Cancel = Callable[[], bool] | threading.Event
"""Checked between layers: True, or an event that is set, stops the work."""


class Cancelled(Exception):  # noqa: N818 - not a fault
    """The caller cancelled the work; there is no result."""


def is_cancelled(cancel: Cancel | None) -> bool:
    """Ask the caller."""
    if cancel is None:
        return False
    return cancel.is_set() if isinstance(cancel, threading.Event) else bool(cancel())


class Watch:
    """Follows the layers of a network during one call.

    Args:
        layers: Number of layers of the network.
        passes: Number of times it runs in this call.
        progress: Called with the finished share, increasing from 0 to 1.
        cancel: See `Cancel`.
    """

    def __init__(
        self,
        *,
        layers: int,
        passes: int = 1,
        progress: Callable[[float], None] | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        self._layers, self._passes = layers, passes
        self._progress, self._cancel = progress, cancel
        # Heads that work in blocks call their layers many times.
        self._done: set[nn.Module] = set()
        self._finished = 0

    def before(self, _layer: nn.Module) -> None:
        """A layer begins.

        Raises:
            Cancelled: If the caller cancelled the work.
        """
        self.check()

    def after(self, layer: nn.Module) -> None:
        """A layer is done."""
        if self._progress is None or layer in self._done:
            return
        self._done.add(layer)
        self._tell(len(self._done) / self._layers)

    def pass_done(self) -> None:
        """The network ran once; layers that were used without a call are counted now."""
        self._done.clear()
        self._finished += 1
        if self._progress is not None:
            self._tell(0)

    @contextmanager
    def by_share(self) -> Iterator[Callable[[float], None]]:
        """For a pass whose layers run many times: yields a function that takes the share done."""
        progress, self._progress = self._progress, None  # stops reports by layers

        def report(share: float) -> None:
            self.check()
            if progress is not None:
                progress((self._finished + share) / self._passes)

        try:
            yield report
        finally:
            self._progress = progress

    def check(self) -> None:
        """Stop if the caller cancelled the work.

        Raises:
            Cancelled: If the caller did.
        """
        if is_cancelled(self._cancel):
            raise Cancelled("the enlargement was cancelled")

    def _tell(self, share_of_pass: float) -> None:
        assert self._progress is not None
        self._progress((self._finished + share_of_pass) / self._passes)


_watch: ContextVar[Watch | None] = ContextVar("escsr_watch", default=None)


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Let the layers of `watchable` networks report to ``watch``, in this thread."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


def make_watchable(network: nn.Module) -> int:
    """Add hooks to a network of our own that report to the `Watch` of each call.

    Returns:
        The number of layers that report.
    """
    layers = [m for m in network.modules() if not any(True for _ in m.children())]
    for layer in layers:
        layer.register_forward_pre_hook(_before)
        layer.register_forward_hook(_after)
    return len(layers)


def _before(layer: nn.Module, _inputs: object) -> None:
    if (watch := _watch.get()) is not None:
        watch.before(layer)


def _after(layer: nn.Module, _inputs: object, _output: object) -> None:
    if (watch := _watch.get()) is not None:
        watch.after(layer)
