"""The cache folder of published files, and their SHA-256."""

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from escsr import checkpoints
from escsr.files import write_text
from escsr.models.downloading import Progress, Resuming
from escsr.models.errors import NotFetchedError
from escsr.models.table import Published


def cache_folder() -> Path:
    """The folder that published weights are fetched to; it need not exist yet.

    It is the value of ``ESCSR_CACHE``, otherwise the user's cache folder on this system
    (``~/.cache/escsr`` on Linux).
    """
    chosen = os.environ.get("ESCSR_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("escsr", appauthor=False)


def check_kept(entry: Published, kept: Path) -> None:
    """Compare a file in the cache with the published one, as far as its hash is known.

    Raises:
        ValueError: If it is a different file.
    """
    facts = kept.stat()
    expected = entry.sha256 or _pinned(kept)
    if expected and (found := _sha256(kept, facts.st_mtime_ns, facts.st_size)) != expected:
        origin = "published" if entry.sha256 else "first downloaded"
        raise ValueError(
            f"{kept} is not the file that was {origin} as {entry.name} (SHA-256 {found}, not "
            f"{expected}): delete it{_and_its_pin(entry, kept)} and fetch it again"
        )


def bring(entry: Published, *, progress: Progress | None, forbidden: str | None) -> Path:
    """Download a published file to the cache.

    Raises:
        NotFetchedError: If that is forbidden, or fails.
        ValueError: If a different file was received.
    """
    kept = cache_folder() / entry.file
    by_hand = (
        f"Download {entry.address} (offered on {entry.page}) by other means and put it at {kept}"
    )
    if forbidden:
        raise NotFetchedError(f"{entry.name} is not on this machine, and {forbidden}. {by_hand}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with _alone(kept):
            if not kept.is_file():  # another process may have fetched it in the meantime
                with _shown(entry.file, progress) as told:
                    _download(entry, kept, told)
    except OSError as error:
        raise NotFetchedError(
            f"{entry.name} is not on this machine and could not be fetched: {error}. {by_hand}"
        ) from error
    return kept


def _download(entry: Published, kept: Path, progress: Progress) -> None:
    import pooch

    expected = entry.sha256 or _pinned(kept)
    while True:
        downloader = Resuming(kept, progress)
        try:
            with _quiet(pooch.get_logger()):
                pooch.retrieve(
                    entry.address,
                    known_hash=f"sha256:{expected}" if expected else None,
                    fname=kept.name,
                    path=kept.parent,
                    downloader=downloader,
                )
        except ValueError as error:
            if downloader.resumed:
                continue  # the two halves may be from different files: start over once
            raise ValueError(
                f"what {entry.address} gave for {entry.name} is not the file that was "
                f"{'published' if entry.sha256 else 'first downloaded'}, and was deleted: "
                f"{' '.join(str(error).split())}{_and_its_pin(entry, kept, to_accept=True)}"
            ) from error
        break
    if not expected:
        _pin(entry, kept)


def _pin(entry: Published, kept: Path) -> None:
    """Keep the SHA-256 of a weight file, and refuse anything else, such as a web page."""
    try:
        checkpoints.read(kept)
    except ValueError as error:
        kept.unlink()
        raise ValueError(
            f"what {entry.address} gave for {entry.name} is no weight file, and was deleted: "
            f"{error}"
        ) from error
    facts = kept.stat()
    found = _sha256(kept, facts.st_mtime_ns, facts.st_size)
    write_text(_pin_file(kept), f"{found}  {kept.name}\n")


def _pin_file(kept: Path) -> Path:
    """In the format of ``sha256sum``."""
    return kept.with_name(f"{kept.name}.sha256")


def _pinned(kept: Path) -> str | None:
    try:
        return _pin_file(kept).read_text(encoding="utf-8").split()[0]
    except (FileNotFoundError, IndexError):
        return None


def _and_its_pin(entry: Published, kept: Path, *, to_accept: bool = False) -> str:
    if entry.sha256:
        return ""
    if to_accept:
        return f" To accept a new version delete {_pin_file(kept)}"
    return f" (and {_pin_file(kept).name}, to accept a new version)"


@lru_cache(maxsize=64)
def _sha256(path: Path, _changed: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Silence pooch, since the bar shows progress; other users of pooch keep their log level."""
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _alone(kept: Path) -> Iterator[None]:
    """One process at a time fetches a file; the others wait, then find it there."""
    from filelock import FileLock

    with FileLock(kept.with_name(f".escsr-{kept.name}.lock")):
        yield


@contextmanager
def _shown(what: str, progress: Progress | None) -> Iterator[Progress]:
    """The requested progress callback, or a bar if there is a terminal to show it on."""
    if progress is not None:
        yield progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    name = TextColumn("{task.description}", markup=False)
    columns = name, BarColumn(), DownloadColumn(), TransferSpeedColumn()
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        line = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(line, completed=done, total=total)
