"""Many picture files: one is computed while the next is read and the previous one written."""

import errno
import os
import shutil
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from escsr.images import Picture, PixelFile, check_writable, read_image
from escsr.inference.watching import Cancelled
from escsr.picture_targets import PictureTask

# After these errors no further file can be written, so the rest of the batch is not tried.
_FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}

# The size of a compressed file is unknown in advance, but free space below this is too little.
_LEAST_FREE = 64 << 10

Size = tuple[int, int]
Pixels = Picture | PixelFile
"""A picture in memory, or in a file."""
Result = TypeVar("Result")


@dataclass(kw_only=True)
class Outcome:
    """The outcome for one file.

    Attributes:
        task: The file and its output.
        status: "done", "failed", "skipped" (the output existed already) or "not tried".
        error: Why it failed.
        size: (H, W) of the picture that was read.
        made: (H, W) of the picture that was written.
        seconds: From reading to the finished file; the parts of several files overlap.
        notices: Notices for the user.
    """

    task: PictureTask
    status: str = "not tried"
    error: Exception | None = None
    size: Size | None = None
    made: Size | None = None
    seconds: float = 0.0
    notices: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Plain values, for a report."""
        about: dict[str, object] = {
            "source": str(self.task.source),
            "target": str(self.task.target),
            "status": self.status,
        }
        if self.size is not None:
            about |= {"height": self.size[0], "width": self.size[1]}
        if self.made is not None:
            about |= {"new_height": self.made[0], "new_width": self.made[1]}
        if self.status in ("done", "failed"):
            about["seconds"] = round(self.seconds, 3)
        if self.error is not None:
            about["error"] = str(self.error) or type(self.error).__name__
        if self.notices:
            about["notices"] = self.notices
        return about


class Enlarge(Protocol):
    """Computes one picture."""

    def __call__(
        self,
        picture: Pixels,
        *,
        progress: Callable[[float], None],
        notify: Callable[[str], None],
    ) -> Pixels:
        """Enlarge a picture; see `escsr.upscale`."""


class Listener(Protocol):
    """Follows a batch, in the thread that runs it; with several lanes, calls do not overlap."""

    def begin(self, task: PictureTask) -> None:
        """The computation of a file begins."""

    def advance(self, task: PictureTask, share: float) -> None:
        """Share of a file that is computed, from 0 to 1."""

    def end(self, outcome: Outcome) -> None:
        """A file is done or failed."""


def upscale_files(
    tasks: Sequence[PictureTask],
    enlarge: Enlarge | Sequence[Enlarge],
    *,
    write: Callable[..., None],
    size_of: Callable[[Size], Size],
    listener: Listener,
    read: Callable[[Path], Pixels] = read_image,
    outcomes: list[Outcome] | None = None,
) -> list[Outcome]:
    """Enlarge files one after another; a failed file does not stop the others.

    While a picture is computed, the next is read and the previous one is written, so at most three
    are in memory at any time; with several lanes, three per lane.

    Args:
        tasks: Files to read and write; missing folders are created.
        enlarge: Enlarges a picture. Several functions are lanes that share the files, each in its
            own thread: one for each device.
        write: Called with the path and the picture; see `escsr.images.write_image`.
        size_of: Returns the output (H, W) for a picture's (H, W); a picture that cannot be written
            in that size is refused before it is computed.
        listener: Notified of each step.
        read: Reads a file; its result goes to ``enlarge``, and from there to ``write``.
        outcomes: A list to fill with one outcome per task, available after an interruption too.

    Returns:
        The outcome of each task, in order.
    """
    outcomes = [] if outcomes is None else outcomes
    outcomes += [Outcome(task=task) for task in tasks]
    waiting = _Waiting(outcomes[len(outcomes) - len(tasks) :])
    each = [enlarge] if callable(enlarge) else list(enlarge)[: max(len(tasks), 1)]
    shared = listener if len(each) == 1 else _OneAtATime(listener)
    lanes = [_Lane(one, write, size_of, shared, read, waiting) for one in each]
    with _collecting_notices():
        if len(lanes) == 1:
            lanes[0].run()
        else:
            _run_all(lanes, waiting)
    return outcomes


def _run_all(lanes: Sequence["_Lane"], waiting: "_Waiting") -> None:
    """Run lanes in parallel; an error that ends one ends all, each after its current picture."""
    with ThreadPoolExecutor(len(lanes), "escsr-lane") as threads:
        running = [threads.submit(lane.run) for lane in lanes]
        try:
            wait(running, return_when=FIRST_EXCEPTION)
        finally:
            waiting.stop()
    for lane in running:
        lane.result()


class _Waiting:
    """Hands out the files that no lane works on yet."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self._outcomes = iter(outcomes)
        self._lock = threading.Lock()
        self.is_over = False

    def next(self) -> Outcome | None:
        """The next file; None if there are no more, or the batch is stopping."""
        with self._lock:
            return None if self.is_over else next(self._outcomes, None)

    def stop(self) -> None:
        """Hand out no more."""
        self.is_over = True


