"""The output of all commands: any text on any terminal, pipe or log."""

import codecs
import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

_HANDLER = "escsr-console"
_PLAIN = {"→": "->", "×": "x", "…": "...", "−": "-", "–": "-", "—": "-", "·": "-", "±": "+-"}
_PLAIN |= {"≤": "<=", "≥": ">=", "≈": "~", "σ": "sigma", "µ": "u", "“": '"', "”": '"', "’": "'"}


def make_console(*, stderr: bool = False) -> "Console":
    """Return a console that prints text as it is: no markup, no highlighting, nothing fatal."""
    from rich.console import Console

    protect_streams()
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def make_progress(*columns: "ProgressColumn", console: "Console | None" = None) -> "Progress":
    """Return a progress bar that vanishes when it is done, on a console of `make_console`."""
    from rich.progress import Progress

    return Progress(*columns, console=console or make_console(), transient=True)


def protect_streams() -> None:
    r"""Let standard output and error print any text as well as they can.

    Where their encoding (cp1252 of a redirected Windows console, ASCII of ``LANG=C``) lacks a
    character, a plain one or an escape such as ``\u753b`` is printed in its place. Bytes of a
    file name that are not text are printed as ``\xe9``.
    """
    codecs.register_error(_HANDLER, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that Python could not decode
        return f"\\x{code - 0xDC00:02x}"
    return _PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode()
