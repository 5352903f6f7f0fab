"""Teachers' enlargements: ``python tools/prepare_teacher.py SRC... -o OUT --teacher T --scale 4``.

The teacher T is a weight file or an embedded model of ours, or a Python file of your own that
defines ``teacher``, a function from (1, 3, h, w) float32 RGB in [0, 1] to (1, 3, scale h, scale w):
so any network can teach, in any framework. Such a file is executed.
"""

import sys
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import Progress

import escsr
from escsr.cli.main import print_error
from escsr.data import prepare_teacher
from escsr.data.teaching import Enlarge
from escsr.devices import pick_device
from escsr.scripts import run_script


def prepare(
    sources: Annotated[list[Path], typer.Argument(help="Folders of photos.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures.")],
    teacher: Annotated[str, typer.Option(help="Weights, an embedded model, or a Python file.")],
    scale: Annotated[int, typer.Option(help="By what the teacher enlarges.")],
    preset: Annotated[
        str | None, typer.Option(help="Degradation of the small pictures; bicubic if not given.")
    ] = None,
    reduce: Annotated[
        int | None,
        typer.Option(
            help="Reduce a window of each photo by less than --scale: finer small pictures."
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option(help="Small pictures of each photo, with --preset or --reduce.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Seed of --preset or --reduce.")] = 0,
    ensemble: Annotated[
        bool,
        typer.Option(help="Average over eight flips and rotations."),
    ] = False,
    device: Annotated[str, typer.Option(help="Where our own networks run.")] = "auto",
    include: Annotated[list[str] | None, typer.Option(help="Glob pattern of files.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Glob pattern of files.")] = None,
) -> None:
    """Let a teacher enlarge small pictures of photos; run again to resume."""
    with Progress(transient=True) as bar:
        task = bar.add_task("opening", total=None)
        report = prepare_teacher(
            sources,
            out,
            enlarge=_open(teacher, scale, device),
            name=teacher,
            scale=scale,
            lq_from=preset,
            reduce=reduce,
            draws=draws,
            seed=seed,
            ensemble=ensemble,
            include=include or ("*",),
            exclude=exclude or (),
            progress=lambda what, done, total: bar.update(
                task, description=what, completed=done, total=total
            ),
        )
    console = Console(highlight=False)
    console.print(f"{len(report['pictures'])} pictures in {out}", markup=False)


def _open(teacher: str, scale: int, device: str) -> Enlarge:
    """A function of the user's own, or one of our networks on a device."""
    if teacher.endswith(".py"):
        path = Path(teacher)
        if not path.is_file():
            raise FileNotFoundError(f"no such file: {path}")
        enlarge = getattr(run_script(path), "teacher", None)
        if not callable(enlarge):
            raise ValueError(f"{path} must define a function named 'teacher'")
        return enlarge
    where = pick_device(device)
    network = escsr.load(teacher).to(where)

    def run(lq: torch.Tensor) -> torch.Tensor:
        return network(lq.to(where), scale=scale)

    return run


if __name__ == "__main__":
    try:
        typer.run(prepare)
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        print_error(error)
        sys.exit(1)