class _OneAtATime:
    """A listener that several threads can share."""

    def __init__(self, listener: Listener) -> None:
        self._listener, self._lock = listener, threading.RLock()

    def begin(self, task: PictureTask) -> None:
        with self._lock:
            self._listener.begin(task)

    def advance(self, task: PictureTask, share: float) -> None:
        with self._lock:
            self._listener.advance(task, share)

    def end(self, outcome: Outcome) -> None:
        with self._lock:
            self._listener.end(outcome)


class _Lane:
    """Processes waiting files one after another."""

    def __init__(
        self,
        enlarge: Enlarge,
        write: Callable[..., None],
        size_of: Callable[[Size], Size],
        listener: Listener,
        read: Callable[[Path], Pixels],
        waiting: _Waiting,
    ) -> None:
        self._read_file = read
        self._enlarge, self._write, self._size_of = enlarge, write, size_of
        self._listener = listener
        self._reader = ThreadPoolExecutor(1, "escsr-reading")
        self._writer = ThreadPoolExecutor(1, "escsr-writing")
        self._writing: tuple[Outcome, Future[None]] | None = None
        self._began: dict[int, float] = {}
        self._waiting = waiting

    def run(self) -> None:
        """Process all files that this lane gets, in order."""
        ahead = self._read_next()
        try:
            while ahead is not None:
                outcome, reading = ahead
                picture = self._caught(outcome, reading.result)
                ahead = self._read_next()
                if picture is not None:
                    self._process(outcome, picture)
                if self._waiting.is_over:
                    break
        finally:  # even after Ctrl-C, finish the current file and start no other
            if ahead is not None:
                ahead[1].cancel()
            self._await_writer()
            self._reader.shutdown()
            self._writer.shutdown()

    def _read_next(self) -> tuple[Outcome, "Future[Pixels]"] | None:
        outcome = self._waiting.next()
        return None if outcome is None else (outcome, self._reader.submit(self._read, outcome))

    def _read(self, outcome: Outcome) -> Pixels:
        self._began[id(outcome)] = time.monotonic()
        with _notices_for(outcome):
            picture = self._read_file(outcome.task.source)
        outcome.size = picture.size
        return picture

    def _process(self, outcome: Outcome, picture: Pixels) -> None:
        self._listener.begin(outcome.task)
        with _notices_for(outcome):
            made = self._caught(outcome, lambda: self._computed(outcome, picture))
        self._await_writer()
        if made is not None:
            outcome.made = made.size
            self._writing = outcome, self._writer.submit(self._written, outcome, made)

    def _computed(self, outcome: Outcome, picture: Pixels) -> Pixels:
        task = outcome.task
        _make_place(task.target)
        check_writable(task.target, self._size_of(picture.size))

        def progress(share: float) -> None:
            self._listener.advance(task, share)

        notices = list(outcome.notices)
        try:
            return self._enlarge(picture, progress=progress, notify=outcome.notices.append)
        except MemoryError:
            if self._writing is None:
                raise
        # The picture that is being written takes memory too.
        self._await_writer()
        outcome.notices[:] = notices
        return self._enlarge(picture, progress=progress, notify=outcome.notices.append)

    def _written(self, outcome: Outcome, picture: Pixels) -> None:
        with _notices_for(outcome):
            self._write(outcome.task.target, picture)

    def _await_writer(self) -> None:
        if self._writing is None:
            return
        outcome, writing = self._writing
        self._writing = None
        self._caught(outcome, writing.result)
        if outcome.error is None:
            self._end(outcome, "done")

    def _caught(self, outcome: Outcome, step: Callable[[], Result]) -> Result | None:
        """The result of a step; None if the file failed in it."""
        try:
            return step()
        except Cancelled:
            raise
        except Exception as error:  # must not stop the other files
            outcome.error = error
            if isinstance(error, OSError) and error.errno in _FATAL:
                self._waiting.stop()
            self._end(outcome, "failed")
            return None

    def _end(self, outcome: Outcome, status: str) -> None:
        outcome.status = status
        outcome.seconds = time.monotonic() - self._began.pop(id(outcome), time.monotonic())
        self._listener.end(outcome)


def _make_place(target: Path) -> None:
    """Create the folder of a file and check that it can be written, before it is computed."""
    folder = target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot make the folder: {error.strerror}", str(folder)
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "the folder is write-protected", str(folder))
    if target.exists() and not target.is_file():
        raise OSError(f"{target} is no file: give the name of one")
    if shutil.disk_usage(folder).free < _LEAST_FREE:
        raise OSError(errno.ENOSPC, "the disk is full", str(target))
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is write-protected", str(target))


_current: ContextVar[Outcome | None] = ContextVar("escsr_batch_file", default=None)


@contextmanager
def _notices_for(outcome: Outcome) -> Iterator[None]:
    """Assign the warnings of this thread to this file."""
    token = _current.set(outcome)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def _collecting_notices() -> Iterator[None]:
    """Assign warnings for users to the file they refer to, in any thread."""
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def note(message: Warning | str, category: type[Warning], *where: object) -> None:
            outcome = _current.get()
            if outcome is None:
                shown(message, category, *where)  # type: ignore[arg-type]
            elif issubclass(category, UserWarning) and str(message) not in outcome.notices:
                outcome.notices.append(str(message))

        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = note  # type: ignore[assignment]
        yield
