"""The copy of the recipe in a run's folder, with all the files it is made from."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from escsr.files import write_json
from escsr.recipe import Recipe, apply, load
from escsr.scripts import reading_copies, sources_of

_FOLDER = "recipe"
_LIST = "made_from.json"


def keep_recipe(folder: Path, source: str | Path | None, overrides: Sequence[str]) -> None:
    """Copy a recipe's file, the recipes it builds on and the modules beside it to a run's folder.

    Args:
        folder: The run's folder; the file becomes ``recipe.py`` in it, the others go to ``recipe``.
        source: The recipe's file, as `escsr.recipe.load` ran it; None: the copy in the folder.
        overrides: The changes made to it, as `escsr.recipe.apply` takes them.
    """
    record = folder / _FOLDER / _LIST
    if source is None:
        if record.is_file():
            write_json(record, _read(record) | {"overrides": list(overrides)})
        return
    main, *others = sources_of(Path(source))
    copies = {main: Path("recipe.py")}
    for number, file in enumerate(others):
        beside = file.is_relative_to(main.parent)
        place = file.relative_to(main.parent) if beside else Path(f"elsewhere_{number}") / file.name
        copies[file] = _FOLDER / place
    for file, place in copies.items():
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (target.exists() and target.samefile(file)):
            shutil.copyfile(file, target)
    record.parent.mkdir(exist_ok=True)
    made_from = {
        "recipe": str(main),
        "overrides": list(overrides),
        "copies": {str(file): place.as_posix() for file, place in copies.items()},
    }
    write_json(record, made_from)


def kept_recipe(folder: Path, overrides: Sequence[str] = ()) -> tuple[Recipe, list[str], list[str]]:
    """Read the recipe of a run from its folder, with the changes made to it.

    Args:
        folder: The run's folder.
        overrides: Further changes.

    Returns:
        The recipe, the problems found by `escsr.recipe.apply`, and all overrides.

    Raises:
        FileNotFoundError: If the folder contains no recipe.
        ValueError: If it cannot be read.
    """
    copy = folder / "recipe.py"
    record = folder / _FOLDER / _LIST
    if record.is_file():
        kept = _read(record)
        copies = {Path(file): folder / place for file, place in kept["copies"].items()}
        every = [*kept["overrides"], *overrides]
        with reading_copies(copies, folder / _FOLDER):
            recipe, problems = apply(load(kept["recipe"]), every)
    elif copy.is_file():  # from an older version, which kept only this file
        every = list(overrides)
        recipe, problems = apply(load(copy), every)
    else:
        raise FileNotFoundError(f"{folder} contains no recipe to continue with: name its file")
    return recipe, problems, every


def _read(record: Path) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        return {"copies": dict(kept["copies"]), "overrides": list(kept["overrides"])} | kept
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{record} is damaged ({error}); name the recipe's file") from error
