"""``escsr train``: from a recipe to weights."""

import time
from pathlib import Path
from typing import Annotated

import typer

from escsr.cli.console import make_console


def train(
    recipe: Annotated[
        Path | None,
        typer.Argument(
            help="Recipe file, or the name of a recipe of escsr (escsr list). Not needed with "
            "--resume --out, as the folder keeps it.",
            show_default=False,
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Values to change, e.g. steps=1000 optimizer.lr=1e-4 data.roots=photos.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. Default: runs/NAME.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last checkpoint in that folder.")
    ] = False,
    change: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            help="With --resume: a key that may have changed, e.g. steps or optimizer.",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="Save and stop so that this call ends within this many minutes."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Only check the recipe and its pictures; write nothing."),
    ] = False,
) -> None:
    """Train a network from a recipe; Ctrl-C saves and stops."""
    import escsr.recipe
    import escsr.training
    from escsr.recipe.definition import find_recipe
    from escsr.training.kept_recipe import kept_recipe

    changes = list(overrides or [])
    if recipe is not None and "=" in recipe.name and not recipe.exists():
        recipe, changes = None, [str(recipe), *changes]  # no recipe was given
    if recipe is not None:
        recipe = find_recipe(recipe)
        described, problems = escsr.recipe.apply(escsr.recipe.load(recipe), changes)
    elif resume and out is not None:
        described, problems, changes = kept_recipe(out, changes)
    else:
        raise ValueError(
            "name a recipe: a file, or a name from escsr list; only --resume --out DIR needs none"
        )
    folder = out or Path("runs") / described.name
    if resume and not folder.is_dir():
        raise FileNotFoundError(f"there is no run in {folder} to resume; leave out --resume")
    found = escsr.recipe.examine(described, resumed=resume, decode=check)
    problems += found.problems
    if problems:
        errors = make_console(stderr=True)
        errors.print(str(escsr.recipe.RecipeError(problems)), soft_wrap=True)
        raise typer.Exit(2)
    console = make_console()
    for line in found.advice:
        console.print(f"note: {line}", soft_wrap=True)
    if check:
        console.print(f"{recipe or folder} is fine")
        return
    summary = escsr.training.train(
        described,
        out=folder,
        resume=resume,
        changing=change or (),
        source=recipe,
        overrides=changes,
        minutes=None if minutes is None else _left(minutes),
        console=console,
    )
    if summary.signal is not None:
        raise typer.Exit(128 + summary.signal)


def _left(minutes: float) -> float:
    """The minutes left of a limit, counted from the start of this program.

    Raises:
        ValueError: If none are left.
    """
    import psutil

    begun: float = psutil.Process().create_time()
    left = minutes - (time.time() - begun) / 60
    if left <= 0:
        raise ValueError(f"--minutes {minutes:g}: the time was up before training began")
    return left
