"""Finding picture files in folders."""

from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".gif", ".ppm", ".pgm"}
)
"""File name endings (lower case) that are taken for pictures."""


def list_images(
    roots: Sequence[str | Path],
    *,
    include: Sequence[str] = ("*",),
    exclude: Sequence[str] = (),
) -> list[Path]:
    """List the picture files below some folders, in an order that never depends on the disk.

    Folders are searched recursively, hidden files and folders are left out, and the result
    is sorted within each root; the roots keep the order in which they were given.

    Args:
        roots: Folders to search.
        include: Glob patterns; a file is taken if any of them matches its path relative to
            its root (``a/b.png``) or its bare name.
        exclude: Glob patterns of files to leave out, matched in the same way.

    Returns:
        Paths of the pictures.

    Raises:
        FileNotFoundError: If roots are missing or are no folders (all of them are named).
    """
    folders = [Path(root) for root in roots]
    missing = [str(folder) for folder in folders if not folder.is_dir()]
    if missing:
        raise FileNotFoundError(
            f"no such folder: {', '.join(missing)}; give existing folders with pictures"
        )
    found: list[Path] = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder)
            if path.suffix.lower() not in IMAGE_SUFFIXES or not path.is_file():
                continue
            if any(part.startswith(".") for part in relative.parts):
                continue
            if matches(relative, include) and not matches(relative, exclude):
                found.append(path)
    return found


def matches(relative: Path, patterns: Sequence[str]) -> bool:
    """Tell whether a relative path or its bare name matches any of the glob patterns."""
    text = relative.as_posix()
    return any(fnmatch(text, pattern) or fnmatch(relative.name, pattern) for pattern in patterns)
