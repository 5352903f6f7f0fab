"""Batches of an endless dataset, loaded ahead of the training loop."""

import queue
import signal
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

Batch = dict[str, Tensor]
"""What one training step reads: named tensors with a leading batch dimension."""


def _leave_interrupts_to_the_loop(worker: int) -> None:
    """Let workers live on after Ctrl-C, which reaches them too, until the loop ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Indices:
    """Sample indices, one list per batch, made as they are asked for."""

    def __init__(self, *, batch: int, start: int, stop: int) -> None:
        self.batch = batch
        self.batches = range(start, stop)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        for k in self.batches:
            yield list(range(k * self.batch, (k + 1) * self.batch))


class BatchLoader:
    """Iterate over batches ``start`` to ``stop`` of a dataset's endless stream of samples.

    Batch k holds samples k * batch to (k + 1) * batch - 1, in this order, for any number of
    workers. With ``workers=0`` a thread of this process prepares batches ahead: decoding and
    resizing mostly run outside Python's lock, and all photos are cached once. With workers,
    that many processes do, each with a cache of its own.

    Use it as a context manager, so that threads and processes end with the loop.

    Args:
        dataset: Map-style dataset that answers for every index from 0 on.
        batch: Samples per batch, at least 1.
        start: First batch, at least 0.
        stop: One past the last batch.
        workers: Number of worker processes; 0 for a thread of this process.
        ahead: How many batches may lie ready (per worker, if there are any).

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        *,
        batch: int,
        start: int,
        stop: int,
        workers: int = 0,
        ahead: int = 4,
    ) -> None:
        for name, value, least in (
            ("batch", batch, 1),
            ("start", start, 0),
            ("workers", workers, 0),
            ("ahead", ahead, 1),
        ):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        self._dataset = dataset
        self._indices = _Indices(batch=batch, start=start, stop=stop)
        self._workers = workers
        self._ahead = ahead
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._source: Iterator[Batch] | None = None

    def __enter__(self) -> "BatchLoader":
        """Start loading ahead."""
        self._source = self._from_workers() if self._workers else self._from_thread()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop loading; the thread or the worker processes end."""
        self._stop.set()
        self._source = None  # worker processes end with their iterator
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __iter__(self) -> Iterator[Batch]:
        """Return the iterator itself; batches are given out once."""
        return self

    def __next__(self) -> Batch:
        """Wait for the next batch.

        Raises:
            RuntimeError: If the loader was not entered with ``with``.
            Exception: Whatever the dataset raised while it made this batch.
        """
        if self._source is None:
            raise RuntimeError("enter the loader first: with BatchLoader(...) as batches: ...")
        return next(self._source)

    def _from_workers(self) -> Iterator[Batch]:
        return iter(
            DataLoader(
                self._dataset,
                batch_sampler=self._indices,
                num_workers=self._workers,
                prefetch_factor=self._ahead,
                # not forked: libvips has threads, which do not survive a fork
                multiprocessing_context="spawn",
                worker_init_fn=_leave_interrupts_to_the_loop,
                generator=torch.Generator(),  # else a number is drawn from the global one
            )
        )

    def _from_thread(self) -> Iterator[Batch]:
        ready: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=self._ahead)
        self._thread = threading.Thread(
            target=self._produce, args=(ready,), name="escsr-data", daemon=True
        )
        self._thread.start()
        return self._consume(ready)

    def _produce(self, ready: "queue.Queue[Batch | BaseException | None]") -> None:
        def put(item: Batch | BaseException | None) -> None:
            while not self._stop.is_set():
                try:
                    ready.put(item, timeout=0.1)
                    return
                except queue.Full:
                    continue

        try:
            for indices in self._indices:
                if self._stop.is_set():
                    return
                put(default_collate([self._dataset[index] for index in indices]))
            put(None)
        except BaseException as error:  # handed over to the loop, which raises it
            put(error)

    @staticmethod
    def _consume(ready: "queue.Queue[Batch | BaseException | None]") -> Iterator[Batch]:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
