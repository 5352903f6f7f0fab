"""A thread that makes batches before they are requested."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

_Batch = dict[str, Tensor]


class ThreadAhead:
    """A thread that makes batches ahead.

    Args:
        make: Makes a batch from the indices of its samples.
        indices: Sample indices of all batches.
        ahead: How many batches may be ready.
        device: Device on which `make` works, if it is a GPU: it then gets a stream of its own, and
            batches are returned once they are complete.
    """

    def __init__(
        self,
        make: Callable[[Sequence[int]], _Batch],
        indices: Iterable[list[int]],
        *,
        ahead: int,
        device: torch.device | None = None,
    ) -> None:
        self._make = make
        self._indices = indices
        self._on_gpu = device is not None and device.type == "cuda"
        self._stream: torch.cuda.Stream | None = None
        if self._on_gpu:
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._ready: queue.Queue[_Batch | BaseException | None] = queue.Queue(maxsize=ahead)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._produce, name="escsr-data", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for its end."""
        self._stopping.set()
        self._thread.join()

    def __iter__(self) -> Iterator[_Batch]:
        """Yield the batches in order, and raise any error from `make`."""
        while (item := self._ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            if self._on_gpu:
                for tensor in item.values():  # keeps its memory until this stream is done
                    tensor.record_stream(torch.cuda.current_stream(tensor.device))
            yield item

    def _produce(self) -> None:
        try:
            for indices in self._indices:
                if self._stopping.is_set():
                    return
                with torch.cuda.stream(self._stream), torch.no_grad():
                    batch = self._make(indices)
                if self._stream is not None:
                    self._stream.synchronize()
                self._put(batch)
            self._put(None)
        except BaseException as error:  # passed to the loop, which raises it
            self._put(error)

    def _put(self, item: _Batch | BaseException | None) -> None:
        while not self._stopping.is_set():
            try:
                self._ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue
