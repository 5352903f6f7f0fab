"""Which LQ picture belongs to which HR picture, checked before anything is computed."""

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from escsr.data.files import list_images
from escsr.images import image_size

__all__ = ["Pair", "find_pairs"]

_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An HR picture with its LQ picture.

    Attributes:
        name: path below the HR folder without the ending.
        hr: the HR file.
        lq: the LQ file, or None where it is to be made.
        lq_size: (h, w) of the LQ picture.
        gt_size: (H, W) that is compared: the HR picture's top left part that the LQ picture shows.
    """

    name: str
    hr: Path
    lq: Path | None
    lq_size: tuple[int, int]
    gt_size: tuple[int, int]


def find_pairs(
    data: str | os.PathLike[str],
    lq: str | os.PathLike[str] | None = None,
    *,
    scale: float,
) -> list[Pair]:
    """Pair the pictures of two folders by name and check their sizes from the headers.

    ``img_001.png`` is paired with ``img_001x2.png`` (at scale 2) or ``img_001.png``, in the same
    place below its folder and with any picture ending. Of an HR picture up to one LQ pixel larger
    than ``scale`` times its LQ picture, the top left part is compared.

    Args:
        data: folder of HR pictures, searched recursively.
        lq: folder of LQ pictures; None to make them.
        scale: HR size / LQ size, at least 1.

    Returns:
        Pairs in the order of their names, at least one.

    Raises:
        FileNotFoundError: a folder does not exist or holds no pictures.
        ValueError: files that are missing, unreadable, ambiguous or of the wrong size; all are
            named.

    Example:
        >>> find_pairs("Set5/HR", "Set5/LR_bicubic/X4", scale=4)[0].name  # doctest: +SKIP
        'img_001'
    """
    if not (math.isfinite(scale) and scale >= 1):
        raise ValueError(f"scale must be at least 1, got {scale!r}")
    hr_files, problems = _by_stem(data)
    lq_files: dict[str, Path] | None = None
    if lq is not None:
        lq_files, ambiguous = _by_stem(lq)
        problems += ambiguous
    pairs = []
    for name, hr in hr_files.items():
        try:
            pairs.append(_pair(name, hr, lq_files, scale))
        except (ValueError, OSError) as error:
            problems.append(str(error))
    if problems:
        raise ValueError(_told(problems, f"{data} and {lq}" if lq is not None else str(data)))
    return pairs


def _by_stem(folder: str | os.PathLike[str]) -> tuple[dict[str, Path], list[str]]:
    """Files by path without ending, and what is wrong with them."""
    root = Path(folder)
    files: dict[str, Path] = {}
    problems = []
    for path in list_images([root]):
        name = path.relative_to(root).with_suffix("").as_posix()
        if name in files:
            problems.append(f"{path}: {files[name].name} has the same name; keep one of them")
        files.setdefault(name, path)
    if not files:
        raise FileNotFoundError(f"{root} holds no pictures")
    return files, problems


def _pair(name: str, hr: Path, lq_files: dict[str, Path] | None, scale: float) -> Pair:
    height, width = image_size(hr)
    if lq_files is None:
        # The step up keeps 7.000 / 0.7 and the like from losing a pixel to rounding.
        lq_size = (math.floor(height / scale + 1e-9), math.floor(width / scale + 1e-9))
        if min(lq_size) < 1:
            raise ValueError(f"{hr}: {height} x {width} pixels are too few for scale {scale:g}")
        return Pair(name=name, hr=hr, lq=None, lq_size=lq_size, gt_size=_times(lq_size, scale))
    candidates = (f"{name}x{scale:g}", name)
    lq = next((lq_files[key] for key in candidates if key in lq_files), None)
    if lq is None:
        raise ValueError(f"{hr}: no LQ picture named {' or '.join(candidates)}")
    lq_size = image_size(lq)
    gt_size = _times(lq_size, scale)
    spare = (height - gt_size[0], width - gt_size[1])
    if min(spare) < 0 or max(spare) >= max(scale, 1):
        swapped = "; are the folders swapped?" if lq_size[0] > height else ""
        raise ValueError(
            f"{hr} is {height} x {width}, but {lq} is {lq_size[0]} x {lq_size[1]} and needs "
            f"{gt_size[0]} x {gt_size[1]} at scale {scale:g}{swapped}"
        )
    return Pair(name=name, hr=hr, lq=lq, lq_size=lq_size, gt_size=gt_size)


def _times(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return round(size[0] * scale), round(size[1] * scale)


def _told(problems: Iterable[str], where: str) -> str:
    lines = list(problems)
    more = [f"... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "\n  ".join([f"{len(lines)} problems in {where}:", *lines[:_SHOWN], *more])
