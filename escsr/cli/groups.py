"""Options in groups: a command takes dataclasses, whose fields become options."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin, get_type_hints


def in_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take its options as dataclasses; each field becomes an option.

    The first line of a dataclass's docstring is the heading of its options in the help.

    Args:
        command: Its parameters annotated with a dataclass are option groups; their fields have
            defaults and are annotated like parameters of a command.

    Returns:
        A command with all options as flat parameters, for Typer.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {
        name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)
    }
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        group = groups.get(parameter.name)
        if group is None:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
        else:
            parameters += _options_of(group)

    @functools.wraps(command)
    def run(**given: Any) -> None:
        for name, group in groups.items():
            own = {field.name: given.pop(field.name) for field in dataclasses.fields(group)}
            given[name] = group(**own)
        command(**given)

    # Typer reads both.
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _options_of(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    heading = inspect.cleandoc(group.__doc__).splitlines()[0].rstrip(".")
    found = []
    for field in dataclasses.fields(group):
        hint = hints[field.name]
        assert get_origin(hint) is Annotated, f"{group.__name__}.{field.name} is no option"
        get_args(hint)[1].rich_help_panel = heading
        found.append(
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=_default_of(field),
                annotation=hint,
            )
        )
    return found


def _default_of(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
