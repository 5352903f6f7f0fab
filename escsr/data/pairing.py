"""Pairing small and large pictures by name, with checks of size and colour."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

import numpy as np

from escsr.images import image_size, is_gray_file, read_rgb
from escsr.picture_files import list_images, matches

PATTERNS = ("{name}x{scale}", "{name}_LR", "{name}")
"""Names of small pictures, tried in this order: DIV2K's ``0001x4``, ``_LR``, and the same name in
another folder."""

_COLOURFUL = 2.0
"""Least mean difference between the channels of a colour picture, in 8-bit steps. A gray
photograph after JPEG stays below 1."""

_GRAY = 0.05
"""Greatest mean difference of a gray picture stored as RGB: rounding only."""


@dataclass(frozen=True, kw_only=True)
class PairedFiles:
    """A large picture and its small version.

    Attributes:
        name: Path of the large picture below its folder, without the ending.
        gt: The large picture.
        lq: The small picture.
        lq_size: (h, w) of the small picture.
        gt_size: (H, W) of the top left part of the large picture that the small one shows.
    """

    name: str
    gt: Path
    lq: Path
    lq_size: tuple[int, int]
    gt_size: tuple[int, int]


def pair_folders(
    root_gt: str | Path,
    root_lq: str | Path,
    *,
    scale: float,
    patterns: Sequence[str] = PATTERNS,
    include: Sequence[str] = ("*",),
    exclude: Sequence[str] = (),
) -> tuple[list[PairedFiles], list[str], list[Path]]:
    """Pair the pictures of two folders by name; read their headers and check that they fit.

    Args:
        root_gt: Folder of large pictures, searched recursively.
        root_lq: Folder of small pictures, likewise.
        scale: Large size / small size, at least 1. A large picture may exceed that by up to one
            pixel of the small one; its top left part is then used.
        patterns: Names that the small picture may have, without the ending, relative to its
            folder, tried in order. ``{name}`` is the large one's path below its folder without the
            ending, ``{scale}`` the scale: ``X{scale}/{name}x{scale}`` finds ``X4/0001x4.png``.
        include: Glob patterns of large pictures to take.
        exclude: Glob patterns of large pictures to leave out.

    Returns:
        The pairs in the order of the large pictures; one line for each problem; and the small
        pictures without a large one.

    Raises:
        FileNotFoundError: If a folder is missing.
        ValueError: If a pattern is invalid.
    """
    check_patterns(patterns)
    large, problems = files_by_name(root_gt)
    small, ambiguous = files_by_name(root_lq)
    problems += ambiguous
    pairs: list[PairedFiles] = []
    orphans = dict(small)
    for name, gt in large.items():
        names = lq_names(name, scale, patterns)
        found = next((key for key in names if key in small), None)
        if found is not None:
            orphans.pop(found, None)
        relative = gt.relative_to(root_gt)
        if not matches(relative, include) or matches(relative, exclude):
            continue
        if found is None:
            problems.append(f"{gt}: no small picture {' or '.join(names)} in {root_lq}")
            continue
        try:
            pairs.append(_checked_pair(name, gt, small[found], scale))
        except (ValueError, OSError) as error:
            problems.append(str(error))
    return pairs, problems, list(orphans.values())


def check_patterns(patterns: Sequence[str]) -> None:
    """Refuse patterns with fields other than ``{name}`` and ``{scale}``.

    Raises:
        ValueError: If a pattern is invalid, or there are none.
    """
    if isinstance(patterns, str) or not patterns:
        raise ValueError(f'patterns must be a list of patterns like "{{name}}", got {patterns!r}')
    for pattern in patterns:
        try:
            fields = {field for _, field, _, _ in Formatter().parse(pattern) if field is not None}
        except ValueError as error:
            raise ValueError(f"the pattern {pattern!r} is not complete: {error}") from None
        if "name" not in fields or not fields <= {"name", "scale"}:
            raise ValueError(
                f"the pattern {pattern!r} must hold {{name}} and may hold {{scale}}, no other "
                'fields; e.g. "{name}x{scale}"'
            )


def files_by_name(root: str | Path) -> tuple[dict[str, Path], list[str]]:
    """Pictures below a folder by path without ending, and a line for each duplicate name."""
    files: dict[str, Path] = {}
    problems = []
    for path in list_images([root]):
        name = path.relative_to(root).with_suffix("").as_posix()
        if name in files:
            problems.append(f"{path}: {files[name].name} has the same name; keep one of them")
        files.setdefault(name, path)
    return files, problems


def lq_names(name: str, scale: float, patterns: Sequence[str] = PATTERNS) -> list[str]:
    """Return the possible names, without ending, of a large picture's small one."""
    return [pattern.format(name=name, scale=f"{scale:g}") for pattern in patterns]


def shown_size(
    gt: Path,
    gt_size: tuple[int, int],
    lq: Path | None,
    lq_size: tuple[int, int],
    scale: float,
    *,
    exact: bool = False,
) -> tuple[int, int]:
    """Return the size of the part of a large picture that its small one shows.

    Args:
        gt: The large picture, for errors.
        gt_size: Its (H, W).
        lq: The small picture, for errors; None if it does not exist yet.
        lq_size: Its (h, w).
        scale: Large size / small size, at least 1.
        exact: Whether the large picture must not be larger than that part.

    Raises:
        ValueError: If the large picture is smaller than ``scale`` times the small one, or larger
            by a whole pixel of the small one.
    """
    needed = (round(lq_size[0] * scale), round(lq_size[1] * scale))
    spare = (gt_size[0] - needed[0], gt_size[1] - needed[1])
    allowed = 1 if exact else max(scale, 1)
    if min(spare) < 0 or max(spare) >= allowed:
        swapped = "; are the folders swapped?" if lq_size[0] > gt_size[0] else ""
        small = "its small picture" if lq is None else f"{lq} is {lq_size[0]} x {lq_size[1]} and"
        raise ValueError(
            f"{gt} is {gt_size[0]} x {gt_size[1]}, but {small} needs {needed[0]} x {needed[1]} "
            f"(height x width) at scale {scale:g}{swapped}"
        )
    return needed


def check_colours(gt: Path, lq: Path, *, decode: bool = False) -> None:
    """Refuse a gray file beside one with colours: a wrong pair, or a wrong conversion.

    A gray photo stored as RGB is accepted beside a gray one.

    Args:
        gt: The large picture.
        lq: The small one.
        decode: Whether to always decode both, which finds gray stored as RGB and damaged files;
            otherwise they are decoded only if just one is gray by its header.

    Raises:
        ValueError: If one file is gray, and the other shows colours.
    """
    if not decode and is_gray_file(gt) == is_gray_file(lq):
        return
    colours = {path: _colour(path) for path in (gt, lq)}
    least, most = sorted(colours, key=lambda path: colours[path])
    if colours[least] < _GRAY and colours[most] > _COLOURFUL:
        raise ValueError(f"{least} is gray, but {most} has colours")


def _checked_pair(name: str, gt: Path, lq: Path, scale: float) -> PairedFiles:
    lq_size = image_size(lq)
    gt_size = shown_size(gt, image_size(gt), lq, lq_size, scale)
    check_colours(gt, lq)
    return PairedFiles(name=name, gt=gt, lq=lq, lq_size=lq_size, gt_size=gt_size)


def _colour(path: Path) -> float:
    """Mean range over the three channels of a picture, in 8-bit steps."""
    pixels = read_rgb(path).astype(np.int16)
    return float((pixels.max(axis=2) - pixels.min(axis=2)).mean())
