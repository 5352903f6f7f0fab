"""``escsr upscale``: pictures in, larger pictures out."""

import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from escsr.cli.console import make_console, make_progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from escsr.picture_files import PictureTask


def upscale(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="Picture files, or folders of them.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="A picture file for one input, else a folder."),
    ],
    scale: Annotated[
        float | None,
        typer.Option("--scale", "-s", help="Factor of both sides, up to 30. Default: the model's."),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Width x height to make, e.g. 3840x2160.")
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="Width to make, in pixels; the height follows.")
    ] = None,
    height: Annotated[int | None, typer.Option(help="Height to make; the width follows.")] = None,
    min_side: Annotated[
        int | None, typer.Option(help="What the shorter side becomes; the other follows.")
    ] = None,
    max_side: Annotated[
        int | None, typer.Option(help="What the longer side becomes; the other follows.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="A name of 'escsr list', or a weight file.")
    ] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16 or fp16.")] = "fp32",
    suffix: Annotated[
        str | None,
        typer.Option("--format", help="File type in a folder, e.g. png. Default: the input's."),
    ] = None,
) -> None:
    """Upscale pictures, to exactly the size asked.

    Say the size by one of --scale, --size, --width, --height, --min-side, --max-side.
    Profile, transparency and bit depth are kept.
    """
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

    wanted = _wanted_size(
        scale=scale,
        size=_parse_size(size),
        width=width,
        height=height,
        min_side=min_side,
        max_side=max_side,
    )
    tasks = _plan(inputs, output, suffix)
    failures = 0
    console = make_console()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with make_progress(*columns, console=console) as bar:
        for number, task in enumerate(tasks, 1):
            line = bar.add_task(f"{number}/{len(tasks)} {task.source.name}", total=1.0)
            try:
                _upscale_one(
                    task,
                    console,
                    partial(_tell, bar, line),
                    model=model,
                    device=device,
                    precision=precision,
                    **wanted,
                )
            except (ValueError, OSError, MemoryError) as error:
                if len(tasks) == 1:
                    raise
                failures += 1
                where = "" if str(task.source) in str(error) else f"{task.source}: "
                console.print(f"error: {where}{error}", style="red", soft_wrap=True)
            bar.remove_task(line)
    if failures:
        raise OSError(f"{failures} of {len(tasks)} pictures could not be upscaled (see above)")


def _tell(bar: "Progress", line: "TaskID", share: float) -> None:
    bar.update(line, completed=share)


def _upscale_one(
    task: "PictureTask", console: "Console", progress: Callable[[float], None], **options: Any
) -> None:
    from escsr.images import read_image, write_image
    from escsr.inference import upscale as run

    began = time.monotonic()
    with warnings.catch_warnings(record=True) as notices:
        warnings.simplefilter("always")
        picture = read_image(task.source)
        result = run(picture, progress=progress, **options)
        task.target.parent.mkdir(parents=True, exist_ok=True)
        write_image(task.target, result)
    for notice in notices:
        if issubclass(notice.category, UserWarning):
            console.print(f"note: {notice.message}", style="yellow", soft_wrap=True)
    (height, width), (new_height, new_width) = picture.size, result.size
    console.print(
        f"{task.source} {width}×{height} → {task.target} {new_width}×{new_height}, "
        f"{time.monotonic() - began:.1f} s",
        markup=False,
        soft_wrap=True,
    )


def _wanted_size(**asked: Any) -> dict[str, Any]:
    """The one option that says the size, by the name that Python has for it; checked."""
    from escsr.inference import SizeRequest

    given = {name: value for name, value in asked.items() if value is not None}
    if len(given) > 1:
        options, every = (
            ["--" + name.replace("_", "-") for name in names] for names in (given, asked)
        )
        raise ValueError(
            f"give one of {', '.join(every[:-1])} and {every[-1]}, not {' and '.join(options)}"
        )
    SizeRequest(**given)  # what is wrong for every picture is said once, before any work
    return given


def _parse_size(text: str | None) -> tuple[int, int] | None:
    """'3840x2160' (width × height) to (H, W)."""
    if text is None:
        return None
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
        raise ValueError(f"--size is WIDTHxHEIGHT in pixels, e.g. 3840x2160, not {text!r}")
    return int(parts[1]), int(parts[0])


def _plan(inputs: list[Path], output: Path, suffix: str | None) -> "list[PictureTask]":
    """Decide for every picture where it goes; all problems are found before any work."""
    from escsr.images import writable_suffixes
    from escsr.picture_files import find_pictures, plan_targets

    writable = writable_suffixes()
    if suffix is not None:
        suffix = "." + suffix.lower().lstrip(".")
        if suffix not in writable:
            raise ValueError(f"--format is one of {', '.join(writable)}, not {suffix}")
    return plan_targets(find_pictures(inputs), output, writable=writable, suffix=suffix)
