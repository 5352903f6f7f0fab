"""How sure a difference is: paired bootstrap over pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Difference", "compare_means"]

_LEAST = 5
"""With fewer pictures the bootstrap has too few arrangements for any claim at 95 %."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Mean difference of two models on the same pictures.

    Attributes:
        mean: Mean of a - b over the pictures.
        low: Lower end of the 95 % interval.
        high: Its upper end.
        pictures: The number of pictures.
        verdict: "a better", "b better", "no difference shown", "negligible" (shown, but smaller
            than the effect of correct resizers and rounding) or "too few pictures".
    """

    mean: float
    low: float
    high: float
    pictures: int
    verdict: str


def compare_means(
    a: Sequence[float],
    b: Sequence[float],
    *,
    rng: np.random.Generator,
    better: str = "higher",
    meaningful: float = 0.0,
    draws: int = 10_000,
) -> Difference:
    """Compare two models picture by picture.

    The differences are resampled with replacement ``draws`` times, and quantiles of the means give
    the interval (Efron, "Bootstrap methods: another look at the jackknife", 1979), expanded for few
    pictures by the factor sqrt(n / (n - 1)) and Student's t for the normal distribution
    (Hesterberg, "What teachers should know about the bootstrap", arXiv 1411.5279). It shows how
    much the result depends on the choice of pictures, not whether the set is representative of
    others.

    Args:
        a: Finite values of one model, one per picture.
        b: Those of the other, in the same order.
        rng: Source of the draws.
        better: "higher" or "lower".
        meaningful: Differences below this are called negligible.
        draws: The number of draws.

    Returns:
        The difference with its interval and verdict.

    Raises:
        ValueError: Different lengths, nothing, or values that are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> compare_means([30.1, 31.2, 29.4, 28, 33], [30, 31, 29, 27.8, 32.7], rng=rng).verdict
        'a better'
    """
    if len(a) != len(b) or not len(a):
        raise ValueError(f"{len(a)} and {len(b)} values: there must be equally many, at least 1")
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    if not np.isfinite(differences).all():
        raise ValueError("the values must be finite")
    n = len(differences)
    means = np.empty(draws)
    for start in range(0, draws, 1000):  # 1000 x pictures at a time: bounded memory
        block = min(1000, draws - start)
        means[start : start + block] = differences[rng.integers(0, n, (block, n))].mean(axis=1)
    tail = _tail(n)
    low, high = (float(v) for v in np.quantile(means, [tail, 1 - tail]))
    mean = float(differences.mean())
    verdict = _verdict(n, mean, low, high, better, meaningful)
    return Difference(mean=mean, low=low, high=high, pictures=n, verdict=verdict)


def _tail(n: int) -> float:
    """The share left out on each side for 95 %."""
    from scipy.stats import norm, t

    if n < 2:
        return 0.0
    return float(norm.cdf(-math.sqrt(n / (n - 1)) * t.ppf(0.975, n - 1)))


def _verdict(n: int, mean: float, low: float, high: float, better: str, meaningful: float) -> str:
    if n < _LEAST:
        return "too few pictures"
    if low <= 0 <= high:
        return "no difference shown"
    if abs(mean) < meaningful:
        return "negligible"
    return "a better" if (mean > 0) == (better == "higher") else "b better"
