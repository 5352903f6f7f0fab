"""Scales as people write them: ``4``, ``4x``, ``x2.5``, ``×3``."""

from typing import Any

import typer


def parse_scale(text: str | float) -> float:
    """A scale with or without its x, as a number.

    Raises:
        typer.BadParameter: If it is not one number.
    """
    digits = str(text).strip().lower().replace("×", "x")
    digits = digits.removeprefix("x") if digits.startswith("x") else digits.removesuffix("x")
    try:
        return float(digits)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a scale such as 4, 4x or 2.5") from None


def parse_whole_scale(text: str | int) -> int:
    """A whole scale with or without its x.

    Raises:
        typer.BadParameter: If it is not one whole number.
    """
    scale = parse_scale(text)
    if not scale.is_integer():
        raise typer.BadParameter(f"{text!r} is not a whole scale such as 2, 4 or 4x")
    return int(scale)


def scale_option(text: str, *, whole: bool = False) -> Any:
    """The option ``--scale`` of a command.

    Args:
        text: What its help says.
        whole: Whether only whole scales are accepted.
    """
    parser = parse_whole_scale if whole else parse_scale
    return typer.Option("--scale", "-s", parser=parser, metavar="FACTOR", help=text)
