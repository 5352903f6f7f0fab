"""Files that appear complete or not at all, even if the program is killed half-way."""

import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_locks: Any
try:
    import fcntl as _locks
except ImportError:  # Windows
    _locks = None

_PREFIX = ".escsr-"  # hidden, so that nobody takes an unfinished picture for a finished one
_MARK = ".part"


@contextmanager
def replacing(
    path: str | os.PathLike[str], *, durable: bool = False, suffix: str = ""
) -> Iterator[Path]:
    """Yield a temporary path to write to, which replaces ``path`` at the end.

    The temporary file is created empty in the same folder. If the block raises, it is removed
    and ``path`` is left unchanged. A symbolic link stays, and the file it points to is replaced;
    a replaced file passes on its permissions. A killed process leaves a hidden file
    ``.escsr-….part``, which `remove_leftovers` removes; while the block runs, a lock protects
    the temporary file from that.

    Args:
        path: The file to create or replace. Its folder must exist.
        durable: Whether the contents must survive a power failure: they are flushed to the disk
            before the file is renamed, which takes milliseconds.
        suffix: Ending of the temporary name, for writers that depend on it (``".png"``).

    Yields:
        The temporary path.

    Raises:
        FileNotFoundError: If the folder does not exist.
        IsADirectoryError: If ``path`` is a folder.
        PermissionError: If the file is write-protected, or the folder is.
        OSError: If ``path`` is a device or pipe, or the file cannot be written. The message names
            ``path``, never the temporary file.

    Example:
        >>> with replacing("weights.bin", durable=True) as temporary:  # doctest: +SKIP
        ...     temporary.write_bytes(b"...")
    """
    path = Path(path)
    target = Path(os.path.realpath(path))
    replaced = _check_target(path, target)
    temporary = target.with_name(f"{_PREFIX}{secrets.token_hex(6)}{_MARK}{suffix}")
    handle = -1
    try:
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        handle = _hold(handle)
        yield temporary
        if replaced is not None:
            _take_over(temporary, replaced)
        if durable:
            _force_to_disk(temporary)
        os.replace(temporary, target)
        temporary.unlink(missing_ok=True)  # replacing does nothing if both are the same file
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            _name_target(error, temporary, path)
        raise
    finally:
        if handle >= 0:
            os.close(handle)
    if durable:
        _force_folder_to_disk(target.parent)


def write_bytes(path: str | os.PathLike[str], data: bytes, *, durable: bool = False) -> None:
    """Write a file complete or not at all; see `replacing` for details and errors."""
    with replacing(path, durable=durable) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str, *, durable: bool = False) -> None:
    r"""Write a text file (UTF-8, line ends unchanged) complete or not at all; see `replacing`.

    Undecodable bytes of file names are written as ``\udce9``: JSON reads them back unchanged.
    """
    write_bytes(path, printable(text).encode("utf-8"), durable=durable)


def write_json(
    path: str | os.PathLike[str], value: Any, *, indent: int = 2, durable: bool = False
) -> None:
    """Write a value as readable JSON, complete or not at all; see `replacing`.

    Text is written in UTF-8. Only names that UTF-8 cannot hold (file names in an old encoding)
    are escaped, so that Python reads them back unchanged.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    write_text(path, text + "\n", durable=durable)


def printable(text: str) -> str:
    r"""Text with undecodable bytes of file names written as ``\udce9``.

    Example:
        >>> print(printable(os.fsdecode(b"caf\xe9.png")))
        caf\udce9.png
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def remove_leftovers(folder: str | os.PathLike[str]) -> list[Path]:
    """Remove files that killed processes left in a folder.

    Files that a running process is writing are locked and stay. Systems without such locks
    (Windows) do not let an open file be removed.

    Args:
        folder: The folder to search, without its subfolders; may be missing.

    Returns:
        The files that were removed.
    """
    folder = Path(folder)
    found = sorted(folder.glob(f"{_PREFIX}*{_MARK}*")) if folder.is_dir() else []
    return [path for path in found if _remove_unheld(path)]


def _hold(handle: int) -> int:
    """Lock an open file until it is closed or the process dies; if that is impossible, close it."""
    if _locks is None:
        os.close(handle)  # Windows does not rename open files
        return -1
    with suppress(OSError):  # some network file systems have no locks
        _locks.flock(handle, _locks.LOCK_EX | _locks.LOCK_NB)
    return handle


def _remove_unheld(path: Path) -> bool:
    """Remove a file unless it is locked; return whether it was removed."""
    try:
        if _locks is not None:
            with path.open(
                "r+b"
            ) as file:  # network file systems lock only files that are open for writing
                _locks.flock(file, _locks.LOCK_EX | _locks.LOCK_NB)
                path.unlink()
        else:
            path.unlink()
    except OSError:
        return False
    return True


def _check_target(path: Path, target: Path) -> os.stat_result | None:
    """Refuse paths that cannot be replaced; return the status of an existing file, or None."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder {target.parent} does not exist")
    try:
        facts = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(facts.st_mode):
        raise IsADirectoryError(f"{path} is a folder; give a file name")
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(f"{path} is a device or pipe; give the name of a file")
    if not os.access(target, os.W_OK):
        raise PermissionError(f"{path} is write-protected; give another name")
    return facts


def _take_over(temporary: Path, replaced: os.stat_result) -> None:
    """Give the new file the owner and the permissions of the one it replaces."""
    if hasattr(os, "chown"):
        with suppress(PermissionError):  # only root may give files away
            os.chown(temporary, replaced.st_uid, replaced.st_gid)
    os.chmod(temporary, stat.S_IMODE(replaced.st_mode))


def _force_to_disk(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _force_folder_to_disk(folder: Path) -> None:
    """Flush the new name to the disk; not every system can open a folder."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _name_target(error: OSError, temporary: Path, path: Path) -> None:
    """Make an error name the requested file (for a full disk it names none at all)."""
    if error.errno is not None and error.filename in (None, str(temporary), os.fspath(temporary)):
        error.filename = str(path)
        error.filename2 = None
