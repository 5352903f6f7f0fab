"""Trial builds of a recipe's parts, made as the trainer will make them."""

import math
from typing import Any
from unittest import mock

import torch

from escsr.recipe.definition import Recipe


def try_part(recipe: Recipe, key: str) -> Any:
    """Build a part as the trainer will, without touching global random state."""
    part = getattr(recipe, key)
    if key == "optimizer":
        return try_optimizer(part)
    if key == "schedule":
        return try_schedule(part, recipe.steps)
    if key == "data":
        return part(seed=recipe.seed)
    with torch.random.fork_rng(devices=[]):
        return part()


def try_optimizer(part: Any) -> Any:
    """Make the optimiser, for a single number.

    PyTorch would import its whole compiler for that, which takes two seconds, because its method
    that adds parameters is marked as not to be compiled. Here the method runs without the mark.
    """
    base = torch.optim.Optimizer
    unmarked = getattr(base.add_param_group, "__wrapped__", base.add_param_group)
    with mock.patch.object(base, "add_param_group", unmarked):
        return part([torch.nn.Parameter(torch.zeros(1))])


def try_schedule(part: Any, steps: int) -> Any:
    """Ask for the first and the last factor."""
    for step in {0, steps - 1}:
        factor = part(step, steps=steps)
        if not (isinstance(factor, int | float) and 0 <= factor < math.inf):
            raise ValueError(f"gives {factor!r} at step {step}, expected a factor of at least 0")
    return part
