"""Many pictures with ``escsr upscale``: progress bars, lines, failures, a report."""

import os
import time
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escsr.cli.console import make_console, make_progress
from escsr.version import __version__

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from escsr.inference.batches import Enlarge, Outcome, Pixels
    from escsr.picture_targets import PictureTask

Size = tuple[int, int]


def upscale_all(
    tasks: "Sequence[PictureTask]",
    *,
    skipped: "Sequence[PictureTask]" = (),
    report: Path | None = None,
    saving: dict[str, Any],
    **options: Any,
) -> None:
    """Enlarge files with two progress bars; fail at the end if any could not be made.

    Args:
        tasks: The files to make.
        skipped: Files that existed already, for the report.
        report: A JSON file to write, also after an interruption.
        saving: Options of `escsr.images.write_image`.
        options: Options of `escsr.upscale`.

    Raises:
        OSError: If files failed; all are named.
    """
    from escsr.files import remove_leftovers
    from escsr.inference.batches import Outcome, upscale_files

    for folder in {task.target.parent for task in tasks}:
        remove_leftovers(folder)  # of a killed run
    outcomes: list[Outcome] = []
    console = make_console()
    began = time.time()
    try:
        with _bars(console, tasks) as bars:
            upscale_files(
                tasks,
                _lanes(tasks, **options),
                write=partial(_write, **saving),
                read=partial(_read, **options),
                size_of=partial(size_made, **options),
                listener=_Shown(bars, console, tasks),
                outcomes=outcomes,
            )
    except BaseException:
        done = sum(outcome.status == "done" for outcome in outcomes)
        if len(tasks) > 1:
            console.print(f"stopped: {done} of {len(tasks)} files are done", soft_wrap=True)
        raise
    finally:
        if report is not None:
            outcomes += [Outcome(task=task, status="skipped") for task in skipped]
            write_report(report, outcomes, began=began, options={**options, **saving})
    _raise_failures(outcomes)


def _lanes(
    tasks: "Sequence[PictureTask]", *, device: str, engine: str, **options: Any
) -> "list[Enlarge]":
    """One upscaler for each device that shares the files."""
    from escsr.devices import pick_devices

    # ONNX Runtime has its own device names.
    alone = len(tasks) == 1 or engine != "torch"
    names = [device] if alone and "," not in device else map(str, pick_devices(device))
    return [partial(_enlarge, device=name, engine=engine, **options) for name in names]


# A picture and its result may take this share of memory; larger ones stay in files.
_SHARE_OF_PICTURES = 0.25


def _read(path: Path, *, memory: Any, ensemble: bool, **options: Any) -> "Pixels":
    """A picture in memory, or in a file if it is too large for memory."""
    import psutil

    from escsr.images import PictureSource, image_size, open_pixels, read_image
    from escsr.inference.stores import spool_folder

    source = PictureSource(path)  # a pipe can be read only once
    height, width = image_size(source)
    high, wide = size_made((height, width), **options)
    room = psutil.virtual_memory().available if memory is None else memory.total
    if 3 * (height * width + high * wide) > _SHARE_OF_PICTURES * room and not ensemble:
        found = open_pixels(source, spool_folder())
        if found is not None:
            return found
    return read_image(source)


def _write(path: Path, picture: "Pixels", **saving: Any) -> None:
    from escsr.images import PixelFile, write_image, write_pixels

    if isinstance(picture, PixelFile):
        write_pixels(path, picture, **saving)
    else:
        write_image(path, picture, **saving)


def _enlarge(picture: "Pixels", **options: Any) -> "Pixels":
    from escsr.inference import upscale

    return upscale(picture, **options)


def size_made(image_size: Size, *, model: Any, **options: Any) -> Size:
    """The size of the result for a picture of some (H, W)."""
    from escsr.inference import SizeRequest
    from escsr.inference.judging import scale_of
    from escsr.inference.plans import request_of

    names = ("scale", "size", "width", "height", "min_side", "max_side")
    request = SizeRequest(**{name: options[name] for name in names if name in options})
    if request.is_open:
        request = request_of(request, scale_of(model))
    return request.of(*image_size)


