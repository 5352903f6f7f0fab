"""Finding the weights of a name (`locate`), and downloading them (`fetch`)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from escsr.models import hub
from escsr.models.downloading import Progress
from escsr.models.errors import NotFetchedError
from escsr.models.keeping import bring, cache_folder, check_kept
from escsr.models.shipped import ALIASES, embedded, resolve
from escsr.models.table import published
from escsr.names import nearest

_fetching: ContextVar[bool] = ContextVar("fetching", default=True)


def locate(path_or_name: str | os.PathLike[str]) -> Path:
    """Find the file for a path or a name. Nothing is ever downloaded.

    Args:
        path_or_name: A file, a name of `embedded` or `published`, an alias, or
            ``hf://user/repo[@revision][/file]``.

    Raises:
        NotFetchedError: If the name is known, but its file is not on this machine yet.
        FileNotFoundError: If there is neither such a file nor such a name; the message lists the
            nearest ones.
        ValueError: If the file in the cache is not the one that was published.

    Example:
        >>> locate("default").name
        'esc_tiny_any.safetensors'
    """
    path = Path(path_or_name)
    name = resolve(os.fspath(path_or_name))
    known = embedded()
    # A folder may well be called "real"; a file of that name is the user's own.
    if path.exists() and not (path.is_dir() and (name in known or name in published())):
        return path
    if name in known:
        return known[name]
    if hub.is_address(name):
        return hub.locate(name)
    if name not in published():
        raise FileNotFoundError(_unknown(name, [*known, *ALIASES]))
    entry = published()[name]
    kept = cache_folder() / entry.file
    if not kept.is_file():
        raise NotFetchedError(
            f"{name} is not on this machine yet: 'escsr fetch {name}' downloads it from "
            f"{entry.address} to {kept}"
        )
    check_kept(entry, kept)
    return kept


def fetch(path_or_name: str | os.PathLike[str], *, progress: Progress | None = None) -> Path:
    """Find the file for a path or a name, and download it if it is not here yet.

    Published files are stored in the cache, completely or not at all: an interrupted download is
    resumed at the next call, the SHA-256 is checked, and an unknown one is recorded at the first
    download and checked from then on. Proxies are taken from the environment (``HTTPS_PROXY``,
    ``NO_PROXY``). Nothing is downloaded if ``ESCSR_OFFLINE=1`` is set.

    Args:
        path_or_name: See `locate`.
        progress: Called with the bytes received and the size of the whole file, if known; by
            default a bar is shown if standard error is a terminal.

    Returns:
        The file.

    Raises:
        NotFetchedError: If it could not or must not be downloaded; the message explains why, gives
            the source, and where to put the file by hand.
        FileNotFoundError: If there is neither such a file nor such a name.
        ValueError: If the file received is not the published one.

    Example:
        >>> path = escsr.models.fetch("esc_real_x4_gan")
    """
    try:
        return locate(path_or_name)
    except NotFetchedError:
        forbidden = why_not()
        name = os.fspath(path_or_name)
        if hub.is_address(name):
            return hub.fetch(name, forbidden=forbidden)
        return bring(published()[name], progress=progress, forbidden=forbidden)


@contextmanager
def without_fetching() -> Iterator[None]:
    """Within this block `fetch` only finds files on this machine; for checks.

    Example:
        >>> with without_fetching():
        ...     model = escsr.load("default")
    """
    token = _fetching.set(False)
    try:
        yield
    finally:
        _fetching.reset(token)


def why_not() -> str | None:
    """The reason why no server may be contacted now, or None."""
    if os.environ.get("ESCSR_OFFLINE", "").strip().lower() not in ("", "0", "false", "no"):
        return "ESCSR_OFFLINE is set"
    return None if _fetching.get() else "checks download nothing"


def _unknown(name: str, own: list[str]) -> str:
    if name == "auto":
        return (
            "'auto' is no network: it chooses one for each picture, in escsr.upscale, Upscaler and "
            f"'escsr upscale'. Elsewhere name one: {', '.join(sorted(own))}"
        )
    near = nearest(name, [*own, *published()])
    hint = f"did you mean {near!r}? " if near is not None else ""
    return (
        f"there is no file {name!r} and no model of that name: {hint}There are: "
        f"{', '.join(sorted(own))}, and those of 'escsr list --published'"
    )
