"""Check photos and cut sub-images: ``python tools/prepare_data.py SRC... -o OUT [--crop 480]``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from escsr.cli.console import make_console, make_progress
from escsr.cli.main import print_error
from escsr.data import prepare_photos


def prepare(
    sources: Annotated[list[Path], typer.Argument(help="Folders of photos.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the sub-images.")],
    crop: Annotated[int, typer.Option(help="Side of a sub-image in pixels.")] = 480,
    step: Annotated[int, typer.Option(help="Largest distance between neighbours.")] = 240,
    least: Annotated[
        int | None, typer.Option(help="Leave out photos with a shorter side; CROP if not given.")
    ] = None,
    gray: Annotated[bool, typer.Option(help="Keep photos without colours.")] = True,
    include: Annotated[list[str] | None, typer.Option(help="Glob pattern of files.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Glob pattern of files.")] = None,
    workers: Annotated[int | None, typer.Option(help="Threads; one per core if not given.")] = None,
) -> None:
    """Check folders of photos and cut the good ones into sub-images; run again to resume."""
    with make_progress() as bar:
        task = bar.add_task("listing", total=None)
        report = prepare_photos(
            sources,
            out,
            crop=crop,
            step=step,
            least=least,
            gray=gray,
            include=include or ("*",),
            exclude=exclude or (),
            workers=workers,
            progress=lambda what, done, total: bar.update(
                task, description=what, completed=done, total=total
            ),
        )
    console = make_console()
    for path, problem in report["left_out"].items():
        console.print(f"left out: {path}: {problem}", soft_wrap=True)
    for path in report["left_over"]:
        console.print(f"of no photo: {path}; remove it", soft_wrap=True)
    for name, value in report["statistics"].items():
        console.print(f"{name}: {value}", soft_wrap=True)
    console.print(f"{out / 'prepared.json'} records how this was made")


if __name__ == "__main__":
    try:
        typer.run(prepare)
    except (ValueError, OSError, RuntimeError) as error:
        print_error(error)
        sys.exit(1)