def _bars(console: "Console", tasks: "Sequence[PictureTask]") -> "Progress":
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    ]
    if len(tasks) > 1:
        columns += [TextColumn("left"), TimeRemainingColumn()]
    return make_progress(*columns, console=console)


class _Shown:
    """Shows the progress of a batch: a bar for the file, one for all, and a line per finished file.

    The bar for all goes by file size, the only measure known beforehand.
    """

    def __init__(
        self, bars: "Progress", console: "Console", tasks: "Sequence[PictureTask]"
    ) -> None:
        self._bars, self._console, self._count = bars, console, len(tasks)
        self._sizes = {id(task): _file_size(task.source) for task in tasks}
        self._number, self._done = 0, 0.0
        total = max(1, sum(self._sizes.values()))
        self._all = bars.add_task(f"0/{self._count} files", total=total, visible=self._count > 1)
        self._file = bars.add_task("", total=1.0, visible=False)

    def begin(self, task: "PictureTask") -> None:
        self._bars.reset(self._file, description=task.source.name, visible=True)

    def advance(self, task: "PictureTask", share: float) -> None:
        self._bars.update(self._file, completed=share)
        self._bars.update(self._all, completed=self._done + share * self._sizes[id(task)])

    def end(self, outcome: "Outcome") -> None:
        self._number += 1
        self._done += self._sizes[id(outcome.task)]
        text = f"{self._number}/{self._count} files"
        self._bars.update(self._all, completed=self._done, description=text)
        print_outcome(self._console, outcome, alone=self._count == 1)


def _file_size(path: Path) -> int:
    try:
        return max(1, path.stat().st_size)
    except OSError:
        return 1


def print_outcome(console: "Console", outcome: "Outcome", *, alone: bool = False) -> None:
    """One line per file, below its notices; the error of a single file is left to `main`."""
    task = outcome.task
    for notice in outcome.notices:
        console.print(f"note: {notice}", style="yellow", soft_wrap=True)
    if outcome.error is not None:
        if not alone:
            console.print(f"error: {_failure(outcome)}", style="red", soft_wrap=True)
            if os.environ.get("ESCSR_DEBUG"):
                console.print("".join(traceback.format_exception(outcome.error)))
        return
    assert outcome.size is not None
    assert outcome.made is not None
    (height, width), (new_height, new_width) = outcome.size, outcome.made
    console.print(
        f"{task.source} {width}×{height} → {task.target} {new_width}×{new_height}, "
        f"{outcome.seconds:.1f} s",
        soft_wrap=True,
    )


def _failure(outcome: "Outcome") -> str:
    source, text = str(outcome.task.source), str(outcome.error) or type(outcome.error).__name__
    return text if source in text else f"{source}: {text}"


def _raise_failures(outcomes: "Sequence[Outcome]") -> None:
    """Raise an error that names all files that were not made."""
    tried = [outcome for outcome in outcomes if outcome.status != "skipped"]
    failed = [outcome for outcome in tried if outcome.status == "failed"]
    if len(tried) == 1 and failed and failed[0].error is not None:
        raise failed[0].error
    untried = sum(outcome.status == "not tried" for outcome in tried)
    if failed:
        names = "".join(f"\n  {_failure(outcome)}" for outcome in failed)
        rest = f"\n{untried} more were not tried, as nothing can be written" if untried else ""
        raise OSError(f"{len(failed)} of {len(tried)} pictures could not be upscaled:{names}{rest}")


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | list | None) else str(value)


def write_report(
    path: Path, outcomes: "Sequence[Outcome]", *, began: float, options: dict[str, Any]
) -> None:
    """Write the outcome for each file as JSON, completely or not at all."""
    from escsr.files import write_json

    counts = {status: 0 for status in ("done", "failed", "skipped", "not tried")}
    for outcome in outcomes:
        counts[outcome.status] += 1
    about = {
        "escsr": __version__,
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "seconds": round(time.time() - began, 3),
        "options": {name: _plain(value) for name, value in options.items()},
        "counts": counts,
        "files": [outcome.as_json() for outcome in outcomes],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, about)
