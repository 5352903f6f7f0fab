"""Finding picture files in folders, and planning which file each of them becomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".gif", ".ppm", ".pgm"}
)
"""File name endings (lower case) that are taken for pictures."""


@dataclass(frozen=True)
class Source:
    """A picture file that a command was asked to read.

    Attributes:
        path: Where it is.
        name: Its path below the input that it was found in, with forward slashes; the bare name
            for a file that was given itself.
    """

    path: Path
    name: str


@dataclass(frozen=True)
class PictureTask:
    """A picture file and the file it becomes.

    Attributes:
        source: What is read.
        target: What is written.
        name: Of the source, relative to the input that it was found in.
    """

    source: Path
    target: Path
    name: str


def find_pictures(inputs: Sequence[Path]) -> list[Source]:
    """Expand the inputs of a command: files stay, folders become the pictures in them.

    Args:
        inputs: Picture files and folders.

    Returns:
        At least one picture, in the order of the inputs.

    Raises:
        FileNotFoundError: If an input does not exist, or there are no pictures at all.
    """
    found = [source for path in inputs for source in _expand(path)]
    if not found:
        raise FileNotFoundError(f"there are no pictures in {', '.join(map(str, inputs))}")
    return found


def _expand(path: Path) -> list[Source]:
    if path.is_dir():
        return [Source(file, file.relative_to(path).as_posix()) for file in list_images([path])]
    if not path.exists():
        raise FileNotFoundError(f"there is no picture {path}")
    return [Source(path, path.name)]


def plan_targets(
    sources: Sequence[Source],
    output: Path,
    *,
    writable: Sequence[str],
    suffix: str | None = None,
    dotted_folder: bool = False,
    reserved: Mapping[Path, str] | None = None,
) -> list[PictureTask]:
    """Decide which file each picture becomes; every problem is found before any work is done.

    Args:
        sources: The pictures, from `find_pictures`.
        output: A file for one picture (its suffix is writable and it is no folder), else a folder.
        writable: Suffixes that can be written (``".png"``), lower case.
        suffix: Suffix of all files in a folder; None: that of the source where it is writable,
            else ``".png"``.
        dotted_folder: Whether a new folder for one picture may have a dot in its name; otherwise
            ``out.xyz`` is taken for a file that cannot be written.
        reserved: Other files that the command writes, and what they are, for messages.

    Returns:
        One task for each picture, in the same order.

    Raises:
        ValueError: If the output cannot be written or is one file for several pictures, or a
            target is itself a source, a folder, or the target of another picture.
    """
    to_file = output.suffix.lower() in writable and not output.is_dir()
    meant_as_file = output.suffix and not output.exists() and len(sources) == 1
    if meant_as_file and not to_file and not dotted_folder:
        raise ValueError(
            f"cannot write {output.suffix} files; give -o a folder or a name that ends in one "
            f"of {', '.join(writable)}"
        )
    if to_file and len(sources) > 1:
        raise ValueError(f"{len(sources)} pictures cannot go into one file {output}: name a folder")
    if output.exists() and not to_file and not output.is_dir():
        raise ValueError(f"{output} is a file and no picture: give -o a folder or another name")
    tasks = []
    for source in sources:
        own = source.path.suffix.lower()
        ending = suffix or (own if own in writable else ".png")
        target = output if to_file else output / (source.path.stem + ending)
        tasks.append(PictureTask(source.path, target, source.name))
    check_targets(tasks, reserved=reserved)
    return tasks


def check_targets(
    tasks: Sequence[PictureTask], *, reserved: Mapping[Path, str] | None = None
) -> None:
    """Refuse targets that would overwrite a source, a folder or one another.

    Args:
        tasks: What is to be read and written.
        reserved: Other files that the command writes, and what they are, for messages.

    Raises:
        ValueError: Naming the first such target.
    """
    taken = {path.resolve(): what for path, what in (reserved or {}).items()}
    sources = {task.source.resolve() for task in tasks}
    for task in tasks:
        target = task.target.resolve()
        if target in sources:
            raise ValueError(f"{task.target} is itself an input: choose another folder or name")
        if target in taken:
            raise ValueError(
                f"{taken[target]} and {task.source} would both be written to {task.target}: "
                "rename one, or write them into different folders"
            )
        if target.is_dir():
            raise ValueError(f"{task.target} is a folder: choose another folder or name")
        taken[target] = str(task.source)


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
