"""All problems of a recipe, reported at once and before any data is read."""

import inspect
import math
from dataclasses import fields, replace
from functools import partial
from typing import Any, NamedTuple, get_type_hints

import torch

from escsr.models.locating import without_fetching
from escsr.names import did_you_mean
from escsr.recipe.advice import advice
from escsr.recipe.agreeing import disagreements, weights_problem
from escsr.recipe.decoding import Damage, damage
from escsr.recipe.definition import OPTIONAL, PARTS, Recipe, Supplied
from escsr.recipe.signatures import (
    fits,
    function_name,
    named,
    parameters,
    spell,
    takes_any_keyword,
)
from escsr.recipe.tracking import tracker_problems
from escsr.recipe.trying import try_part


class Findings(NamedTuple):
    """The findings about a recipe.

    Attributes:
        problems: Reasons why it cannot run, one line each.
        advice: Settings that are allowed, but may be unintended.
    """

    problems: list[str]
    advice: list[str]


class _Range(NamedTuple):
    least: float = -math.inf
    below: float = math.inf
    least_is_allowed: bool = True

    def holds(self, value: float) -> bool:
        above = value >= self.least if self.least_is_allowed else value > self.least
        return above and value < self.below

    def __str__(self) -> str:
        low = f"{'at least' if self.least_is_allowed else 'above'} {self.least:g}"
        return low if self.below == math.inf else f"{low} and below {self.below:g}"


_RANGES = {
    "steps": _Range(1),
    "batch": _Range(1),
    "minutes": _Range(0, least_is_allowed=False),
    "accumulate": _Range(1),
    "ema": _Range(0, 1),
    "grad_clip": _Range(0, least_is_allowed=False),
    "workers": _Range(0),
    "seed": _Range(0, 2**63),
    "log_every": _Range(1),
    "validate_every": _Range(1),
    "save_every": _Range(1),
    "keep": _Range(1),
    "max_bad_steps": _Range(1),
}


def check(recipe: Recipe, *, resumed: bool = False) -> list[str]:
    """Find all problems of a recipe.

    Looks at types and ranges, binds every part's arguments to its signature (with what the
    trainer will supply), then builds each part whose arguments fit: the network is drawn,
    folders are listed and the headers of pictures read, but no picture is decoded. Finally the
    parts are compared with each other: their scales must agree, and no photo may be both trained
    and validated on.

    Args:
        recipe: The recipe.
        resumed: Whether a run continues from a checkpoint, so that its initial weights are no
            longer needed.

    Returns:
        One line per problem: key, given value, allowed values. Empty if there are none.
    """
    return examine(recipe, resumed=resumed).problems


def examine(recipe: Recipe, *, resumed: bool = False, decode: bool = False) -> Findings:
    """Find all problems of a recipe as `check` does, and give advice to its author.

    Args:
        recipe: The recipe.
        resumed: See `check`.
        decode: Whether to decode all pictures, too, which finds files that are cut short after
            their headers and takes as long as reading them all.

    Returns:
        Problems and advice.
    """
    if resumed:
        recipe = replace(recipe, start_from=None)
    with without_fetching():
        return _examine(recipe, resumed=resumed, decode=decode)


def _examine(recipe: Recipe, *, resumed: bool, decode: bool) -> Findings:
    problems = _value_problems(recipe)
    if isinstance(recipe.start_from, str) and (wrong := weights_problem(recipe.start_from)):
        problems.append(f"start_from: {wrong}")
    built: dict[str, Any] = {}
    for key, supplied in PARTS.items():
        value = getattr(recipe, key)
        if value is None and key in OPTIONAL:
            continue
        found = _part_problems(key, value, supplied)
        if not found:
            try:
                built[key] = try_part(recipe, key)
            except Exception as error:  # any error of a part is a problem of the recipe
                found = [f"{key}: {error}"]
        problems += found
    problems += disagreements(recipe, built, resumed=resumed)
    problems += tracker_problems(recipe.trackers) if fits(recipe.trackers, tuple) else []
    damaged = damage(built) if decode else Damage([], [])
    advised = advice(recipe, built, resumed=resumed)
    return Findings(problems + damaged.problems, advised + damaged.advice)


def _value_problems(recipe: Recipe) -> list[str]:
    hints = get_type_hints(Recipe)
    problems = []
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if field.name in PARTS:
            continue
        if not fits(value, hints[field.name]):
            problems.append(f"{field.name}: got {value!r}, expected {spell(hints[field.name])}")
        elif field.name in _RANGES and value is not None and not _RANGES[field.name].holds(value):
            problems.append(f"{field.name}: must be {_RANGES[field.name]}, got {value}")
    if isinstance(recipe.device, str) and recipe.device != "auto":
        try:
            torch.device(recipe.device)
        except RuntimeError:
            problems.append(f'device: {recipe.device!r} is not "auto" or a torch device')
    return problems


def _part_problems(key: str, part: Any, supplied: Supplied) -> list[str]:
    """Compare a part's arguments with the signature of its function."""
    if not isinstance(part, partial):
        return [f"{key}: must be a functools.partial, got {type(part).__name__}"]
    known = parameters(part.func)
    name = function_name(part.func)
    try:
        given = named(part)
    except ValueError as error:
        return [f"{key}: {error}"]
    problems = []
    for argument, value in given.items():
        if argument in supplied.positional + supplied.keywords:
            problems.append(f"{key}.{argument}: is supplied by the trainer; leave it out")
        elif argument not in known:
            if not takes_any_keyword(known):
                hint = did_you_mean(argument, known)
                problems.append(f"{key}.{argument}: {name} has no such argument; {hint}")
        elif not fits(value, known[argument].annotation):
            expected = spell(known[argument].annotation)
            problems.append(f"{key}.{argument}: got {value!r}, expected {expected}")
        if isinstance(value, partial):
            problems += _nested_problems(f"{key}.{argument}", value)
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    here = {*given, *supplied.keywords, *list(known)[: len(supplied.positional)]}
    for argument, parameter in known.items():
        optional = parameter.default is not inspect.Parameter.empty or parameter.kind in kinds
        if argument not in here and not optional:
            problems.append(f"{key}.{argument}: is missing; {name} needs it")
    for argument in supplied.keywords:
        if argument not in known and not takes_any_keyword(known):
            problems.append(f"{key}: {name} must accept {argument}=, which the trainer supplies")
    return problems


def _nested_problems(key: str, part: "partial[Any]") -> list[str]:
    """Compare the arguments of a part within a part with the signature of its function.

    Missing arguments are not reported here: the part around it may supply them.
    """
    try:
        known, given = parameters(part.func), named(part)
    except (TypeError, ValueError):  # it has no signature
        return []
    problems = []
    for argument, value in given.items():
        if argument not in known and not takes_any_keyword(known):
            hint = did_you_mean(argument, known)
            name = function_name(part.func)
            problems.append(f"{key}.{argument}: {name} has no such argument; {hint}")
        elif argument in known and not fits(value, known[argument].annotation):
            expected = spell(known[argument].annotation)
            problems.append(f"{key}.{argument}: got {value!r}, expected {expected}")
        if isinstance(value, partial):
            problems += _nested_problems(f"{key}.{argument}", value)
    return problems
