"""Preparing a teacher's enlargements of photos, made once for training students."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from escsr.data.arbitrary import LqFrom, degraded
from escsr.data.augment import D4_VARIANTS, d4
from escsr.data.cache import Photo
from escsr.data.photos import check_whole_numbers
from escsr.data.preparing import Progress, open_folder, targets_of
from escsr.data.teacher_folder import TEACHER
from escsr.files import write_json
from escsr.images import Picture, read_rgb, write_image
from escsr.pixels import from_tensor, to_tensor
from escsr.resize import imresize

Enlarge = Callable[[Tensor], Tensor]
"""A teacher: (1, 3, h, w) float32 RGB in [0, 1] to (1, 3, scale h, scale w)."""


@dataclass(frozen=True)
class _Job:
    """One small picture to make and enlarge."""

    photo: Path
    root: Path
    name: str
    draw: int


def prepare_teacher(
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    enlarge: Enlarge,
    name: str,
    scale: int,
    lq_from: LqFrom | str | None = None,
    reduce: int | None = None,
    draws: int = 1,
    seed: int = 0,
    ensemble: bool = False,
    include: Sequence[str] = ("*",),
    exclude: Sequence[str] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make small pictures of photos and let a teacher enlarge them, for `TeacherDataset`.

    Each photo, cut from the top left to multiples of `scale`, is reduced by ``scale`` and given to
    the teacher as a whole. Small pictures go to ``lq`` in the folder, the teacher's to ``sr``, as
    8-bit PNG files; ``teacher.json`` records their sources. A picture appears complete or not at
    all; calling it again with the same settings resumes an interrupted run.

    Args:
        sources: Folders of photos, searched recursively.
        out: Folder for the pictures; new, empty, or one of an earlier call.
        enlarge: The teacher, e.g. a network in evaluation mode; it takes and returns pictures on
            the CPU and is called without gradients.
        name: Name of the teacher, for ``teacher.json``.
        scale: Its enlargement factor, at least 1.
        lq_from: Makes the small pictures instead of bicubic: a preset of `escsr.degradations` or a
            function, see `ArbitraryScaleDataset`.
        reduce: Factor by which bicubic reduces a photo, from 1 to `scale`, if not `scale` itself.
            Only a window of the photo is then used, so that small pictures have the usual size but
            finer detail. The teacher's results then have no matching photo, so `roots` cannot be
            given to `TeacherDataset`.
        draws: Number of small pictures per photo; more than one only with `lq_from` or `reduce`.
        seed: Seed of `lq_from` and of the windows, at least 0.
        ensemble: Whether to average over the eight flips and rotations of the small picture, at
            eight times the cost.
        include: Glob patterns of file names to take.
        exclude: Glob patterns of file names to leave out.
        progress: Called for each picture.

    Returns:
        The contents of ``teacher.json``: the settings, and each picture with its photo.

    Raises:
        FileNotFoundError: If a source is missing or has no photos.
        ValueError: If a number is out of range, the teacher returns a wrong size, a photo cannot be
            read, or `out` contains other files.
        OSError: If a picture cannot be written.

    Example:
        >>> prepare_teacher(
        ...     ["datasets/train"], "teachers/x4", enlarge=network, name="mine", scale=4
        ... )  # doctest: +SKIP
    """
    check_whole_numbers((("scale", scale, 1), ("draws", draws, 1), ("seed", seed, 0)))
    if reduce is not None:
        if lq_from is not None:
            raise ValueError("reduce is for bicubic small pictures, and lq_from makes others")
        check_whole_numbers((("reduce", reduce, 1),))
        if reduce > scale:
            raise ValueError(f"reduce must be 1 to the scale of {scale}, got {reduce}")
    elif draws > 1 and lq_from is None:
        raise ValueError("draws is for lq_from: bicubic gives the same small picture each time")
    settings = {
        "teacher": name,
        "scale": int(scale),
        "lq_from": lq_from if lq_from is None or isinstance(lq_from, str) else repr(lq_from),
        "reduce": reduce,
        "draws": int(draws),
        "seed": int(seed),
        "ensemble": ensemble,
    }
    folder = Path(out)
    open_folder(folder, sources, settings, report=TEACHER)
    make = degraded(lq_from) if isinstance(lq_from, str) else lq_from
    if reduce is not None:
        make = partial(_window, reduce=reduce)
    jobs = _jobs(sources, draws, include, exclude)
    report = {
        "settings": settings,
        "pictures": [
            {
                "name": job.name,
                "photo": job.photo.relative_to(job.root).as_posix(),
                "root": job.root.resolve().name,
                "source": str(job.photo.resolve()),
            }
            for job in jobs
        ],
    }
    known = (folder / TEACHER).exists()
    write_json(folder / TEACHER, report | {"finished": False}, indent=1)
    for number, job in enumerate(jobs):
        try:
            _enlarge_one(job, folder, enlarge, scale=scale, make=make, seed=seed, ensemble=ensemble)
        except BaseException:
            if number == 0 and not known:  # nothing is finished yet: free the folder
                (folder / TEACHER).unlink()
            raise
        if progress is not None:
            progress("enlarging", number + 1, len(jobs))
    write_json(folder / TEACHER, report | {"finished": True}, indent=1)
    return report


