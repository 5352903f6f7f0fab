"""The output file of each picture."""

import os
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from escsr.names import did_you_mean
from escsr.picture_files import IMAGE_SUFFIXES, Source

# Endings that users expect from picture programs, and that folder names do not have.
_FILE_TYPES = IMAGE_SUFFIXES | {
    *(".bmp", ".gif", ".heic", ".heif", ".jxl", ".jp2", ".exr", ".hdr", ".tga", ".psd", ".dng"),
    *(".svg", ".pdf", ".ico", ".pbm", ".pnm", ".jfif", ".zip"),
    *(".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v"),
}

PLAIN_NAME = "{stem}{suffix}"
"""The template that keeps the name of the source."""


@dataclass(frozen=True)
class PictureTask:
    """A picture file and its output file.

    Attributes:
        source: File to read.
        target: File to write.
        name: Path of the source relative to the input it was found in.
    """

    source: Path
    target: Path
    name: str


def plan_targets(
    sources: Sequence[Source],
    output: str | os.PathLike[str],
    *,
    writable: Sequence[str],
    suffix: str | None = None,
    template: str = PLAIN_NAME,
    fields: Mapping[str, object] | None = None,
    reserved: Mapping[Path, str] | None = None,
) -> list[PictureTask]:
    """Choose the output file of each picture; all problems are found before any work is done.

    An output folder keeps the tree of the sources: ``sub/a.png`` becomes ``OUT/sub/a.png``.

    Args:
        sources: The pictures, from `find_pictures`.
        output: A file for one picture, see `is_picture_name`; else a folder.
        writable: Suffixes that can be written (``".png"``), lower case.
        suffix: Suffix of all files in a folder; None: that of the source if it can be written,
            else ``".png"``.
        template: Names of files in a folder, see `check_name_template`.
        fields: Fields that the template may use besides those of each picture.
        reserved: Other files that the command writes, with descriptions for messages.

    Returns:
        One task for each picture, in the same order.

    Raises:
        ValueError: If the output cannot be written or is one file for several pictures, or if a
            target is a source, a folder, or the target of another picture.
    """
    fields = fields or {}
    check_name_template(template, fields, writable=writable)
    folder = Path(output)
    if is_picture_name(output, writable=writable, single=len(sources) == 1):
        if len(sources) > 1:
            raise ValueError(
                f"{len(sources)} pictures cannot go into one file {folder}: name a folder"
            )
        if template != PLAIN_NAME:
            raise ValueError(f"a template names files in a folder, and {folder} is one file")
        tasks = [PictureTask(source.path, folder, source.name) for source in sources]
    else:
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder} is a file and no picture: give -o a folder or another name")
        tasks = []
        for source in sources:
            name = target_name(
                source.name, writable=writable, suffix=suffix, template=template, fields=fields
            )
            tasks.append(PictureTask(source.path, folder / name, source.name))
    check_targets(tasks, reserved=reserved)
    return tasks


def target_name(
    name: str,
    *,
    writable: Sequence[str],
    suffix: str | None = None,
    template: str = PLAIN_NAME,
    fields: Mapping[str, object],
) -> str:
    """The name of a picture's output file, relative to the output; arguments as `plan_targets`.

    Args:
        name: Name of the picture relative to the input, see `Source`.
        writable: See `plan_targets`.
        suffix: See `plan_targets`.
        template: Checked, see `check_name_template`.
        fields: See `plan_targets`.
    """
    path = PurePosixPath(name)
    own = path.suffix.lower()
    ending = suffix or (own if own in writable else ".png")
    about = {"stem": path.stem, "suffix": ending, "type": own.lstrip(".")}
    return (path.parent / template.format_map({**fields, **about})).as_posix()


