"""Finding picture files in folders."""

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".gif", ".ppm", ".pgm"}
)
"""File name endings (lower case) of pictures."""

_WILD = "*?["


@dataclass(frozen=True)
class Source:
    """A picture file that a command was asked to read.

    Attributes:
        path: Where it is.
        name: Its path relative to the input it was found in, with forward slashes; the bare name
            for a file that was given directly. With several folders, each name begins with the
            name of its folder.
    """

    path: Path
    name: str


def find_pictures(inputs: Sequence[str | os.PathLike[str]]) -> list[Source]:
    """Expand the inputs of a command: files stay, folders become the pictures in them.

    An input that does not exist and contains ``*``, ``?`` or ``[…]`` is a pattern: ``**`` matches
    any number of folders, and a matching folder stands for all its pictures.

    Args:
        inputs: Picture files, folders (see `list_images`) and patterns.

    Returns:
        At least one picture, in the order of the inputs. A warning names links to folders that
        were followed.

    Raises:
        FileNotFoundError: If an input does not exist, or there are no pictures at all.
    """
    paths = [Path(given) for given in inputs]
    several = sum(path.is_dir() or _is_pattern(path) for path in paths) > 1
    found = [source for path in paths for source in _expand(path, named=several)]
    if not found:
        raise FileNotFoundError(f"there are no pictures in {', '.join(map(str, inputs))}")
    return found


def _expand(path: Path, *, named: bool) -> list[Source]:
    if _is_pattern(path):
        root, files = _match_pattern(path)
    elif path.is_dir():
        root, files = path, list_images([path])
        _tell_links(root, files)
    elif path.is_symlink() and not path.exists():
        raise FileNotFoundError(f"there is no picture {path}: the link leads to {_end_of(path)}")
    elif not path.exists():
        raise FileNotFoundError(f"there is no picture {path}")
    else:
        return [Source(path, path.name)]
    above = f"{root.resolve().name}/" if named and root.resolve().name else ""
    return [Source(file, above + file.relative_to(root).as_posix()) for file in files]


def _is_pattern(path: Path) -> bool:
    return any(sign in str(path) for sign in _WILD) and not os.path.lexists(path)


def _match_pattern(pattern: Path) -> tuple[Path, list[Path]]:
    """The folder before the first wildcard, and the files below it that match."""
    parts = pattern.parts
    first = next(n for n, part in enumerate(parts) if any(sign in part for sign in _WILD))
    root, wild = Path(*parts[:first]), parts[first:]
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}, where {pattern} would match")
    # '*.heic' names a kind of file; '*' means pictures.
    ending = Path(wild[-1]).suffix
    every = bool(ending) and not any(sign in ending for sign in _WILD)
    found = []
    for path in sorted(_walk(root)):
        below = path.relative_to(root).parts
        in_folder = any(_parts_match(below[:n], wild) for n in range(1, len(below)))
        is_picture = path.suffix.lower() in IMAGE_SUFFIXES
        if (in_folder and is_picture) or ((every or is_picture) and _parts_match(below, wild)):
            found.append(path)
    if not found:
        raise FileNotFoundError(f"no picture matches {pattern}")
    _tell_links(root, found)
    return root, found


def _tell_links(root: Path, files: Sequence[Path]) -> None:
    """Warn about links to folders that were followed: they may lead to unintended files."""
    folders = {above for file in files for above in file.parents if root in above.parents}
    links = [str(folder) for folder in sorted(folders) if folder.is_symlink()]
    if links:
        _warn(f"links to folders are followed: {', '.join(links)}")


def _parts_match(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path match those of a pattern; ``**`` is any number of parts."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_parts_match(parts[n:], pattern[1:]) for n in range(len(parts) + 1))
    return bool(parts) and fnmatch(parts[0], pattern[0]) and _parts_match(parts[1:], pattern[1:])


def list_images(
    roots: Sequence[str | Path],
    *,
    include: Sequence[str] = ("*",),
    exclude: Sequence[str] = (),
) -> list[Path]:
    """List the picture files below some folders, in an order that never depends on the disk.

    Folders are searched recursively, including links to folders (except links to a folder that
    contains them). Hidden files and folders are skipped. The result is sorted within each root;
    roots keep the given order. A warning names broken links and unreadable folders.

    Args:
        roots: Folders to search.
        include: Glob patterns; a file is taken if any of them matches its path relative to
            its root (``a/b.png``) or its bare name.
        exclude: Glob patterns of files to leave out, matched in the same way.

    Returns:
        Paths of the pictures.

    Raises:
        FileNotFoundError: If roots are missing or not folders; the message names all of them.
    """
    folders = [Path(root) for root in roots]
    missing = [str(folder) for folder in folders if not folder.is_dir()]
    if missing:
        raise FileNotFoundError(
            f"no such folder: {', '.join(missing)}; give existing folders with pictures"
        )
    found: list[Path] = []
    for folder in folders:
        for path in sorted(_walk(folder)):
            relative = path.relative_to(folder)
            wanted = path.suffix.lower() in IMAGE_SUFFIXES
            if wanted and matches(relative, include) and not matches(relative, exclude):
                found.append(path)
    return found


def _walk(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """All files below a folder that are not hidden, following links.

    Args:
        folder: The folder to search.
        above: Resolved paths of the folders that contain it; none of them is entered again.
    """
    above |= {os.path.realpath(folder)}
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        _warn(f"{folder} is left out: {error.strerror or error}")
        return
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if not entry.is_symlink() or os.path.realpath(path) not in above:
                yield from _walk(path, above)
        elif entry.is_file():
            yield path
        elif entry.is_symlink() and not path.exists():
            _warn(f"{path} is left out: the link leads to {_end_of(path)}")


def _end_of(link: Path) -> str:
    """The target of a broken link, for a message."""
    target = os.readlink(link)
    real = Path(os.path.realpath(link))
    return target if os.path.lexists(real) else f"{target}, which does not exist"


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)


def matches(relative: Path, patterns: Sequence[str]) -> bool:
    """Tell whether a relative path or its bare name matches any of the glob patterns."""
    text = relative.as_posix()
    return any(fnmatch(text, pattern) or fnmatch(relative.name, pattern) for pattern in patterns)
