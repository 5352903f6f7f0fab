"""Estimating the memory that a picture needs, and sharing memory between calls."""

import re
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from escsr.inference.watching import Cancel, Cancelled, is_cancelled
from escsr.layers import WindowAttention, planning
from escsr.model import SuperResolver

Memory = int | str | Callable[[], int | None]
"""Bytes, an amount such as "2GB", or a function that returns the bytes left."""

# oneDNN reorders weights and rows outside the tensors that PyTorch reports, and malloc keeps
# freed blocks. With these two, the estimate is 0.84 to 1.16 of what the kernel measures
# (default, real, esc_tiny_x4, esc_light; 256 and 480 pixels, x2 and x4, one thread).
_BESIDE_TENSORS = 1.35
_LIBRARIES = 20 << 20


class PeakTracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages of live tensors.

    Attributes:
        peak: Greatest number of bytes.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = self._live = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_iter(out):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = storage.nbytes()
            self._live += self._sizes[key]
            self.peak = max(self.peak, self._live)
            weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self._live -= self._sizes.pop(key)


# Tensors without data share tables of the process.
_one_at_a_time = threading.Lock()


def estimate_memory(
    model: SuperResolver,
    height: int,
    width: int,
    size: tuple[int, int],
    *,
    batch: int = 1,
    dtype: torch.dtype | None = None,
) -> int:
    """Estimate the peak memory of one forward pass, without the weights.

    The network runs on tensors without data, so this takes a fraction of a second for any size
    and works for every backbone and head (`escsr bench` shows the estimate beside the measured
    peak).

    Args:
        model: Any network.
        height: Rows of the picture.
        width: Its columns.
        size: (H_out, W_out) to make.
        batch: Pictures at once.
        dtype: Number type of autocast; None for none.

    Returns:
        Bytes.

    Example:
        >>> needed = estimate_memory(escsr.load("esc_tiny_x4"), 256, 256, (1024, 1024))
        >>> 64 < needed // 2**20 < 256  # MiB
        True
    """
    device = next(model.parameters()).device
    with without_contents(device, dtype), PeakTracker() as tracker:
        model(torch.empty(batch, 3, height, width, device=device), size=size)
    return with_hidden(tracker.peak)


@contextmanager
def without_contents(device: torch.device, dtype: torch.dtype | None) -> Iterator[None]:
    """Run networks for the block on tensors that have shapes but no memory.

    Args:
        device: Where the network is.
        dtype: Number type of autocast; None for none.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    with (
        _one_at_a_time,
        torch.no_grad(),
        planning(),
        FakeTensorMode(allow_non_fake_inputs=True),
        torch.autocast(device.type, dtype, enabled=dtype is not None),
    ):
        yield


def with_hidden(peak: int) -> int:
    """Bytes of tensors, including the overhead of libraries."""
    return int(_BESIDE_TENSORS * peak) + _LIBRARIES


class RoughBound:
    """Bounds the memory of forward passes in microseconds; the bound is several times too high.

    It is good enough to show that a small picture needs no estimate.

    Args:
        model: Any network.
    """

    def __init__(self, model: nn.Module) -> None:
        self._widest, self._window, self._heads = 3, 1, 0
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                self._see(module.in_channels, module.out_channels)
            elif isinstance(module, nn.Linear):
                self._see(module.in_features, module.out_features)
            elif isinstance(module, WindowAttention):
                self._window = max(self._window, module.window_size)
                self._heads = max(self._heads, module.num_heads)

    def _see(self, *widths: int) -> None:
        self._widest = max(self._widest, *widths)

    def __call__(self, height: int, width: int, size: tuple[int, int], *, batch: int = 1) -> int:
        """Upper bound of the bytes of a pass; arguments as for `estimate_memory`."""
        padded = (height + self._window) * (width + self._window)
        maps = 8 * self._widest * max(padded, size[0] * size[1])
        scores = 3 * self._heads * self._window**2 * padded
        bias = self._heads * self._window**4
        return 4 * (batch * (maps + scores) + bias) + _LIBRARIES


def parse_memory(amount: int | str) -> int:
    """Parse an amount of memory into bytes.

    Args:
        amount: Bytes, or a number with a unit: KB, MB, GB, TB are powers of 1000; KiB, MiB, GiB,
            TiB (and K, M, G, T) powers of 1024.

    Raises:
        ValueError: If it is none of these, or not above 0.

    Example:
        >>> parse_memory("2GB"), parse_memory("1.5 GiB")
        (2000000000, 1610612736)
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*(?:([kmgt])(i?b)?|b)?\s*", str(amount), re.IGNORECASE)
    try:
        number = float(found[1]) if found else 0.0
    except ValueError:
        number = 0.0
    if found is None or number <= 0 or isinstance(amount, bool):
        raise ValueError(
            f"an amount of memory is a number of bytes above 0 or text such as '2GB' or '512MiB', "
            f"not {amount!r}"
        )
    base = 1000 if (found[3] or "").lower() == "b" else 1024
    return int(number * base ** ("kmgt".index(found[2].lower()) + 1 if found[2] else 0))