def _jobs(
    sources: Sequence[str | Path], draws: int, include: Sequence[str], exclude: Sequence[str]
) -> list[_Job]:
    roots = [Path(source) for source in sources]
    targets = targets_of(sources, include, exclude)
    return [
        _Job(
            photo=path,
            root=next(root for root in roots if path.is_relative_to(root)),
            name=target if draws == 1 else f"{target}_{draw}",
            draw=draw,
        )
        for path, target in targets.items()
        for draw in range(draws)
    ]


def _window(photo: Photo, size: tuple[int, int], rng: np.random.Generator, *, reduce: int) -> Photo:
    """A random window of a photo, reduced by less than the teacher enlarges."""
    rows, columns = reduce * size[0], reduce * size[1]
    top = int(rng.integers(photo.shape[0] - rows + 1))
    left = int(rng.integers(photo.shape[1] - columns + 1))
    return imresize(photo[top : top + rows, left : left + columns], size=size)


def _enlarge_one(
    job: _Job,
    folder: Path,
    enlarge: Enlarge,
    *,
    scale: int,
    make: LqFrom | None,
    seed: int,
    ensemble: bool,
) -> None:
    """Write a small picture, then the teacher's, unless the latter exists."""
    lq_path, sr_path = (folder / kind / f"{job.name}.png" for kind in ("lq", "sr"))
    if sr_path.exists():
        return
    photo = read_rgb(job.photo)
    rows, columns = photo.shape[0] // scale, photo.shape[1] // scale
    if not (rows and columns):
        raise ValueError(f"{job.photo} has fewer than {scale} pixels on a side; leave it out")
    photo = np.ascontiguousarray(photo[: rows * scale, : columns * scale])
    if make is None:
        lq = imresize(photo, size=(rows, columns))
    else:  # depends on the seed and the picture's name only: files may come and go
        words = list(job.name.encode())
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))
        lq = make(photo, (rows, columns), rng)
    sr = _enlarged(lq, enlarge, scale, ensemble=ensemble)
    for path, pixels in ((lq_path, lq), (sr_path, sr)):  # sr last, as it marks both as done
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, Picture(pixels=pixels))


@torch.no_grad()
def _enlarged(lq: Photo, enlarge: Enlarge, scale: int, *, ensemble: bool) -> Photo:
    """Call the teacher; for an ensemble, in eight orientations with the mean of the results."""
    total = torch.zeros(3, lq.shape[0] * scale, lq.shape[1] * scale)
    variants = range(D4_VARIANTS) if ensemble else (0,)
    for variant in variants:
        made = enlarge(to_tensor(d4(lq, variant))[None])[0].float().cpu()
        upright = _turned_back(made, variant)
        if upright.shape != total.shape:
            raise ValueError(
                f"the teacher makes {tuple(upright.shape[1:])} of {lq.shape[:2]}, which is not "
                f"×{scale}"
            )
        total += upright
    return from_tensor(total / len(variants))


def _turned_back(picture: Tensor, variant: int) -> Tensor:
    """Undo `d4` on (3, H, W)."""
    if variant & 4:
        picture = picture.transpose(1, 2)
    if variant & 2:
        picture = picture.flip(1)
    return picture.flip(2) if variant & 1 else picture
