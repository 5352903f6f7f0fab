"""Which LQ picture belongs to which HR picture, checked before anything is computed."""

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from escsr.data.pairing import check_colours, files_by_name, lq_names, shown_size
from escsr.evaluation.protocol import Alignment
from escsr.files import printable
from escsr.images import image_size, read_image

__all__ = ["Pair", "find_pairs", "find_pictures"]

_MOST_LISTED = 20


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An HR picture with its LQ picture.

    Attributes:
        name: Path below its folder without the ending.
        hr: The HR file, or None where there is no ground truth.
        lq: The LQ file, or None to make it.
        lq_size: (h, w) of the LQ picture.
        gt_size: (H, W) that is compared: the part of the HR picture that the LQ picture shows.
        offset: (top, left) of that part.
    """

    name: str
    hr: Path | None
    lq: Path | None
    lq_size: tuple[int, int]
    gt_size: tuple[int, int]
    offset: tuple[int, int] = (0, 0)


def find_pairs(
    data: str | os.PathLike[str],
    lq: str | os.PathLike[str] | None = None,
    *,
    scale: float,
    alignment: Alignment = "top_left",
) -> list[Pair]:
    """Pair the pictures of two folders by name and check sizes and colours.

    ``img_001.png`` is paired with ``img_001x2.png`` (at scale 2), ``img_001_LR.png`` or
    ``img_001.png``, in the same place below its folder and with any picture ending. Of an HR
    picture up to one LQ pixel larger than ``scale`` times its LQ picture, a part is compared. LQ
    pictures of other scales (``img_001x3.png``) may be in the same folder; any other LQ picture
    without an HR picture is a problem. All pictures are decoded, which also finds damaged files.

    Args:
        data: Folder of HR pictures, searched recursively.
        lq: Folder of LQ pictures; None to make them.
        scale: HR size / LQ size, at least 1.
        alignment: Which part of a larger HR picture is compared; "whole" makes ``scale`` a name
            and pairs pictures of any ratio, even if it differs between the axes.

    Returns:
        Pairs in the order of their names, at least one.

    Raises:
        FileNotFoundError: A folder does not exist or holds no pictures.
        ValueError: Files are missing, unreadable, ambiguous, of the wrong size, or gray where their
            counterpart is in colour; the first 20 are named and the rest counted.

    Example:
        >>> find_pairs("Set5/HR", "Set5/LR_bicubic/X4", scale=4)[0].name  # doctest: +SKIP
        'img_001'
    """
    _check_scale(scale)
    hr_files, problems = _by_stem(data)
    lq_files: dict[str, Path] | None = None
    if lq is not None:
        lq_files, ambiguous = _by_stem(lq)
        problems += ambiguous
    pairs = []
    for name, hr in hr_files.items():
        try:
            pairs.append(_pair(name, hr, lq_files, scale, alignment))
        except (ValueError, OSError) as error:
            problems.append(str(error))
    if lq_files is not None:
        problems += _orphans(hr_files, lq_files)
    if problems:
        raise ValueError(
            _list_problems(problems, f"{data} and {lq}" if lq is not None else str(data))
        )
    return pairs


def find_pictures(lq: str | os.PathLike[str], *, scale: float) -> list[Pair]:
    """The pictures of a folder that have no ground truth.

    Args:
        lq: Folder of pictures to enlarge, searched recursively.
        scale: Enlargement of each side, at least 1.

    Returns:
        Pairs whose ``hr`` is None, in the order of their names, at least one.

    Raises:
        FileNotFoundError: The folder does not exist or holds no pictures.
        ValueError: Unreadable or ambiguous files; all are named.
    """
    _check_scale(scale)
    files, problems = _by_stem(lq)
    pairs = []
    for name, path in files.items():
        try:
            read_image(path)
            size = image_size(path)
        except (ValueError, OSError) as error:
            problems.append(str(error))
            continue
        gt_size = _times(size, scale)
        pairs.append(Pair(name=printable(name), hr=None, lq=path, lq_size=size, gt_size=gt_size))
    if problems:
        raise ValueError(_list_problems(problems, str(lq)))
    return pairs


def _check_scale(scale: float) -> None:
    if not (math.isfinite(scale) and scale >= 1):
        raise ValueError(f"scale must be at least 1, got {scale!r}")


def _by_stem(folder: str | os.PathLike[str]) -> tuple[dict[str, Path], list[str]]:
    """Files by path without ending (at least one), and the problems found."""
    files, problems = files_by_name(Path(folder))
    if not files:
        raise FileNotFoundError(f"{Path(folder)} holds no pictures")
    return files, problems


def _pair(
    name: str, hr: Path, lq_files: dict[str, Path] | None, scale: float, alignment: Alignment
) -> Pair:
    height, width = image_size(hr)
    if lq_files is None:
        # Nudging upwards keeps 7.000 / 0.7 and the like from losing a pixel to rounding.
        lq_size = (math.floor(height / scale + 1e-9), math.floor(width / scale + 1e-9))
        if min(lq_size) < 1:
            raise ValueError(f"{hr}: {height} x {width} pixels are too few for scale {scale:g}")
        lq = None
    else:
        lq = _partner(name, hr, lq_files, scale)
        lq_size = image_size(lq)
    if alignment == "whole":
        gt_size = _whole((height, width), hr, lq, lq_size)
    else:
        gt_size = shown_size(hr, (height, width), lq, lq_size, scale, exact=alignment == "exact")
    # Decode every file, so that damage is found before anything is computed.
    if lq is None:
        read_image(hr)
    else:
        check_colours(hr, lq, decode=True)
    spare = (height - gt_size[0], width - gt_size[1])
    offset = (spare[0] // 2, spare[1] // 2) if alignment == "centre" else (0, 0)
    return Pair(name=printable(name), hr=hr, lq=lq, lq_size=lq_size, gt_size=gt_size, offset=offset)


def _whole(
    size: tuple[int, int], hr: Path, lq: Path | None, lq_size: tuple[int, int]
) -> tuple[int, int]:
    """The size of the HR picture, which may be any number of times that of its LQ picture."""
    if min(big / small for big, small in zip(size, lq_size, strict=True)) < 1:
        raise ValueError(
            f"{hr} is {size[0]} x {size[1]}, smaller than {lq or 'its small picture'} with "
            f"{lq_size[0]} x {lq_size[1]} (height x width); are the folders swapped?"
        )
    return size


def _partner(name: str, hr: Path, lq_files: dict[str, Path], scale: float) -> Path:
    candidates = lq_names(name, scale)
    lq = next((lq_files[key] for key in candidates if key in lq_files), None)
    if lq is not None:
        return lq
    stripped = _without_marker(name)
    swapped = ""
    if stripped != name and stripped in lq_files:
        swapped = f", but there is {lq_files[stripped].name}: are the folders swapped?"
    raise ValueError(f"{hr}: no LQ picture named {' or '.join(candidates)}{swapped}")


def _orphans(hr_files: dict[str, Path], lq_files: dict[str, Path]) -> list[str]:
    """LQ pictures that belong to no HR picture at any scale."""
    return [
        f"{path}: no HR picture named {_without_marker(name)}"
        for name, path in lq_files.items()
        if name not in hr_files and _without_marker(name) not in hr_files
    ]


def _without_marker(name: str) -> str:
    """The name of an LQ picture without the marker of LQ files."""
    return re.sub(r"(x\d+(\.\d+)?|_LR)$", "", name)


def _times(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return round(size[0] * scale), round(size[1] * scale)


def _list_problems(problems: Iterable[str], where: str) -> str:
    lines = list(problems)
    more = [f"... and {len(lines) - _MOST_LISTED} more"] if len(lines) > _MOST_LISTED else []
    return "\n  ".join([f"{len(lines)} problems in {where}:", *lines[:_MOST_LISTED], *more])
