"""Everything wrong with a recipe, told at once and before a pixel is read."""

import inspect
import math
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any, NamedTuple, get_type_hints
from unittest import mock

import torch

from escsr.build import find_weights, initialise_from
from escsr.names import did_you_mean
from escsr.recipe.advice import advice
from escsr.recipe.definition import OPTIONAL, PARTS, Recipe, Supplied
from escsr.recipe.signatures import (
    fits,
    function_name,
    named,
    parameters,
    spell,
    takes_any_keyword,
)


class Findings(NamedTuple):
    """What was found in a recipe.

    Attributes:
        problems: What forbids to run it, one line each.
        advice: What allows it, but was perhaps not meant.
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
    folders are listed and the headers of pictures read, but no picture is decoded. At last
    what the parts must agree on is compared: the scales, and that no photo is both trained
    and validated on.

    Args:
        recipe: The recipe.
        resumed: Whether a run goes on from a checkpoint, so that the weights it once started
            from are not needed any more.

    Returns:
        One line per problem: key, what came, what is allowed. Empty if there are none.
    """
    return examine(recipe, resumed=resumed).problems


def examine(recipe: Recipe, *, resumed: bool = False) -> Findings:
    """Find all problems of a recipe as `check` does, and what its author may want to know.

    Args:
        recipe: The recipe.
        resumed: See `check`.

    Returns:
        Problems and advice.
    """
    if resumed:
        recipe = replace(recipe, start_from=None)
    problems = _value_problems(recipe)
    if isinstance(recipe.start_from, str) and not _is_weights(recipe.start_from):
        problems.append(f"start_from: no such file: {recipe.start_from}")
    built: dict[str, Any] = {}
    for key, supplied in PARTS.items():
        value = getattr(recipe, key)
        if value is None and key in OPTIONAL:
            continue
        found = _part_problems(key, value, supplied)
        if not found:
            try:
                built[key] = _try(recipe, key)
            except Exception as error:  # any error of a part is a problem of the recipe
                found = [f"{key}: {error}"]
        problems += found
    problems += _disagreements(recipe, built, resumed=resumed)
    return Findings(problems, advice(recipe, built, resumed=resumed))


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
    """Compare a part's arguments with the signature of what it calls."""
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
    """Compare the arguments of a part within a part with what it calls.

    What it lacks is not told here: it may be supplied by the part around it.
    """
    try:
        known, given = parameters(part.func), named(part)
    except (TypeError, ValueError):  # something without a signature
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


def _try(recipe: Recipe, key: str) -> Any:
    """Build a part as the trainer will, without touching global random state."""
    part = getattr(recipe, key)
    if key == "optimizer":
        return _try_optimizer(part)
    if key == "schedule":
        return _try_schedule(part, recipe.steps)
    if key == "data":
        return part(seed=recipe.seed)
    with torch.random.fork_rng(devices=[]):
        return part()


def _try_optimizer(part: Any) -> Any:
    """Make the optimiser, for a single number.

    PyTorch would import its whole compiler for that, which takes two seconds: its method that
    adds parameters is marked as not to be compiled. Here the method runs without the mark.
    """
    base = torch.optim.Optimizer
    unmarked = getattr(base.add_param_group, "__wrapped__", base.add_param_group)
    with mock.patch.object(base, "add_param_group", unmarked):
        return part([torch.nn.Parameter(torch.zeros(1))])


def _try_schedule(part: Any, steps: int) -> Any:
    for step in {0, steps - 1}:
        factor = part(step, steps=steps)
        if not (isinstance(factor, int | float) and 0 <= factor < math.inf):
            raise ValueError(f"gives {factor!r} at step {step}, expected a factor from 0 on")
    return part


def _is_weights(name: str) -> bool:
    """Whether there is such a file or embedded model."""
    try:
        return find_weights(name).is_file()
    except FileNotFoundError:
        return False


def _disagreements(recipe: Recipe, built: dict[str, Any], *, resumed: bool) -> list[str]:
    """Compare what several parts say about the same thing, as far as they say it."""
    problems = _adversary_problems(recipe, built, resumed=resumed)
    if "model" in built and recipe.start_from is not None and _is_weights(recipe.start_from):
        try:
            initialise_from(built["model"], recipe.start_from, head=recipe.start_from_head)
        except ValueError as error:
            problems.append(f"start_from: {error}")
    problems += _batch_problems(recipe, built.get("data"))
    problems += _picture_problems(built)
    figures = getattr(built.get("validation"), "figures", None)
    if figures is not None and recipe.best not in figures:
        problems.append(f"best: {recipe.best!r}; {did_you_mean(recipe.best, figures)}")
    scale = getattr(built.get("model"), "scale", None)
    for key in ("data", "validation"):
        other = getattr(built.get(key), "scale", None)
        if scale is not None and other is not None and other != scale:
            problems.append(f"{key}.scale: is {other}, but the model makes ×{scale}")
    trained = set(getattr(built.get("data"), "paths", ()))
    both = sorted(trained.intersection(getattr(built.get("validation"), "paths", ())))
    if both:
        some = ", ".join(str(path) for path in both[:3])
        more = f" and {len(both) - 3} more" if len(both) > 3 else ""
        problems.append(f"validation: photos that are trained on too: {some}{more}")
    return problems


def _batch_problems(recipe: Recipe, data: Any) -> list[str]:
    """Whether the batch can be cut into pieces, each of which can be stacked."""
    if not (fits(recipe.batch, int) and fits(recipe.accumulate, int) and recipe.accumulate >= 1):
        return []  # told already
    piece, rest = divmod(recipe.batch, recipe.accumulate)
    if rest:
        return [f"accumulate: {recipe.accumulate} does not divide the batch of {recipe.batch}"]
    group = getattr(data, "group", None)
    if group is not None and getattr(data, "queries", None) is None and group % max(piece, 1):
        return [
            f"data.group: {group} samples have one scale, but {piece} are stacked at a time; "
            f"take a multiple of {piece}"
        ]
    return []


def _adversary_problems(recipe: Recipe, built: dict[str, Any], *, resumed: bool) -> list[str]:
    """Try the parts within an adversary, which only the trainer would call."""
    adversary = built.get("adversary")
    if adversary is None:
        return []
    trials: dict[str, Callable[[], Any]] = {
        "optimizer": lambda: _try_optimizer(adversary.optimizer),
        "schedule": lambda: (
            None if adversary.schedule is None else _try_schedule(adversary.schedule, recipe.steps)
        ),
        "start_from": lambda: None if resumed else adversary.initialise(),
    }
    problems = []
    for name, trial in trials.items():
        try:
            trial()
        except Exception as error:  # any error of a part is a problem of the recipe
            problems.append(f"adversary.{name}: {error}")
    return problems


def _picture_problems(built: dict[str, Any]) -> list[str]:
    """Refuse what judges pictures where the data gives single pixels of them."""
    queries = getattr(built.get("data"), "queries", None)
    if queries is None:
        return []
    judges = [key for key in ("adversary",) if key in built]
    judges += ["loss"] if getattr(built.get("loss"), "needs_pictures", False) else []
    return [
        f"{key}: looks at whole pictures, but data.queries={queries} gives single pixels of them; "
        "set data.queries=none and data.group to the batch"
        for key in judges
    ]
