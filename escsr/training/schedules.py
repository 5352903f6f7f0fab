"""Learning-rate schedules: pure functions from a step to a factor of the base rate.

Being pure, they have no state to save: step k always has the same rate, also after a resume.
"""

import math
from collections.abc import Sequence


def cosine(step: int, *, steps: int, warmup: int = 0, floor: float = 0.0) -> float:
    """Rise linearly during the warm-up, then fall along half a cosine (arXiv 1608.03983).

    Args:
        step: Step, from 0 to ``steps`` - 1.
        steps: Length of the run.
        warmup: Steps of the warm-up; its last one, ``warmup`` - 1, has factor 1. A run that is
            cut short may end before.
        floor: Factor approached at the end, 0 to 1.

    Returns:
        Factor in [0, 1].

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> [round(cosine(step, steps=5, warmup=2), 2) for step in range(5)]
        [0.5, 1.0, 1.0, 0.75, 0.25]
    """
    _check(steps=steps, warmup=warmup)
    if not 0 <= floor <= 1:
        raise ValueError(f"floor must be in [0, 1], got {floor}")
    if step < warmup:
        return (step + 1) / warmup
    progress = min((step - warmup) / (steps - warmup), 1.0)
    return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2


def multistep(
    step: int, *, steps: int, milestones: Sequence[int], gamma: float = 0.5, warmup: int = 0
) -> float:
    """Rise linearly during the warm-up, then multiply by ``gamma`` at every milestone.

    The paper's runs: 500 000 steps, a warm-up of 20 000, halved at 250, 400, 450, 475 and
    490 thousand.

    Args:
        step: Step, from 0 to ``steps`` - 1.
        steps: Length of the run.
        milestones: Steps from which one more factor applies, rising; those after the end of a run
            that is cut short have no effect.
        gamma: That factor, above 0 and at most 1.
        warmup: Steps of the warm-up; its last one, ``warmup`` - 1, has factor 1.

    Returns:
        Factor in (0, 1].

    Raises:
        ValueError: If a number is out of range or the milestones do not rise.

    Example:
        >>> [multistep(step, steps=4, milestones=(1, 3)) for step in range(4)]
        [1.0, 0.5, 0.5, 0.25]
    """
    _check(steps=steps, warmup=warmup)
    if not 0 < gamma <= 1:
        raise ValueError(f"gamma must be above 0 and at most 1, got {gamma}")
    marks = list(milestones)
    if marks != sorted(set(marks)) or any(mark < 1 for mark in marks):
        raise ValueError(f"milestones must rise and be at least 1, got {marks}")
    rise = (step + 1) / warmup if step < warmup else 1.0
    return float(rise * gamma ** sum(step >= mark for mark in marks))


def constant(step: int, *, steps: int, warmup: int = 0) -> float:
    """Rise linearly during the warm-up, then stay.

    Args:
        step: Step, from 0 to ``steps`` - 1.
        steps: Length of the run.
        warmup: Steps of the warm-up.

    Returns:
        Factor in (0, 1].

    Raises:
        ValueError: If a number is out of range.
    """
    _check(steps=steps, warmup=warmup)
    return (step + 1) / warmup if step < warmup else 1.0


def _check(*, steps: int, warmup: int) -> None:
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if warmup < 0:
        raise ValueError(f"warmup must be at least 0, got {warmup}")
