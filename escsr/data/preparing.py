"""Preparing photographs for training: checking, statistics, and cutting into sub-images."""

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from escsr.data.inspecting import PhotoFacts, inspect_photo, mark_duplicates, summarise
from escsr.data.photos import check_whole_numbers
from escsr.files import write_json
from escsr.images import Display, Picture, read_image, write_image
from escsr.picture_files import list_images

REPORT = "prepared.json"
"""Name of the file beside the sub-images that records their settings and sources."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
Progress = Callable[[str, int, int], None]
"""Called with the current step, the number of finished photos, and the total."""


def prepare_photos(
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    crop: int = 480,
    step: int = 240,
    least: int | None = None,
    gray: bool = True,
    include: Sequence[str] = ("*",),
    exclude: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Check folders of photos and cut the good ones into overlapping sub-images.

    A training sample then decodes a small file instead of a large one. The report lists the files
    left out: unreadable, small or transparent ones, and duplicates (all but the first with the same
    pixels). Sub-images are PNG files of the photo's depth, spread evenly so that they cover the
    whole photo.

    Each file appears complete or not at all. Calling it again with the same settings resumes an
    interrupted run; photos that have changed since are cut again.

    Args:
        sources: Folders of photos, searched recursively.
        out: Folder for the sub-images; new, empty, or one of an earlier call.
        crop: Side of a sub-image in pixels. A shorter side of a photo is kept whole.
        step: Largest distance between neighbouring sub-images, at most `crop`.
        least: Photos with a shorter side are left out; None: `crop`.
        gray: Whether photos without colours are kept.
        include: Glob patterns of file names to take.
        exclude: Glob patterns of file names to leave out.
        workers: Threads; None: one per processor core.
        progress: Called for each photo.

    Returns:
        The report, also written to ``prepared.json`` beside the sub-images: the settings, the
        statistics, the photos left out and why, and the photos used.

    Raises:
        FileNotFoundError: If a source is missing or no photo is left.
        ValueError: If a number is out of range, two photos would get the same name, or `out` is
            inside a source or contains other files.
        OSError: If a sub-image cannot be written.

    Example:
        >>> report = prepare_photos(["DIV2K/HR"], "DIV2K/sub", workers=4)  # doctest: +SKIP
        >>> report["statistics"]["sub_images"]  # doctest: +SKIP
        32592
    """
    least = crop if least is None else least
    check_whole_numbers((("crop", crop, 1), ("step", step, 1), ("least", least, 1)))
    check_whole_numbers((("workers", 1 if workers is None else workers, 1),))
    if step > crop:
        raise ValueError(f"step must be at most crop, or parts are lost, got {step} > {crop}")
    settings = {"crop": crop, "step": step, "least": least, "gray": gray}
    folder = Path(out)
    earlier = open_folder(folder, sources, settings)
    known = {photo["target"]: photo["digest"] for photo in earlier.get("photos", ())}
    targets = targets_of(sources, include, exclude)
    count = workers or os.cpu_count() or 1
    facts = mark_duplicates(
        _parallel(
            lambda item: inspect_photo(item[0], item[1], least=least, gray=gray),
            list(targets.items()),
            count,
            progress and (lambda done, total: progress("checking", done, total)),
        )
    )
    used = [photo for photo in facts if photo.problem is None]
    report = _begun(settings, facts, used)
    for photo in used:
        if known.get(photo.target) != photo.digest:  # outdated sub-images
            for path, _ in sub_images(photo, folder, crop=crop, step=step):
                path.unlink(missing_ok=True)
    write_json(folder / REPORT, report, indent=1)
    cuts = _parallel(
        lambda photo: cut_photo(photo, folder, crop=crop, step=step),
        used,
        count,
        progress and (lambda done, total: progress("cutting", done, total)),
    )
    written = {path for paths in cuts for path in paths}
    report["statistics"]["sub_images"] = len(written)
    report["statistics"]["bytes"] = sum(path.stat().st_size for path in written)
    report["left_over"] = [str(path) for path in list_images([folder]) if path not in written]
    report["finished"] = True
    write_json(folder / REPORT, report, indent=1)
    return report


def sub_images(
    photo: PhotoFacts, folder: Path, *, crop: int, step: int
) -> list[tuple[Path, tuple[int, int]]]:
    """Return the files that a photo is cut into, with the first row and column of each.

    Args:
        photo: The result of `inspect_photo`.
        folder: Output folder.
        crop: Side of a sub-image in pixels.
        step: Largest distance between neighbours.
    """
    assert photo.size is not None
    corners = [
        (top, left)
        for top in positions(photo.size[0], crop, step)
        for left in positions(photo.size[1], crop, step)
    ]
    return [(folder / f"{photo.target}_{n:03}.png", at) for n, at in enumerate(corners, 1)]


