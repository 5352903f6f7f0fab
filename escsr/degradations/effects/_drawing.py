"""Drawing plain numbers from ranges."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from escsr.degradations._checks import Range
from escsr.degradations.bounds import WEIGHT

T = TypeVar("T")


def uniform(rng: np.random.Generator, ends: Range) -> float:
    """A number in [low, high)."""
    return float(rng.uniform(ends[0], ends[1]))


def whole(rng: np.random.Generator, ends: tuple[int, int]) -> int:
    """An integer from low to high, both included."""
    return int(rng.integers(ends[0], ends[1], endpoint=True))


def happens(rng: np.random.Generator, probability: float) -> bool:
    """Whether an event of this probability occurs."""
    return float(rng.random()) < probability


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options, all equally likely."""
    return options[int(rng.integers(len(options)))]


def pick_weighted(rng: np.random.Generator, options: Sequence[T], weights: Sequence[float]) -> T:
    """One of the options, with probabilities in proportion to the weights."""
    cumulated = np.cumsum(weights)
    index = int(np.searchsorted(cumulated, rng.random() * cumulated[-1], side="right"))
    return options[min(index, len(options) - 1)]


def seed(rng: np.random.Generator) -> int:
    """The seed of a noise field."""
    return int(rng.integers(2**32))


def check_weights(name: str, weights: Sequence[float]) -> None:
    """Refuse weights if none of them is above 0."""
    for weight in weights:
        WEIGHT.check(f"a weight of {name}", weight)
    if not sum(weights) > 0:
        raise ValueError(f"at least one weight of {name} must be above 0, got {list(weights)}")
