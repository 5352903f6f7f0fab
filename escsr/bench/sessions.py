"""The overhead of a session over the bare network, and the relative cost of embedded models."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from escsr.build import load
from escsr.inference import Upscaler, upscale


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two ways to do the same, timed alternately in one run.

    Attributes:
        what: The work.
        seconds: Median of the way in question.
        baseline: Median of what it is compared with.
        against: What that is.
    """

    what: str
    seconds: float
    baseline: float
    against: str

    @property
    def ratio(self) -> float:
        """``seconds`` over ``baseline``."""
        return self.seconds / self.baseline


def measure_sessions(*, threads: int = 1, repeats: int = 15) -> list[Comparison]:
    """Time small pictures and batches through sessions, and the default model beside esc_tiny_x4.

    Args:
        threads: Threads of PyTorch.
        repeats: Timed pairs each; the medians count.

    Returns:
        The comparisons, in a fixed order.

    Example:
        >>> [f"{c.what}: {c.ratio:.2f}" for c in measure_sessions()]
        ['a 24x24 picture through upscale: 1.08', …]
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return [*_overheads(repeats), _embedded(max(3, repeats // 3))]
    finally:
        torch.set_num_threads(before)


def _overheads(repeats: int) -> list[Comparison]:
    network, up = load("default"), Upscaler("default", device="cpu")
    picture = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    lq, batch = torch.rand(1, 3, 24, 24), torch.rand(8, 3, 32, 32)
    options: dict[str, Any] = {"scale": 4, "device": "cpu"}
    return [
        _compare(
            "a 24x24 picture through upscale",
            lambda: upscale(picture, **options),
            "the bare network",
            lambda: network(lq, scale=4),
            repeats,
        ),
        _compare(
            "a 24x24 picture through upscale, with a network given",
            lambda: upscale(picture, model=network, **options),
            "the bare network",
            lambda: network(lq, scale=4),
            repeats,
        ),
        _compare(
            "a batch of 8x3x32x32 through a session",
            lambda: up(batch, scale=4),
            "the bare network",
            lambda: network(batch, scale=4),
            repeats,
        ),
    ]


def _embedded(repeats: int) -> Comparison:
    default, tiny = load("default"), load("esc_tiny_x4")
    lq = torch.rand(1, 3, 240, 320)
    return _compare(
        "320x240 by the default model at x4",
        lambda: default(lq, scale=4),
        "esc_tiny_x4",
        lambda: tiny(lq),
        repeats,
    )


def _compare(
    what: str,
    work: Callable[[], object],
    against: str,
    baseline: Callable[[], object],
    repeats: int,
) -> Comparison:
    times: tuple[list[float], list[float]] = ([], [])
    with torch.inference_mode():
        for _ in range(repeats + 2):  # the first two of each are not counted
            for one, into in zip((work, baseline), times, strict=True):
                began = time.perf_counter()
                one()
                into.append(time.perf_counter() - began)
    first, second = (_median(into[2:]) for into in times)
    return Comparison(what=what, seconds=first, baseline=second, against=against)


def _median(seconds: Sequence[float]) -> float:
    return statistics.median(seconds)