def cut_photo(photo: PhotoFacts, folder: Path, *, crop: int, step: int) -> list[Path]:
    """Write the missing sub-images of a photo; return the paths of all.

    The arguments are those of `sub_images`.
    """
    cuts = sub_images(photo, folder, crop=crop, step=step)
    missing = [(path, at) for path, at in cuts if not path.exists()]
    if missing:
        picture = read_image(photo.path)
        missing[0][0].parent.mkdir(parents=True, exist_ok=True)
        for path, (top, left) in missing:
            pixels = picture.pixels[top : top + crop, left : left + crop]
            write_image(
                path, Picture(pixels=pixels, gray=picture.gray, display=Display(icc=picture.icc))
            )
    return [path for path, _ in cuts]


def positions(length: int, side: int, step: int) -> list[int]:
    """Return evenly spaced starts of pieces that cover a length, at most ``step`` apart.

    Args:
        length: Length to cover.
        side: Length of a piece; if it is longer than `length`, one piece starts at 0.
        step: Largest distance between two starts.

    Example:
        >>> positions(1000, 480, 240)
        [0, 173, 347, 520]
    """
    last = max(length - side, 0)
    steps = -(-last // step)
    return [round(n * last / steps) for n in range(steps + 1)] if steps else [0]


def open_folder(
    folder: Path, sources: Sequence[str | Path], settings: dict[str, Any], *, report: str = REPORT
) -> dict[str, Any]:
    """Create an output folder, or check one from an earlier call.

    Args:
        folder: The folder.
        sources: Folders of photos; the output must not be inside any of them.
        settings: Settings that determine its contents.
        report: Name of the file in it that records them.

    Returns:
        The report of the earlier call, or nothing.

    Raises:
        ValueError: If it is inside a source, contains other files, or has other settings.
    """
    for source in sources:
        if folder.resolve().is_relative_to(Path(source).resolve()):
            raise ValueError(f"the output {folder} is inside the source {source}; put it elsewhere")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / report
    if not path.exists():
        if any(not path.name.startswith(".") for path in folder.iterdir()):
            raise ValueError(f"{folder} holds other files; choose a new or an empty folder")
        return {}
    earlier: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if earlier["settings"] != settings:
        raise ValueError(
            f"{folder} was made with {earlier['settings']}, now {settings} is wanted; choose "
            "another folder"
        )
    return earlier


def targets_of(
    sources: Sequence[str | Path], include: Sequence[str], exclude: Sequence[str]
) -> dict[Path, str]:
    """Photos and the names of their outputs, below the name of the source if there are several."""
    targets: dict[Path, str] = {}
    taken: dict[str, Path] = {}
    for source in sources:
        for path in list_images([source], include=include, exclude=exclude):
            inside = path.relative_to(source).with_suffix("")
            target = Path(Path(source).resolve().name) / inside if len(sources) > 1 else inside
            other = taken.setdefault(target.as_posix(), path)
            if other != path:
                raise ValueError(f"{path} and {other} would get the same names; rename one of them")
            targets[path] = target.as_posix()
    if not targets:
        raise FileNotFoundError(f"no pictures in {', '.join(map(str, sources)) or 'no folders'}")
    return targets


def _parallel(
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> list[_Result]:
    """Results in order, up to the first error. Threads suffice, as codecs release the lock."""
    results = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            for result in pool.map(work, items):
                results.append(result)
                if progress is not None:
                    progress(len(results), len(items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return results


def _begun(
    settings: dict[str, Any], facts: Sequence[PhotoFacts], used: Sequence[PhotoFacts]
) -> dict[str, Any]:
    """Return the report before any photo is cut."""
    left_out = {str(photo.path): photo.problem for photo in facts if photo.problem}
    if not used:
        reasons = "\n  ".join(f"{path}: {problem}" for path, problem in left_out.items())
        raise FileNotFoundError(f"no photo can be used:\n  {reasons}")
    return {
        "finished": False,
        "settings": settings,
        "statistics": summarise(used),
        "left_out": left_out,
        "photos": [
            {"path": str(photo.path), "target": photo.target, "digest": photo.digest}
            for photo in used
        ],
    }
