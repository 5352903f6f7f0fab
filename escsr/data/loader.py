"""Batches of an endless dataset, loaded ahead of the training loop."""

import pickle
import random
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import current_thread, main_thread
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from escsr.data.ahead import ThreadAhead
from escsr.data.on_device import DeviceBatches
from escsr.data.queries import check_one_shape
from escsr.scripts import Packed, pack

Batch = dict[str, Tensor]
"""What one training step reads: named tensors with a leading batch dimension."""


def _leave_interrupts_to_the_loop(worker: int) -> None:
    """Keep workers alive after Ctrl-C, which reaches them too, until the loop ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Remove a DataLoader's SIGCHLD handler, which raises in the middle of other code.

    A killed worker is noticed anyway when the loop waits for its batch.
    """
    signals = hasattr(signal, "SIGCHLD") and current_thread() is main_thread()
    before = signal.getsignal(signal.SIGCHLD) if signals else None
    yield
    if before is not None:
        signal.signal(signal.SIGCHLD, before)


class _Seeded(Dataset[Any]):
    """A dataset that seeds the global generators for each sample.

    Samples that draw from Python's, numpy's or PyTorch's global generator then depend only on
    ``(seed, n)`` too, at 0.015 ms each. Only for processes that do nothing else.
    """

    def __init__(self, dataset: Dataset[Any], *, seed: int) -> None:
        self.dataset = dataset
        self.seed = seed

    def __getitem__(self, index: int) -> Any:
        state = np.random.SeedSequence([self.seed, index]).generate_state(3)
        random.seed(int(state[0]))
        np.random.seed(state[1])
        # the CPU generator only: torch.manual_seed would also prepare those of all devices
        torch.default_generator.manual_seed(int(state[2]))
        return self.dataset[index]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle functions of recipes for the worker."""
        return _seeded_again, (pack((self.dataset, self.seed)),)


def _seeded_again(packed: Packed) -> _Seeded:
    dataset, seed = packed.unpack()
    return _Seeded(dataset, seed=seed)


def check_sendable(dataset: Dataset[Any]) -> None:
    """Refuse a dataset that cannot be sent to worker processes.

    Raises:
        ValueError: If something in it cannot be pickled.
    """
    try:
        pickle.dumps(dataset)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            f"the data cannot be sent to worker processes ({error}): take functions and classes "
            "that stand at the top level of a file, no lambdas, or workers=0"
        ) from error


def stack(samples: list[dict[str, Tensor]]) -> Batch:
    """Stack samples into a batch.

    Args:
        samples: Named tensors; tensors of the same name have the same shape.

    Returns:
        The tensors with a leading dimension.

    Raises:
        ValueError: If samples of one batch have different shapes.
    """
    for name in samples[0]:
        check_one_shape(name, [tuple(sample[name].shape) for sample in samples])
    batch: Batch = default_collate(samples)
    return batch


@dataclass(frozen=True, kw_only=True)
class Share:
    """The part of every batch that a process loads, and its number of pieces.

    Piece a of process r is part ``a * processes + r`` of the batch's ``pieces * processes`` parts,
    so that a batch holds the same samples however it is divided.

    Attributes:
        pieces: Parts of a process's share, returned one after the other, at least 1.
        process: Number of this process, from 0.
        processes: Number of processes that share each batch.
    """

    pieces: int = 1
    process: int = 0
    processes: int = 1


WHOLE = Share()
"""All of a batch, in one piece."""


class _Indices:
    """Sample indices, one list per piece of a batch, generated on demand."""

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
    resizing mostly run outside Python's lock, and all photos are cached once. Otherwise that
    many worker processes do so, each with a cache of its own.

    The datasets of this package draw from their own generators. A dataset that draws from the
    global generators (Python's, numpy's, PyTorch's) is reproducible, for any number of workers and
    after a resumption, only with ``workers`` of at least 1, where they are seeded for each sample.
    In a thread that is impossible, as the training loop draws from the same generators.

    A dataset with ``on_device`` set makes whole batches on `device`, in its own thread and CUDA
    stream; `workers` is then ignored.

    Use it as a context manager, so that threads and processes end with the loop. When entered
    again, it starts again with batch `start`.

    Args:
        dataset: Map-style dataset that answers for every index from 0 on.
        batch: Samples per batch, at least 1.
        start: First batch, at least 0.
        stop: One past the last batch.
        share: The part of every batch to load, and the number of pieces to return it in.
        workers: Number of worker processes; 0 for a thread of this process.
        ahead: How many batches may be ready (per worker, if there are any).
        seed: Seed of the global generators in worker processes, at least 0.
        device: Device for datasets that make batches on a device.

    Raises:
        ValueError: If a number is out of range, or a batch cannot be divided evenly.
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
        device: torch.device | str = "cpu",
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
        self._device = torch.device(device)
        self._thread: ThreadAhead | None = None
        self._source: Iterator[Batch] | None = None

    def __enter__(self) -> "BatchLoader":
        """Start loading ahead, from the first batch.

        Raises:
            RuntimeError: If it is already entered.
        """
        if self._source is not None:
            raise RuntimeError("this loader is in use; make another one for the same data")
        dataset = self._dataset
        if isinstance(dataset, DeviceBatches) and dataset.on_device:
            dataset.open_on(self._device)
            self._thread = ThreadAhead(
                dataset.batch, self._indices, ahead=self._ahead, device=self._device
            )
            self._source = iter(self._thread)
        elif self._workers:
            self._source = self._from_workers()
        else:
            self._thread = ThreadAhead(self._stacked, self._indices, ahead=self._ahead)
            self._source = iter(self._thread)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop loading; the thread or the worker processes end."""
        self._source = None  # worker processes end with their iterator
        if self._thread is not None:
            self._thread.stop()
            self._thread = None

    def __iter__(self) -> Iterator[Batch]:
        """Return the iterator itself; each batch is returned once."""
        return self

    def __next__(self) -> Batch:
        """Wait for the next batch.

        Raises:
            RuntimeError: If the loader was not entered with ``with``.
            Exception: Any error that the dataset raised while making this batch.
        """
        if self._source is None:
            raise RuntimeError("enter the loader first: with BatchLoader(...) as batches: ...")
        return next(self._source)

    def _stacked(self, indices: Sequence[int]) -> Batch:
        return stack([self._dataset[index] for index in indices])

    def _from_workers(self) -> Iterator[Batch]:
        with _handlers_kept():
            return self._workers_started()

    def _workers_started(self) -> Iterator[Batch]:
        return iter(
            DataLoader(
                _Seeded(self._dataset, seed=self._seed),
                collate_fn=stack,
                batch_sampler=self._indices,
                num_workers=self._workers,
                prefetch_factor=self._ahead,
                # not forked, because libvips has threads, which do not survive a fork
                multiprocessing_context="spawn",
                worker_init_fn=_leave_interrupts_to_the_loop,
                generator=torch.Generator(),  # otherwise the global one would be used
            )
        )
