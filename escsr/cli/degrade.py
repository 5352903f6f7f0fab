"""``escsr degrade``: good pictures in, degraded ones out, with a record of the degradation."""

import math
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from escsr.cli.console import make_console
from escsr.cli.scales import scale_option

if TYPE_CHECKING:
    from rich.console import Console

    from escsr.degradations import Draw, Pipeline
    from escsr.picture_targets import PictureTask


def degrade(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="IN...", help="Picture files, folders of them, patterns: 'in/**/*.tif'."
        ),
    ],
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="A folder, or a .png file for one input."),
    ],
    preset: Annotated[str, typer.Option(help="bicubic, real, real_light or bsrgan_like.")] = "real",
    scale: Annotated[
        float,
        scale_option("Reduction factor, at least 1."),
    ] = 4.0,
    seed: Annotated[int, typer.Option(help="Random seed; each file has its own stream.")] = 0,
    sheet: Annotated[
        int | None,
        typer.Option(metavar="N", help="Also write OUT/sheet.png with N random draws."),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="Repeat the degradation recorded in this JSON instead of drawing one."),
    ] = None,
) -> None:
    """Degrade pictures; a JSON next to each repeats its degradation bit for bit."""
    from escsr.degradations import preset as make_preset

    _check_options(scale, seed, sheet, replay)
    pipeline = make_preset(preset)
    again = None if replay is None else _read_draw(replay)
    tasks = _plan(inputs, output, sheet)
    console = make_console()
    good = _degrade_all(
        tasks, console, pipeline, scale=scale, seed=seed, again=again, preset=preset
    )
    if sheet is not None and good:
        path = Path(output) / "sheet.png"
        _write_sheet(path, good, pipeline, scale, seed, sheet)
        console.print(f"{sheet} draws → {path}", soft_wrap=True)
    if bad := len(tasks) - len(good):
        raise OSError(f"{bad} of {len(tasks)} pictures could not be degraded (see above)")


def _degrade_all(
    tasks: "list[PictureTask]", console: "Console", pipeline: "Pipeline", **options: Any
) -> "list[PictureTask]":
    """Degrade one after another; name those that fail, and return the others."""
    good = []
    for number, task in enumerate(tasks, 1):
        try:
            said = _degrade_one(task, pipeline, **options)
        except (ValueError, OSError, MemoryError) as error:
            if len(tasks) == 1:
                raise
            where = "" if str(task.source) in str(error) else f"{task.source}: "
            console.print(f"error: {where}{error}", style="red", soft_wrap=True)
        else:
            good.append(task)
            console.print(f"{number}/{len(tasks)} {said}", soft_wrap=True)
    return good


def _check_options(scale: float, seed: int, sheet: int | None, replay: Path | None) -> None:
    if not (math.isfinite(scale) and scale >= 1):
        raise ValueError(f"--scale must be at least 1, not {scale:g}")
    if seed < 0:
        raise ValueError(f"--seed must be a whole number of at least 0, not {seed}")
    if sheet is not None and not 1 <= sheet <= 1000:
        raise ValueError(f"--sheet is the number of draws to show, 1 to 1000, not {sheet}")
    if sheet is not None and replay is not None:
        raise ValueError("--sheet makes new draws and --replay repeats one: give only one of them")


def _read_draw(path: Path) -> "Draw":
    from escsr.degradations import Draw

    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        return Draw.from_json(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text; --replay takes the JSON next to a picture") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _plan(inputs: list[str], output: str, sheet: int | None) -> "list[PictureTask]":
    """Choose the output of every picture; all problems are found before any work."""
    from escsr.images import writable_suffixes
    from escsr.picture_files import find_pictures
    from escsr.picture_targets import is_picture_name, plan_targets

    found = find_pictures(inputs)
    writable = writable_suffixes()
    to_file = is_picture_name(output, writable=writable, single=len(found) == 1)
    is_png = Path(output).suffix.lower() == ".png"
    if to_file and (not is_png or len(found) > 1 or sheet is not None):
        raise ValueError(
            f"{output}: give -o a folder, or for one picture without --sheet a name that ends in "
            ".png (another format would change the pixels once more)"
        )
    reserved = {} if sheet is None else {Path(output) / "sheet.png": "the sheet"}
    tasks = plan_targets(found, output, writable=writable, suffix=".png", reserved=reserved)
    for task in tasks:
        _check_record(_record(task))
    return tasks


def _record(task: "PictureTask") -> Path:
    """The path of a picture's draw."""
    return task.target.with_suffix(".json")


def _check_record(path: Path) -> None:
    """Refuse to overwrite a foreign JSON file, such as the labels of a picture."""
    if path.exists():
        try:
            _read_draw(path)
        except ValueError:
            raise ValueError(
                f"{path} would be overwritten, but is not a degradation record: choose another "
                "folder or name"
            ) from None


def _degrade_one(
    task: "PictureTask",
    pipeline: "Pipeline",
    *,
    scale: float,
    seed: int,
    again: "Draw | None",
    preset: str,
) -> str:
    from escsr.degradations.pictures import apply_draw, draw_for, stream_of
    from escsr.files import write_text
    from escsr.images import Picture, read_rgb, write_image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # profiles and pages matter little here
        pixels = read_rgb(task.source)
    if again is None:
        stream = stream_of(os.fsencode(task.name))
        draw = draw_for(pipeline, pixels.shape[:2], scale, (seed, stream))
        about = {"picture": task.name, "preset": preset, "scale": scale, "seed": seed}
    else:
        draw, about = again, {"picture": task.name, "replayed": True}
    lq = apply_draw(pixels, draw)
    cut = _cut_off(pixels.shape[:2], draw)
    task.target.parent.mkdir(parents=True, exist_ok=True)
    write_image(task.target, Picture(pixels=lq))
    write_text(_record(task), draw.to_json(about=about))
    size = f"{pixels.shape[1]}×{pixels.shape[0]}"
    small = f"{lq.shape[1]}×{lq.shape[0]}"
    return f"{task.source} {size}{cut} → {task.target} {small}: {draw.describe()}"


def _cut_off(size: tuple[int, ...], draw: "Draw") -> str:
    """The note printed if more than the remainder of a whole scale was cut off."""
    spare = [side - kept for side, kept in zip(size, draw.size, strict=True)]
    scales = [kept / low for kept, low in zip(draw.size, draw.lq_size, strict=True)]
    if all(rest < max(scale, 1) for rest, scale in zip(spare, scales, strict=True)):
        return ""
    return f" (of which the top left {draw.size[1]}×{draw.size[0]}, which the draw is for)"


def _write_sheet(
    path: Path,
    tasks: "list[PictureTask]",
    pipeline: "Pipeline",
    scale: float,
    seed: int,
    count: int,
) -> None:
    """Draw ``count`` times, cycling through the pictures."""
    from escsr.degradations.pictures import sheet_of_draws
    from escsr.images import Picture, read_rgb, write_image

    pixels = sheet_of_draws(
        pipeline,
        lambda number: read_rgb(tasks[number % len(tasks)].source),
        scale=scale,
        seed=seed,
        count=count,
    )
    write_image(path, Picture(pixels=pixels))
