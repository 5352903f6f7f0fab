"""Time and memory of one call on a device, and the device's peak rates."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

_MOST = 200


def synchronize(device: torch.device) -> None:
    """Wait until a device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(
    call: Callable[[], object], device: torch.device, *, seconds: float, least: int = 3
) -> dict[str, Any]:
    """Time a call repeatedly, after two passes that do not count.

    Args:
        call: The call to time.
        device: Where it computes.
        seconds: Approximate duration.
        least: Least number of passes.

    Returns:
        ``ms``, the median of milliseconds; ``spread``, the first and the last decile; ``passes``;
        ``peak_mib``, memory beyond what was taken before, None on a CPU.
    """
    with peak_memory(device) as peak:
        for _ in range(2):
            call()
        synchronize(device)
    times: list[float] = []
    ends = time.perf_counter() + seconds
    while len(times) < least or (time.perf_counter() < ends and len(times) < _MOST):
        began = time.perf_counter()
        call()
        synchronize(device)
        times.append(1e3 * (time.perf_counter() - began))
    times.sort()
    tenth = len(times) // 10
    return {
        "ms": statistics.median(times),
        "spread": [times[tenth], times[-1 - tenth]],
        "passes": len(times),
        "peak_mib": peak[0],
    }


@contextlib.contextmanager
def peak_memory(device: torch.device) -> Iterator[list[float | None]]:
    """Put MiB at the highest above the present into the list, at the end; None on a CPU."""
    peak: list[float | None] = [None]
    if device.type != "cuda":
        yield peak
        return
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    yield peak
    peak[0] = (torch.cuda.max_memory_allocated(device) - before) / 2**20


@contextlib.contextmanager
def arithmetic(device: torch.device, precision: str) -> Iterator[None]:
    """Compute a block in one of `escsr.bench.gpu.plan.PRECISIONS`."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    _allow_tf32(precision == "tf32", precision == "tf32")
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    try:
        with torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None):
            yield
    finally:
        _allow_tf32(*before)


def _allow_tf32(in_products: bool, in_convolutions: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = in_products
    torch.backends.cudnn.allow_tf32 = in_convolutions


def number_type(precision: str) -> torch.dtype:
    """The type of weights in a precision."""
    types = {"bf16 weights": torch.bfloat16, "fp16 weights": torch.float16}
    return types.get(precision, torch.float32)


def matrix_rate(device: torch.device, precision: str, side: int) -> dict[str, Any]:
    """The rate of products of large square matrices, in TFLOP/s."""
    a, b = (torch.randn(side, side, device=device) for _ in range(2))
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    if half is not None:
        a, b = a.to(half), b.to(half)
    with arithmetic(device, precision if half is None else "fp32"):
        found = timed(lambda: a @ b, device, seconds=0.2)
    return {**found, "tflops": 2 * side**3 / found["ms"] / 1e9}


def copy_rate(device: torch.device, what: str, count: int) -> dict[str, Any]:
    """What copies reach, in GB/s: "device" (read and written), "to", "to, pinned" or "from".

    "to, pinned" comes from memory of the host that does not move.
    """
    pinned = what == "to, pinned" and device.type == "cuda"
    here = torch.empty(count, dtype=torch.uint8, pin_memory=pinned)
    there = torch.empty(count, dtype=torch.uint8, device=device)
    other = torch.empty_like(there) if what == "device" else here
    target, source = (other, there) if what in ("device", "from") else (there, other)
    found = timed(lambda: target.copy_(source, non_blocking=True), device, seconds=0.1)
    moved = 2 * count if what == "device" else count
    return {**found, "gb_per_s": moved / found["ms"] / 1e6}