@dataclass(frozen=True)
class ProcessMemory:
    """A bound on the total memory of this process.

    Attributes:
        total: Bytes.

    Example:
        >>> left = ProcessMemory(4 << 30)()
        >>> 0 <= left < 4 << 30
        True
    """

    total: int

    def __call__(self) -> int:
        """Bytes currently left."""
        return max(self.total - int(psutil.Process().memory_info().rss), 0)


def free_memory(device: torch.device) -> int | None:
    """Free bytes on a device, or None if unknown."""
    if device.type == "cuda":
        # Memory that PyTorch holds in reserve is free for the next pass too.
        reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserve
    if device.type == "cpu":
        return int(psutil.virtual_memory().available)
    return None


class OutOfBudgetError(MemoryError):
    """More memory is needed than will ever be available.

    Args:
        total: Total bytes.
    """

    def __init__(self, total: int) -> None:
        super().__init__(f"only {total / 2**30:.2f} GiB can be had")
        self.total = total


class MemoryBudget:
    """Memory shared by calls: a call that does not fit waits until others are done.

    Args:
        limit: Bytes for all calls together; None uses the result of ``free`` while no call runs.
        free: Returns the bytes that are free now, or None if unknown.

    Example:
        >>> budget = MemoryBudget(limit=2 << 30)
        >>> with budget.reserved(500 << 20):
        ...     sr = model(lq, scale=2)
    """

    def __init__(
        self, *, limit: int | None = None, free: Callable[[], int | None] = lambda: None
    ) -> None:
        self._limit, self._free = limit, free
        self._changed = threading.Condition()
        self._taken = 0
        self._total: int | None = limit

    def total(self) -> int | None:
        """Bytes for all calls together, or None where there is no bound."""
        with self._changed:
            return self._measured()

    def _measured(self) -> int | None:
        if self._limit is not None:
            return self._limit
        if self._taken == 0:  # running calls may not have allocated all of their memory yet
            self._total = self._free()
        return self._total

    @contextmanager
    def reserved(self, needed: int, cancel: Cancel | None = None) -> Iterator[None]:
        """Reserve ``needed`` bytes for the block; waits until they are free.

        Args:
            needed: Bytes.
            cancel: Ends the waiting.

        Raises:
            OutOfBudgetError: If so many bytes will never be free.
            Cancelled: If ``cancel`` ends the waiting.
        """
        with self._changed:
            while True:
                total = self._measured()
                if total is not None and needed > total:
                    raise OutOfBudgetError(total)
                if total is None or self._taken + needed <= total:
                    break
                if is_cancelled(cancel):
                    raise Cancelled("the enlargement was cancelled while it waited for memory")
                self._changed.wait(None if cancel is None else 0.1)
            self._taken += needed
        try:
            yield
        finally:
            with self._changed:
                self._taken -= needed
                self._changed.notify_all()
