"""The signature of a described part: its parameters, their types, and values from text."""

import ast
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from escsr.scripts import module_title

_NOTHING = ("none", "null")
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function or class, their annotations resolved."""
    found = dict(inspect.signature(function).parameters)
    target = function.__init__ if inspect.isclass(function) else function
    try:
        hints = get_type_hints(target)
    except (NameError, TypeError, AttributeError):  # third-party annotations may not resolve
        hints = {}
    return {
        name: parameter.replace(annotation=hints.get(name, parameter.annotation))
        for name, parameter in found.items()
    }


def takes_any_keyword(known: Mapping[str, inspect.Parameter]) -> bool:
    """Return whether there is a ``**kwargs`` among the parameters."""
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())


def named(part: "partial[Any]") -> dict[str, Any]:
    """Return a part's arguments by name, positional ones included.

    Raises:
        ValueError: If there are more positional arguments than parameters.
    """
    slots = [
        name
        for name, p in parameters(part.func).items()
        if p.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(part.args) > len(slots):
        raise ValueError(
            f"{function_name(part.func)} takes at most {len(slots)} positional arguments, "
            f"got {len(part.args)}"
        )
    return dict(zip(slots, part.args, strict=False)) | dict(part.keywords)


def function_name(function: Any) -> str:
    """Return the qualified name of a function or class."""
    module = module_title(getattr(function, "__module__", ""))
    return f"{module}.{getattr(function, '__qualname__', repr(function))}"


def fits(value: Any, annotation: Any) -> bool:
    """Return whether a value fits an annotation; unsupported annotations fit any value."""
    if annotation in (Any, inspect.Parameter.empty):
        return True
    if annotation in (None, type(None)):
        return value is None
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return any(fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is tuple:
        return _fits_tuple(value, arguments)
    if origin in (list, Sequence):
        is_list = isinstance(value, list if origin is list else list | tuple)
        return is_list and all(fits(item, arguments[0]) for item in value)
    kind = annotation if origin is None else origin
    try:
        return not inspect.isclass(kind) or isinstance(value, kind)
    except TypeError:  # a Protocol that does not support isinstance
        return True


def _fits_tuple(value: Any, arguments: tuple[Any, ...]) -> bool:
    if not isinstance(value, tuple):
        return False
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return all(fits(item, arguments[0]) for item in value)
    return len(value) == len(arguments) and all(map(fits, value, arguments))


def spell(annotation: Any) -> str:
    """Spell out an annotation for people."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in (None, type(None)):
        return "none"
    if origin in (Union, types.UnionType):
        return " or ".join(spell(argument) for argument in arguments)
    if origin is Literal:
        return " or ".join(repr(argument) for argument in arguments)
    if origin is None and inspect.isclass(annotation):
        return annotation.__name__
    return str(annotation).replace("collections.abc.", "").replace("typing.", "")


def parse(text: str, annotation: Any, *, old: Any = None) -> Any:
    """Turn the text of an override into a value of the annotated type.

    Args:
        text: The text after the equals sign. List items are separated by commas.
        annotation: The parameter's or field's annotation; without one, the type of the present
            value decides, and then the type that Python reads from the text.
        old: The present value.

    Returns:
        The value.

    Raises:
        ValueError: If the text is not such a value.
    """
    if annotation in (Any, inspect.Parameter.empty):
        if old is None or isinstance(old, Mapping):
            return _literal(text)
        annotation = tuple[Any, ...] if isinstance(old, tuple) else type(old)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _parse_union(text, arguments, old)
    if origin is Literal:
        for option in arguments:
            if text == str(option):
                return option
    elif annotation in (None, type(None)):
        if text.lower() in _NOTHING:
            return None
    elif annotation is bool:
        if text.lower() in _TRUE + _FALSE:
            return text.lower() in _TRUE
    elif annotation is int:
        return int(text.replace("_", ""), 10)
    elif annotation in (float, Path):
        return annotation(text)
    elif annotation is str:
        return text
    elif origin in (tuple, list, Sequence) or annotation in (tuple, list):
        return _parse_items(text, list if list in (origin, annotation) else tuple, arguments)
    elif fits(value := _literal(text), annotation):
        return value
    raise ValueError(text)


def _parse_union(text: str, arguments: tuple[Any, ...], old: Any) -> Any:
    # str accepts any text, so it is tried last; bool comes after numbers, because of 0 and 1
    rank = {type(None): 0, int: 1, float: 2, bool: 3, str: 6, Path: 7}
    for annotation in sorted(arguments, key=lambda argument: rank.get(argument, 4)):
        try:
            return parse(text, annotation, old=old)
        except ValueError:
            continue
    raise ValueError(text)


def _parse_items(text: str, kind: type, arguments: tuple[Any, ...]) -> Any:
    inner = text[1:-1] if text.startswith("(") and text.endswith(")") else text
    items = [item.strip() for item in inner.split(",")]
    if items[-1] == "":  # a trailing comma, or nothing at all
        items.pop()
    if not arguments or Ellipsis in arguments or kind is list or len(arguments) == 1:
        annotations = [arguments[0] if arguments else Any] * len(items)
    else:
        annotations = list(arguments)
    if len(items) != len(annotations):
        raise ValueError(text)
    return kind(
        parse(item, annotation) for item, annotation in zip(items, annotations, strict=True)
    )


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
