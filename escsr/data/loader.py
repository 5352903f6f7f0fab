"""Batches of an endless dataset, loaded ahead of the training loop."""

import queue
import random
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

Batch = dict[str, Tensor]
"""What one training step reads: named tensors with a leading batch dimension."""


def _leave_interrupts_to_the_loop(worker: int) -> None:
    """Let workers live on after Ctrl-C, which reaches them too, until the loop ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Seeded(Dataset[Any]):
    """A dataset whose samples are made with the global generators in a state of their own.

    Samples that draw from Python's, numpy's or PyTorch's global generator then depend on
    ``(seed, n)`` alone as well, at 0.015 ms each. Only for processes that do nothing else.
    """

    def __init__(self, dataset: Dataset[Any], *, seed: int) -> None:
        self.dataset = dataset
        self.seed = seed

    def __getitem__(self, index: int) -> Any:
        state = np.random.SeedSequence([self.seed, index]).generate_state(3)
        random.seed(int(state[0]))
        np.random.seed(state[1])
        # of the CPU only: torch.manual_seed would prepare each device's too
        torch.default_generator.manual_seed(int(state[2]))
        return self.dataset[index]


def stack(samples: list[dict[str, Tensor]]) -> Batch:
    """Stack samples to a batch.

    Args:
        samples: Named tensors; those of one name have one shape.

    Returns:
        The tensors with a leading dimension.

    Raises:
        ValueError: If samples of one batch have different shapes.
    """
    for name in samples[0]:
        shapes = sorted({tuple(sample[name].shape) for sample in samples})
        if len(shapes) > 1:
            raise ValueError(
                f"samples of one batch must have one shape, got {name} of shapes "
                f"{', '.join(map(str, shapes))}; where the scale is drawn, give the dataset "
                "group=BATCH_SIZE"
            )
    batch: Batch = default_collate(samples)
    return batch


@dataclass(frozen=True, kw_only=True)
class Share:
    """Which part of every batch a process loads, and in how many pieces.

    Piece a of process r is part ``a * processes + r`` of the batch's ``pieces * processes`` parts,
    so that a batch holds the same samples however it is shared out.

    Attributes:
        pieces: Parts of a process's share, given out one after the other, at least 1.
        process: Number of this process, from 0.
        processes: How many processes share each batch.
    """

    pieces: int = 1
    process: int = 0
    processes: int = 1


WHOLE = Share()
"""All of a batch, in one piece."""


class _Indices:
    """Sample indices, one list per piece of a batch, made as they are asked for."""

    def __init__(self, *, batch: int, start: int, stop: int, share: Share) -> None:
        parts = share.pieces * share.processes
        if batch % parts:
            raise ValueError(
                f"a batch of {batch} cannot be shared out in {share.pieces} piece(s) to each of "
                f"{share.processes} process(es); take a multiple of {parts}"
            )
        self.batch = batch
        self.batches = range(start, stop)
        self.share = share
        self.size = batch // parts

    def __len__(self) -> int:
        return len(self.batches) * self.share.pieces

    def __iter__(self) -> Iterator[list[int]]:
        share = self.share
        for k in self.batches:
            for piece in range(share.pieces):
                part = piece * share.processes + share.process
                first = k * self.batch + part * self.size
                yield list(range(first, first + self.size))


class BatchLoader:
    """Iterate over batches ``start`` to ``stop`` of a dataset's endless stream of samples.

    Batch k holds samples k * batch to (k + 1) * batch - 1, in this order, for any number of
    workers. With ``workers=0`` a thread of this process prepares batches ahead: decoding and
    resizing mostly run outside Python's lock, and all photos are cached once. With workers,
    that many processes do, each with a cache of its own.

    The datasets of this package draw from generators of their own. One that draws from the
    global generators (Python's, numpy's, PyTorch's) repeats exactly, for any number of workers and
    after a resumption, with ``workers`` of at least 1, where those are seeded for each sample; in
    a thread that is not possible, as the training loop draws from the same ones.

    Use it as a context manager, so that threads and processes end with the loop.

    Args:
        dataset: Map-style dataset that answers for every index from 0 on.
        batch: Samples per batch, at least 1.
        start: First batch, at least 0.
        stop: One past the last batch.
        share: The part of every batch that is loaded, and in how many pieces it is given out.
        workers: Number of worker processes; 0 for a thread of this process.
        ahead: How many batches may lie ready (per worker, if there are any).
        seed: Seed of the global generators in worker processes, at least 0.

    Raises:
        ValueError: If a number is out of range, or a batch cannot be shared out evenly.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        *,
        batch: int,
        start: int,
        stop: int,
        share: Share = WHOLE,
        workers: int = 0,
        ahead: int = 4,
        seed: int = 0,
    ) -> None:
        for name, value, least in (
            ("batch", batch, 1),
            ("start", start, 0),
            ("workers", workers, 0),
            ("ahead", ahead, 1),
            ("seed", seed, 0),
        ):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        self._dataset = dataset
        self._indices = _Indices(batch=batch, start=start, stop=stop, share=share)
        self._workers = workers
        self._ahead = ahead
        self._seed = seed
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
                _Seeded(self._dataset, seed=self._seed),
                collate_fn=stack,
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
                put(stack([self._dataset[index] for index in indices]))
            put(None)
        except BaseException as error:  # handed over to the loop, which raises it
            put(error)

    @staticmethod
    def _consume(ready: "queue.Queue[Batch | BaseException | None]") -> Iterator[Batch]:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
