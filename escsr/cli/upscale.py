"""``escsr upscale``: pictures in, larger pictures out."""

import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from escsr.cli.console import make_console, make_progress
from escsr.cli.groups import in_groups
from escsr.cli.upscale_options import FileOptions, NetworkOptions, SavingOptions, SizeOptions

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from escsr.picture_targets import PictureTask


@in_groups
def upscale(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="IN...", help="Picture files, folders of them, patterns: 'in/**/*.tif'."
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="A picture file for one input, else a folder, mirroring IN's."
        ),
    ],
    sizes: SizeOptions,
    network: NetworkOptions,
    files: FileOptions,
    saving: SavingOptions,
) -> None:
    """Upscale pictures, to exactly the size asked.

    Say the size by one of --scale, --size, --width, --height, --min-side, --max-side.
    Transparency, bit depth, colours, resolution, EXIF, XMP and IPTC are kept.
    """
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

    from escsr.images import write_image
    from escsr.models import fetch

    wanted = sizes.wanted()
    console = make_console()
    write = partial(write_image, **saving.checked())
    tasks = _plan(inputs, output, files, _name_fields(files.name, network.model, wanted), console)
    fetch(network.model)  # before the bar of the pictures, with one of its own
    failures = 0
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with make_progress(*columns, console=console) as bar:
        for number, task in enumerate(tasks, 1):
            line = bar.add_task(f"{number}/{len(tasks)} {task.source.name}", total=1.0)
            try:
                tell = partial(_tell, bar, line)
                _upscale_one(task, console, tell, write, **vars(network), **wanted)
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
    task: "PictureTask",
    console: "Console",
    progress: Callable[[float], None],
    write: Callable[..., None],
    **options: Any,
) -> None:
    from escsr.images import read_image
    from escsr.inference import upscale as run

    began = time.monotonic()
    with warnings.catch_warnings(record=True) as notices:
        warnings.simplefilter("always")
        picture = read_image(task.source)
        result = run(picture, progress=progress, **options)
        task.target.parent.mkdir(parents=True, exist_ok=True)
        write(task.target, result)
    _print_notices(console, notices)
    (height, width), (new_height, new_width) = picture.size, result.size
    console.print(
        f"{task.source} {width}×{height} → {task.target} {new_width}×{new_height}, "
        f"{time.monotonic() - began:.1f} s",
        markup=False,
        soft_wrap=True,
    )


def _print_notices(console: "Console", notices: list[warnings.WarningMessage]) -> None:
    for notice in notices:
        if issubclass(notice.category, UserWarning):
            console.print(f"note: {notice.message}", style="yellow", soft_wrap=True)


def _plan(
    inputs: list[str],
    output: str,
    files: FileOptions,
    fields: dict[str, str],
    console: "Console",
) -> "list[PictureTask]":
    """Decide for every picture where it goes; all problems are found before any work."""
    from escsr.images import writable_suffixes
    from escsr.picture_files import find_pictures
    from escsr.picture_targets import plan_targets, split_existing

    writable = writable_suffixes()
    with warnings.catch_warnings(record=True) as notices:
        warnings.simplefilter("always")
        sources = find_pictures(inputs)
    _print_notices(console, notices)
    tasks = plan_targets(
        sources,
        output,
        writable=writable,
        suffix=files.suffix_of(writable),
        template=files.name,
        fields=fields,
    )
    existing = files.if_existing()
    todo, there = split_existing(tasks, existing)
    if there:
        done = "are overwritten (--existing skip keeps them)" if existing == "overwrite" else "stay"
        console.print(f"{len(there)} of {len(tasks)} outputs exist and {done}", soft_wrap=True)
    return todo


def _name_fields(template: str, model: str, wanted: dict[str, Any]) -> dict[str, str]:
    """What file names can say of the job, as text that fits in them."""
    fields = dict(wanted)
    if "size" in fields:
        fields["height"], fields["width"] = fields.pop("size")
    if not fields and "{scale" in template:
        from escsr.inference import choose_model

        fields["scale"] = choose_model(model).scale or 4
    texts = {k: f"{v:g}" if isinstance(v, float) else str(v) for k, v in fields.items()}
    return {**texts, "model": Path(model).stem}
