"""Videos with ``escsr upscale``: files, folders of frames, progress."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escsr.cli.console import make_console, make_progress
from escsr.cli.upscale_options import FileOptions, VideoOptions

if TYPE_CHECKING:
    from rich.console import Console

# As `escsr.video.VIDEO_SUFFIXES`, which takes a second to import.
_SUFFIXES = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts"}
_SUFFIXES |= {".mts", ".wmv", ".flv", ".3gp", ".ogv", ".vob"}


def is_video_job(inputs: list[str], output: str) -> bool:
    """Whether any input or output is a video, by name."""
    slash = output.endswith("/")
    return any(map(_is_video, inputs)) or (_is_video(output) and not slash)


def _is_video(name: str) -> bool:
    return Path(name).suffix.lower() in _SUFFIXES and not Path(name).is_dir()


def upscale_videos(
    inputs: list[str], output: str, files: FileOptions, video: VideoOptions, **options: Any
) -> None:
    """Enlarge videos; or pictures to a video, or a video to pictures.

    Raises:
        ValueError: If inputs and output do not go together.
        OSError: If one of several videos could not be made; all are named.
    """
    from escsr.files import write_json
    from escsr.inference.judging import is_auto
    from escsr.models import fetch
    from escsr.video import upscale_video

    encoder, rate = video.encoder(), video.rate()
    tasks = _plan(inputs, output, files)
    if not is_auto(options["model"]):
        fetch(options["model"])
    console = make_console()
    call = partial(
        upscale_video,
        encoder=encoder,
        rate=rate,
        skip_existing=files.if_existing() == "skip",
        **options,
    )
    failures = []
    report: list[dict[str, Any]] = []
    for source, target in tasks:
        about = {"source": str(_shown(source)), "target": str(target)}
        try:
            report.append(about | _upscale_one(source, target, console, call))
        except (ValueError, OSError, MemoryError, ModuleNotFoundError) as error:
            if len(tasks) == 1:
                raise
            console.print(f"error: {_shown(source)}: {error}", style="red", soft_wrap=True)
            report.append({**about, "status": "failed", "error": str(error)})
            failures.append(f"\n  {_shown(source)}: {error}")
    if files.report is not None:
        write_json(files.report, {"files": report})
    if failures:
        raise OSError(
            f"{len(failures)} of {len(tasks)} videos could not be upscaled:{''.join(failures)}"
        )


def _plan(
    inputs: list[str], output: str, files: FileOptions
) -> list[tuple[Path | list[Path], Path]]:
    """Choose the output of every input; all problems are found before any work."""
    if files.name != FileOptions().name:
        raise ValueError("--name is for pictures; name a video with -o")
    if not any(map(_is_video, inputs)):
        return _keep_or_not([(_frames_of(inputs), Path(output))], files)
    pictures = [name for name in inputs if not _is_video(name)]
    if pictures:
        raise ValueError(f"videos and other files in one call: {pictures[0]}; call once for each")
    for name in inputs:
        if not Path(name).is_file():
            raise FileNotFoundError(f"there is no video {name}")
    if len(inputs) == 1 and _is_video(output) and not output.endswith("/"):
        return _keep_or_not([(Path(inputs[0]), Path(output))], files)
    if files.suffix is not None:
        if files.suffix.lower().lstrip(".") != "png" or len(inputs) > 1:
            raise ValueError("frames can be written from one video only, with --format png")
        return [(Path(inputs[0]), Path(output))]
    return _keep_or_not([(Path(name), Path(output) / Path(name).name) for name in inputs], files)


def _frames_of(inputs: list[str]) -> list[Path]:
    from escsr.picture_files import find_pictures

    return [source.path for source in find_pictures(inputs)]


def _keep_or_not(
    jobs: list[tuple[Path | list[Path], Path]], files: FileOptions
) -> list[tuple[Path | list[Path], Path]]:
    """The jobs whose outputs are missing or to be overwritten; prints a note on existing ones."""
    from escsr.picture_targets import PictureTask, check_targets, split_existing

    tasks: list[PictureTask] = []
    for source, target in jobs:
        first = source if isinstance(source, Path) else source[0]
        tasks.append(PictureTask(first, target, first.name))
    check_targets(tasks)
    existing = files.if_existing()
    todo, there = split_existing(tasks, existing)
    for task in there:
        what = "is overwritten (--existing skip keeps it)" if existing == "overwrite" else "stays"
        make_console().print(f"{task.target} exists and {what}", soft_wrap=True)
    targets = {task.target for task in todo}
    return [job for job in jobs if job[1] in targets]


def _shown(source: Path | list[Path]) -> Path:
    return source if isinstance(source, Path) else source[0].parent


def _upscale_one(
    source: Path | list[Path], target: Path, console: "Console", call: Callable[..., Any]
) -> dict[str, Any]:
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total} frames"),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    began = time.monotonic()
    with make_progress(*columns, console=console) as bar:
        line = bar.add_task(_shown(source).name, total=None, speed="")
        first: list[tuple[float, int]] = []

        def progress(done: int, total: int | None) -> None:
            now = time.monotonic()
            first.append((now, done)) if not first else None
            seconds, frames = now - first[0][0], done - first[0][1]
            speed = f"{frames / seconds:.2f} frames/s" if seconds > 0 else ""
            bar.update(line, completed=done, total=total, speed=speed)

        result = call(source, target, progress=progress)
    seconds = time.monotonic() - began
    for notice in result.notices:
        console.print(f"note: {notice}", style="yellow", soft_wrap=True)
    made = result.frames - result.resumed
    earlier = f" ({result.resumed} of an earlier run)" if result.resumed else ""
    height, width = result.size
    console.print(
        f"{_shown(source)} → {target} {width}×{height}, {result.frames} frames{earlier}, "
        f"{seconds:.1f} s, {made / seconds:.2f} frames/s",
        soft_wrap=True,
    )
    about = {"status": "done", "frames": result.frames, "resumed": result.resumed}
    return about | {"new_height": height, "new_width": width, "seconds": round(seconds, 3)}