def is_picture_name(
    output: str | os.PathLike[str], *, writable: Sequence[str], single: bool = True
) -> bool:
    """Whether an output is meant as a picture file; otherwise it is a folder.

    A name with a writable suffix means a file, unless it ends in a slash or a folder of that
    name exists. ``res_v1.2`` is a folder, as it has no file suffix.

    Args:
        output: The name as given, including a final slash.
        writable: Suffixes that can be written, lower case.
        single: Whether the output is for one picture.

    Raises:
        ValueError: If it is meant as a file of an unwritable kind, or is ``-``.
    """
    text, path = os.fspath(output), Path(output)
    if text == "-":
        raise ValueError(
            "pictures are not written to standard output: give -o a folder, or a name that ends "
            f"in one of {', '.join(writable)}"
        )
    if text.endswith(("/", os.sep)) or path.is_dir():
        return False
    ending = path.suffix.lower()
    if ending in writable:
        return True
    looks_like_a_type = ending in _FILE_TYPES or re.fullmatch(r"\.[a-z]{1,5}", ending)
    if single and looks_like_a_type and not path.exists():
        raise ValueError(
            f"cannot write {path.suffix} files; give -o a name that ends in one of "
            f"{', '.join(writable)}, or a folder (a new one with a dot in its name: {text}/)"
        )
    return False


def check_name_template(
    template: str, fields: Mapping[str, object], *, writable: Sequence[str]
) -> None:
    """Refuse a template of file names that cannot work.

    Args:
        template: Such as ``"{stem}_x{scale}{suffix}"``. Each picture has the fields ``stem``
            (the source's name without its ending), ``suffix`` (the output's ending, with its
            dot) and ``type`` (the source's ending without its dot).
        fields: The other available fields.
        writable: Suffixes that can be written, lower case.

    Raises:
        ValueError: If it has an unknown field or makes invalid file names.
    """
    known = {**fields, "stem": "stem", "suffix": writable[0], "type": "png"}
    try:
        named = [
            field for _, field, _, _ in string.Formatter().parse(template) if field is not None
        ]
        for field in named:
            if field not in known:
                raise ValueError(
                    f"the template {template!r} names {{{field}}}: {did_you_mean(field, known)} "
                    f"There are: {', '.join(sorted(known))}"
                )
        name = template.format_map(known)
    except (ValueError, KeyError, IndexError) as error:
        if "template" in str(error):
            raise
        raise ValueError(f"the template {template!r} cannot be read: {error}") from None
    if "/" in template or "\\" in template or name in ("", ".", ".."):
        raise ValueError(f"the template {template!r} must make the name of a file, not a path")
    if Path(name).suffix.lower() not in writable:
        raise ValueError(
            f"the template {template!r} must end in {{suffix}} or in one of {', '.join(writable)}"
        )


def check_targets(
    tasks: Sequence[PictureTask], *, reserved: Mapping[Path, str] | None = None
) -> None:
    """Refuse targets that would overwrite a source, a folder or one another.

    Args:
        tasks: Files to read and write.
        reserved: Other files that the command writes, with descriptions for messages.

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


def split_existing(
    tasks: Sequence[PictureTask], existing: str
) -> tuple[list[PictureTask], list[PictureTask]]:
    """Divide tasks by whether their targets already exist.

    Args:
        tasks: The tasks to divide.
        existing: How to treat existing targets: "overwrite", "skip" or "refuse".

    Returns:
        The tasks to do, and those whose targets exist.

    Raises:
        ValueError: If targets exist and ``existing`` is "refuse", or if it is another word.
    """
    options = ("overwrite", "skip", "refuse")
    if existing not in options:
        raise ValueError(f"existing must be one of {', '.join(options)}, not {existing}")
    there = [task for task in tasks if task.target.exists()]
    if there and existing == "refuse":
        raise ValueError(
            f"{len(there)} of {len(tasks)} outputs exist, such as {there[0].target}: give "
            "another folder or name, or choose whether to overwrite or skip them"
        )
    kept = {task.target for task in there} if existing == "skip" else set()
    return [task for task in tasks if task.target not in kept], there
