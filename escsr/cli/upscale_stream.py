"""One picture from ``escsr upscale`` to standard output or a pipe."""

import os
import stat
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escsr.cli.console import make_console
from escsr.cli.upscale_files import size_made
from escsr.cli.upscale_options import FileOptions, SavingOptions

if TYPE_CHECKING:
    from escsr.images import Picture

_STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
_STANDARD_INPUT = "/dev/stdin"


def is_stream(output: str) -> bool:
    """Whether an output is standard output, a named pipe or a device."""
    if output in _STANDARD_OUTPUT:
        return True
    try:
        mode = os.stat(output).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def standard_input(inputs: Sequence[str]) -> list[str]:
    """Inputs of a command, with the name of standard input in place of ``-``.

    Raises:
        ValueError: If standard input has no name on this system.
    """
    if "-" in inputs and not os.path.exists(_STANDARD_INPUT):
        raise ValueError("standard input is not read on this system: give the name of a file")
    return [_STANDARD_INPUT if given == "-" else given for given in inputs]


def upscale_to_stream(
    inputs: Sequence[str], output: str, files: FileOptions, saving: SavingOptions, **options: Any
) -> None:
    """Enlarge one picture and write it where it can be written only once.

    All messages go to standard error. The format is that of ``--format``, else that of the pipe's
    name, else the picture's own if it can be written, else PNG.

    Raises:
        ValueError: If there are several inputs, or the output is a terminal.
        OSError: If nothing can be written there.
    """
    from escsr.images import check_writable, encode_image, writable_suffixes
    from escsr.inference import upscale

    suffix = files.suffix_of(writable_suffixes()) or _suffix_of_name(output)
    if output in _STANDARD_OUTPUT and sys.stdout.isatty():
        raise ValueError(
            "standard output is a terminal, which cannot show pictures: add '> large.png', or give "
            "-o the name of a file"
        )
    arguments = saving.checked()
    source = _only(inputs)
    with warnings.catch_warnings(record=True) as notices:
        warnings.simplefilter("always", UserWarning)
        picture, own = _read(source)
        suffix = suffix or own
        check_writable(f"picture{suffix}", size_made(picture.size, **options))
        data = encode_image(upscale(picture, **options), suffix, **arguments)
    console = make_console(stderr=True)
    for notice in notices:
        if issubclass(notice.category, UserWarning):
            console.print(f"note: {notice.message}", style="yellow", soft_wrap=True)
    _write(output, data)


def _only(inputs: Sequence[str]) -> str:
    if len(inputs) != 1 or Path(inputs[0]).is_dir():
        raise ValueError(
            f"one picture goes to standard output or into a pipe, not {', '.join(inputs)}: "
            "give -o a folder"
        )
    return standard_input(inputs)[0]


def _read(source: str) -> "tuple[Picture, str]":
    """The picture, and the ending of its own format."""
    from escsr.images import PictureSource, read_image, suffix_of

    contents = PictureSource(source)  # an input that can be read only once is read here
    return read_image(contents), suffix_of(contents.head(32))


def _suffix_of_name(output: str) -> str | None:
    from escsr.images import writable_suffixes

    suffix = Path(output).suffix.lower()
    return suffix if suffix in writable_suffixes() else None


def _write(output: str, data: bytes) -> None:
    if output in _STANDARD_OUTPUT:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    with Path(output).open("wb") as stream:
        stream.write(data)
