"""Many picture files: the next is read and the last written while one is computed."""

import errno
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from escsr.images import Picture, PixelFile, check_writable, read_image
from escsr.inference.watching import Cancelled
from escsr.picture_targets import PictureTask

# No further file can be written after these: the rest of the batch is not tried.
_FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}

# How small a picture can become is not known before it is there, but less than this is nothing.
_LEAST_FREE = 64 << 10

Size = tuple[int, int]
Pixels = Picture | PixelFile
"""A picture in memory, or in a file."""
Result = TypeVar("Result")


@dataclass(kw_only=True)
class Outcome:
    """What became of one file.

    Attributes:
        task: The file, and the file it becomes.
        status: "done", "failed", "skipped" (it was there already) or "not tried".
        error: Why it failed.
        size: (H, W) of the picture that was read.
        made: (H, W) of the picture that was written.
        seconds: From reading to the finished file; the parts of several files overlap.
        notices: What its user should know.
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
    """The computing of one picture."""

    def __call__(
        self,
        picture: Pixels,
        *,
        progress: Callable[[float], None],
        notify: Callable[[str], None],
    ) -> Pixels:
        """Enlarge a picture; see `escsr.upscale`."""


class Listener(Protocol):
    """Is told how a batch goes, always in the thread that runs it."""

    def begin(self, task: PictureTask) -> None:
        """A file's computing begins."""

    def advance(self, task: PictureTask, share: float) -> None:
        """So much of a file is computed, from 0 to 1."""

    def end(self, outcome: Outcome) -> None:
        """A file is done or failed."""


def upscale_files(
    tasks: Sequence[PictureTask],
    enlarge: Enlarge,
    *,
    write: Callable[..., None],
    size_of: Callable[[Size], Size],
    listener: Listener,
    read: Callable[[Path], Pixels] = read_image,
    outcomes: list[Outcome] | None = None,
) -> list[Outcome]:
    """Enlarge files one after another; one that fails does not stop the others.

    While a picture is computed the next is read and the one before is written, so three are in
    memory at most, however many there are.

    Args:
        tasks: What is read, and where it goes; missing folders are made.
        enlarge: Makes a picture of a picture.
        write: Called with the path and the picture; see `escsr.images.write_image`.
        size_of: The (H, W) that a picture of some (H, W) becomes; what cannot be written in that
            size is refused before it is computed.
        listener: Is told of each step.
        read: Reads a file; what it gives goes to ``enlarge``, and that to ``write``.
        outcomes: A list to fill, for what is known after an interruption; one for each task.

    Returns:
        What became of each task, in their order.
    """
    outcomes = [] if outcomes is None else outcomes
    outcomes += [Outcome(task=task) for task in tasks]
    batch = _Batch(enlarge, write, size_of, listener, read)
    with _collecting_notices():
        batch.run(outcomes[len(outcomes) - len(tasks) :])
    return outcomes


class _Batch:
    """One run over some files."""

    def __init__(
        self,
        enlarge: Enlarge,
        write: Callable[..., None],
        size_of: Callable[[Size], Size],
        listener: Listener,
        read: Callable[[Path], Pixels],
    ) -> None:
        self._read_file = read
        self._enlarge, self._write, self._size_of = enlarge, write, size_of
        self._listener = listener
        self._reader = ThreadPoolExecutor(1, "escsr-reading")
        self._writer = ThreadPoolExecutor(1, "escsr-writing")
        self._writing: tuple[Outcome, Future[None]] | None = None
        self._began: dict[int, float] = {}
        self._is_over = False

    def run(self, outcomes: list[Outcome]) -> None:
        """All files, in their order."""
        ahead: Future[Pixels] | None = None
        try:
            for number, outcome in enumerate(outcomes):
                reading = ahead or self._reader.submit(self._read, outcome)
                picture = self._caught(outcome, reading.result)
                last = number + 1 == len(outcomes)
                ahead = None if last else self._reader.submit(self._read, outcomes[number + 1])
                if picture is not None:
                    self._process(outcome, picture)
                if self._is_over:
                    break
        finally:  # also after Ctrl-C: what is being written is finished, and nothing else begun
            if ahead is not None:
                ahead.cancel()
            self._await_writer()
            self._reader.shutdown()
            self._writer.shutdown()

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
        # The picture that is being written takes memory, too.
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
        """The step's result; None where the file failed by it."""
        try:
            return step()
        except Cancelled:
            raise
        except Exception as error:  # whatever it is, the other files are to be made
            outcome.error = error
            self._is_over |= isinstance(error, OSError) and error.errno in _FATAL
            self._end(outcome, "failed")
            return None

    def _end(self, outcome: Outcome, status: str) -> None:
        outcome.status = status
        outcome.seconds = time.monotonic() - self._began.pop(id(outcome), time.monotonic())
        self._listener.end(outcome)


def _make_place(target: Path) -> None:
    """Make the folder of a file, and see that the file can be written, before it is computed."""
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
    """Warnings of this thread are about this file."""
    token = _current.set(outcome)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def _collecting_notices() -> Iterator[None]:
    """Put warnings for users to the file that they are about, whatever thread they come from."""
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
