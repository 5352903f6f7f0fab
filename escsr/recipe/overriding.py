"""Changing named values of a recipe from ``key=value`` texts."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, get_type_hints

from escsr.names import did_you_mean
from escsr.recipe.definition import OPTIONAL, PARTS, Part, Recipe
from escsr.recipe.signatures import (
    function_name,
    named,
    parameters,
    parse,
    spell,
    takes_any_keyword,
)


class RecipeError(ValueError):
    """A recipe that cannot be used.

    Attributes:
        problems: Every problem found, one line each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        plural = "" if len(self.problems) == 1 else "s"
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"{len(self.problems)} problem{plural} in the recipe:{lines}")


def override(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """Return a recipe with some values replaced.

    Keys are fields of the recipe or, with dots, arguments of its parts; a star means all parts that
    have the argument. Values are read by the annotation of the field or parameter: ``none``,
    ``true``, ``1e-3``, and for sequences ``a,b,c``.

    Args:
        recipe: The recipe, which is not changed.
        assignments: Texts such as ``steps=100``, ``optimizer.lr=1e-3``,
            ``data.roots=photos,more/photos``, ``*.scale=4``.

    Returns:
        The changed recipe; check it before use.

    Raises:
        RecipeError: If keys are unknown or values cannot be read; all of them are listed.

    Example:
        >>> override(recipe, ["steps=100", "optimizer.betas=0.9,0.99"]).steps
        100
    """
    changed, problems = apply(recipe, assignments)
    if problems:
        raise RecipeError(problems)
    return changed


def apply(recipe: Recipe, assignments: Sequence[str]) -> tuple[Recipe, list[str]]:
    """Like `override`, but applies all that can be applied, and returns the problems."""
    problems: list[str] = []
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        try:
            if not equals:
                raise _Refused(f"{assignment!r} is no override; write key=value")
            first, *rest = key.split(".")
            for name in _parts_with(recipe, rest, key) if first == "*" else [first]:
                recipe = dataclasses.replace(recipe, **{name: _new(recipe, name, rest, text, key)})
        except _Refused as refusal:
            problems.append(str(refusal))
    return recipe, problems


def _parts_with(recipe: Recipe, path: Sequence[str], key: str) -> list[str]:
    """Name the parts that have the argument at the beginning of a path."""
    found = _holders(recipe, path[0]) if path else []
    if not found:
        options = {name for part in _parts(recipe).values() for name in parameters(part.func)}
        hint = did_you_mean(path[0] if path else "", options)
        raise _Refused(f"{key}: no part of the recipe has this argument; {hint}")
    return found


def _holders(recipe: Recipe, argument: str) -> list[str]:
    """Name the parts that take an argument."""
    return [name for name, part in _parts(recipe).items() if argument in parameters(part.func)]


def _parts(recipe: Recipe) -> dict[str, Part]:
    return {name: part for name in PARTS if isinstance(part := getattr(recipe, name), partial)}


def _new(recipe: Recipe, name: str, path: Sequence[str], text: str, key: str) -> Any:
    """Return the new value of one field."""
    hints = get_type_hints(Recipe)
    if name not in hints:
        inside = [f"{part}.{name}" for part in _holders(recipe, name)]
        hint = f"did you mean {' or '.join(inside)}?" if inside else did_you_mean(name, hints)
        raise _Refused(f"{key}: the recipe has no {name!r}; {hint}")
    old = getattr(recipe, name)
    if path:
        return _set_inside(old, path, text, key)
    if name in OPTIONAL and text.lower() == "none":
        return None
    if name in PARTS:
        raise _Refused(f"{key} is a part; override its arguments, e.g. {key}.NAME=value")
    return _read(text, hints[name], old, key)


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """One override that cannot be applied."""


def _set_inside(old: Any, path: Sequence[str], text: str, key: str) -> Any:
    """Return a copy of a part or mapping with one argument replaced."""
    if isinstance(old, partial):
        return _set_argument(old, path, text, key)
    if isinstance(old, Mapping):
        name, *rest = path
        present = old.get(name)
        new = (
            _set_inside(present, rest, text, key)
            if rest
            else _read(text, type(present) if present is not None else Any, present, key)
        )
        return {**old, name: new}
    raise _Refused(f"{key}: {'.'.join(key.split('.')[: -len(path)])} has no arguments to override")


def _set_argument(part: Part, path: Sequence[str], text: str, key: str) -> Part:
    name, *rest = path
    known = parameters(part.func)
    if name not in known and not takes_any_keyword(known):
        raise _Refused(
            f"{key}: {function_name(part.func)} has no argument {name!r}; "
            f"{did_you_mean(name, known)}"
        )
    arguments = named(part)
    annotation = known[name].annotation if name in known else Any
    present = arguments.get(name, known[name].default if name in known else None)
    if rest:
        new = _set_inside({} if present is None else present, rest, text, key)
    else:
        new = _read(text, annotation, present, key)
    return partial(part.func, **(arguments | {name: new}))


def _read(text: str, annotation: Any, old: Any, key: str) -> Any:
    try:
        return parse(text, annotation, old=old)
    except ValueError:
        raise _Refused(f"{key}: {text!r} is not {spell(annotation)}") from None
