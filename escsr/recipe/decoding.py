"""Damage after the headers of pictures, which only decoding reveals."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from escsr.data.photos import damaged_files

_NAMED = 10  # damaged files that are named one by one


class Damage(NamedTuple):
    """The damaged files among the pictures of a recipe.

    Attributes:
        problems: Files that will end the run.
        advice: Files that it will skip.
    """

    problems: list[str]
    advice: list[str]


def damage(built: Mapping[str, Any]) -> Damage:
    """Decode all pictures that a recipe trains and validates on.

    Args:
        built: Its parts by name; third-party parts without ``files`` or ``paths`` are skipped.
    """
    found = Damage([], [])
    for key in ("data", "validation"):
        part = built.get(key)
        files = getattr(part, "files", getattr(part, "paths", ()))
        lines = damaged_files(files)
        if not lines:
            continue
        more = f"\n    and {len(lines) - _NAMED} more" if len(lines) > _NAMED else ""
        listed = "".join(f"\n    {line}" for line in lines[:_NAMED]) + more
        if getattr(part, "skips_damaged", False):
            found.advice.append(f"{key}: {len(lines)} damaged files will be skipped:{listed}")
        else:
            found.problems.append(
                f"{key}: {len(lines)} of {len(files)} files are damaged; remove them"
                + (", or set data.bad_files=skip:" if key == "data" else ":")
                + listed
            )
    return found
