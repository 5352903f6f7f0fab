"""Work in threads: who waits, how far it is, and how it is stopped."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

from escsr.app.limits import Limits
from escsr.app.words import RefusedError, duration
from escsr.inference import Cancelled

Result = TypeVar("Result")


class Job(Generic[Result]):
    """One piece of work.

    Attributes:
        owner: Whose it is.
        stop: Set it, and the work ends at the next layer.
        share: What is done, from 0 to 1.
        state: "waiting", "working", "done", "failed" or "stopped".
        result: What came out, once it is done.
        error: Why it failed.
        seconds: How long it worked.
    """

    def __init__(self, owner: str, work: "Callable[[Job[Result]], Result]") -> None:
        self.owner, self._work = owner, work
        self.stop = threading.Event()
        self.share = 0.0
        self.state = "waiting"
        self.result: Result | None = None
        self.error: BaseException | None = None
        self._before, self._part = 0.0, 1.0
        self._began: float | None = None
        self._ended: float | None = None
        self._lock = threading.Lock()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ("done", "failed", "stopped")

    @property
    def seconds(self) -> float:
        """How long it has worked."""
        if self._began is None:
            return 0.0
        return (self._ended or time.monotonic()) - self._began

    def tell(self, share: float) -> None:
        """Take note of what is done; given to a session as ``progress``."""
        self.share = share

    def tell_part(self, share: float) -> None:
        """Take note of what is done of one of several parts."""
        self.share = self._before + share * self._part

    def done(self, count: int, of: int) -> None:
        """So many of several parts are done."""
        self.share = self._before = count / of
        self._part = 1 / of

    def line(self, ahead: int, doing: str = "Upscaling") -> str:
        """What the person reads while it goes on.

        Args:
            ahead: How many are before it.
            doing: What the work is.
        """
        if self.state == "waiting":
            others = "1 picture is" if ahead == 1 else f"{ahead} pictures are"
            return f"Waiting: {others} before yours." if ahead else "Starting …"
        left = self.seconds * (1 - self.share) / self.share if self.share > 0.02 else None
        rest = "" if left is None else f", about {duration(left)} left"
        return f"{doing}: {100 * self.share:.0f} %{rest}"

    def end(self) -> None:
        """Stop it: at the next layer, or at once if it waits."""
        with self._lock:
            self.stop.set()
            if self.state == "waiting":
                self.state = "stopped"

    def check(self) -> None:
        """Between two steps.

        Raises:
            Cancelled: If it is stopped.
        """
        if self.stop.is_set():
            raise Cancelled

    def run(self) -> None:
        """Do the work, in this thread."""
        with self._lock:
            if self.stop.is_set():
                self.state = "stopped"
                return
            self._began, self.state = time.monotonic(), "working"
        try:
            self.result = self._work(self)
            end = "done"
        except Cancelled:
            end = "stopped"
        except BaseException as error:  # reported to the person, whatever it is
            self.error, end = error, "failed"
        self._ended, self.state = time.monotonic(), end


class Jobs:
    """A few threads, and those who wait for them in the order of their coming.

    Args:
        limits: How many work at a time, and how many may wait.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pool = ThreadPoolExecutor(limits.jobs, "escsr-app")
        self._open: list[Job[object]] = []
        self._lock = threading.Lock()

    def submit(self, owner: str, work: Callable[[Job[Result]], Result]) -> Job[Result]:
        """Begin some work, or let it wait.

        Args:
            owner: Whose it is.
            work: Called with the job.

        Raises:
            RefusedError: If too many wait already.
        """
        job = Job(owner, work)
        with self._lock:
            self._open = [other for other in self._open if not other.is_over]
            if len(self._open) >= self._limits.jobs + self._limits.waiting:
                raise RefusedError("Too many pictures are waiting already. Try again later.")
            self._open.append(job)  # type: ignore[arg-type]
        self._pool.submit(job.run)
        return job

    def ahead(self, job: Job[Result]) -> int:
        """How many must end before a waiting job begins."""
        with self._lock:
            earlier: list[Job[object]] = []
            for other in self._open:
                if other is job:
                    break
                earlier.append(other)
        going = sum(not other.is_over and not other.stop.is_set() for other in earlier)
        return max(0, going - self._limits.jobs + 1)

    def stop(self, owner: str) -> int:
        """Stop all that is somebody's; returns how much that was."""
        with self._lock:
            theirs = [job for job in self._open if job.owner == owner and not job.is_over]
        for job in theirs:
            job.end()
        return len(theirs)

    def close(self) -> None:
        """Stop everything, and wait until the threads are done."""
        with self._lock:
            everything = list(self._open)
        for job in everything:
            job.end()
        with suppress(RuntimeError):
            self._pool.shutdown(cancel_futures=True)
