"""A recipe as plain values, to be stored with a run and compared on resume."""

import inspect
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from escsr.recipe.definition import PARTS, Recipe, Supplied
from escsr.recipe.signatures import function_name, named, parameters

_MISSING = object()
_NONE = Supplied()


def describe(recipe: Recipe) -> dict[str, Any]:
    """Return every value of a recipe, including its parts' defaults, ready for JSON.

    A part becomes ``{"function": qualified name, argument: value, ...}`` without the arguments that
    the trainer supplies; its keys are those of `override`.

    Returns:
        Nested dictionary of strings, numbers, lists, booleans and None.
    """
    return {
        field.name: _plain(getattr(recipe, field.name), PARTS.get(field.name, _NONE))
        for field in fields(recipe)
    }


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Compare two descriptions.

    Returns:
        Dotted key to (old value, new value), for all that differ; a key that only one of them has
        gets None for the other.
    """
    before, after = _flat(old), _flat(new)
    return {
        key: (before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key, _MISSING) != after.get(key, _MISSING)
    }


def _plain(value: Any, supplied: Supplied = _NONE) -> Any:
    if isinstance(value, partial):
        return _plain_part(value, supplied)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Path):
        return str(value)
    return function_name(value) if callable(value) else repr(value)


def _plain_part(part: "partial[Any]", supplied: Supplied) -> dict[str, Any]:
    known = parameters(part.func)
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    given = named(part)
    values = {
        name: given.get(name, parameter.default)
        for name, parameter in known.items()
        if name in given
        or (parameter.default is not inspect.Parameter.empty and parameter.kind not in kinds)
    }
    values |= given  # arguments taken by **kwargs
    for name in supplied.positional + supplied.keywords:
        values.pop(name, None)
    plain = {name: _plain(value) for name, value in values.items()}
    return {"function": function_name(part.func)} | plain


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            flat |= _flat(item, f"{prefix}{key}.")
        else:
            flat[prefix + key] = item
    return flat
