"""Errors, times and amounts as the page says them."""

import html
import logging

_log = logging.getLogger("escsr.app")


class RefusedError(ValueError):
    """What cannot be done, in a sentence for the person at the page."""


def explain(error: BaseException, name: str = "the picture") -> str:
    """A sentence for the page; what nobody foresaw goes to the log of the server.

    Args:
        error: What went wrong.
        name: What the person calls the picture.
    """
    if isinstance(error, RefusedError):
        return str(error)
    if isinstance(error, MemoryError):
        return (
            f"{name}: there is not enough memory. Choose a smaller size, wait until other pictures "
            f"are done, or start the app where more is free. {_figures(error)}"
        ).strip()
    if isinstance(error, ValueError | TypeError):
        text = str(error)
        return text if text.startswith(name) else f"{name}: {text}"
    if isinstance(error, OSError) and error.strerror:
        return f"{name}: {error.strerror.lower()} on the machine that runs the app"
    _log.error("%s", name, exc_info=error)
    return f"{name}: something went wrong ({type(error).__name__}); the app's terminal says more"


def _figures(error: MemoryError) -> str:
    """The sentence of our own errors; those of allocators say nothing to people."""
    return f"({error})" if str(error).startswith("a picture of") else ""


def duration(seconds: float) -> str:
    """A time, as people say it.

    Example:
        >>> duration(0.42), duration(75)
        ('0.4 s', '1 min 15 s')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def amount(count: float) -> str:
    """Bytes, as people say them.

    Example:
        >>> amount(12_400_000), amount(2.5e9)
        ('12 MB', '2.5 GB')
    """
    if count < 1e6:
        return f"{max(1, round(count / 1e3))} kB"
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def megapixels(count: float) -> str:
    """Pixels in millions.

    Example:
        >>> megapixels(30_000_000)
        '30 megapixels'
    """
    millions = count / 1e6
    return f"{millions:.0f} megapixels" if millions >= 100 else f"{millions:.3g} megapixels"


def status(text: str, kind: str = "note", share: float | None = None) -> str:
    """A line of the page, as HTML; a bar beside it where a share of work is done.

    Args:
        text: Plain text.
        kind: "note", "good" or "bad".
        share: Of the work, from 0 to 1.
    """
    if not text:
        return ""
    said = html.escape(text).replace("\n", "<br>")
    bar = "" if share is None else _bar(share)
    role = "alert" if kind == "bad" else "status"
    return f'<div class="said {kind}" role="{role}">{bar}<span>{said}</span></div>'


def _bar(share: float) -> str:
    percent = round(100 * share)
    return f'<progress max="100" value="{percent}" aria-label="Progress">{percent} %</progress>'
