"""Files that appear complete or not at all, also when the program is killed half-way."""

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
    """Give a temporary path to write to, which takes the place of ``path`` at the end.

    The temporary file lies in the same folder, exists and is empty. If the block raises anything,
    the temporary file is removed and ``path`` is left as it was. A symbolic link stays and the file
    it points to is replaced; a file that is replaced passes on its permissions. A process that is
    killed leaves a hidden file ``.escsr-….part``, which `remove_leftovers` removes; while the block
    runs, the temporary file is locked against that.

    Args:
        path: The file to make or to replace. Its folder must exist.
        durable: Whether the contents must survive a power failure: they are forced to the disk
            before the file is renamed, which takes milliseconds.
        suffix: How the temporary name must end, for writers that go by it (``".png"``).

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
        temporary.unlink(missing_ok=True)  # replacing does nothing where both are one file already
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
    """Write a file complete or not at all; see `replacing` for what is kept and raised."""
    with replacing(path, durable=durable) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str, *, durable: bool = False) -> None:
    r"""Write a text file (UTF-8, lines as given) complete or not at all; see `replacing`.

    Bytes of file names that are no text are written as ``\udce9``: JSON reads them back unchanged.
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
    r"""Text with the bytes of file names that are no text written as ``\udce9``.

    Example:
        >>> print(printable(os.fsdecode(b"caf\xe9.png")))
        caf\udce9.png
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def remove_leftovers(folder: str | os.PathLike[str]) -> list[Path]:
    """Remove what killed processes left in a folder.

    Files that a living process is writing are locked and stay. Where a system has no such locks
    (Windows), it forbids to remove a file that is open.

    Args:
        folder: Searched itself, not its subfolders; may be missing.

    Returns:
        The files that were removed.
    """
    folder = Path(folder)
    found = sorted(folder.glob(f"{_PREFIX}*{_MARK}*")) if folder.is_dir() else []
    return [path for path in found if _remove_unheld(path)]


def _hold(handle: int) -> int:
    """Lock an open file until it is closed or the process dies; where it cannot be, close it."""
    if _locks is None:
        os.close(handle)  # Windows renames no open file
        return -1
    with suppress(OSError):  # some network file systems have no locks
        _locks.flock(handle, _locks.LOCK_EX | _locks.LOCK_NB)
    return handle


def _remove_unheld(path: Path) -> bool:
    """Remove a file unless somebody holds it; whether it was removed."""
    try:
        if _locks is not None:
            with path.open(
                "r+b"
            ) as file:  # network file systems lock only what is open for writing
                _locks.flock(file, _locks.LOCK_EX | _locks.LOCK_NB)
                path.unlink()
        else:
            path.unlink()
    except OSError:
        return False
    return True


def _check_target(path: Path, target: Path) -> os.stat_result | None:
    """Refuse what cannot be replaced; facts of the file that will be, or None."""
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
    """Force the new name to the disk; not every system can open a folder."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _name_target(error: OSError, temporary: Path, path: Path) -> None:
    """Make an error name the file that was asked for (a full disk names none at all)."""
    if error.errno is not None and error.filename in (None, str(temporary), os.fspath(temporary)):
        error.filename = str(path)
        error.filename2 = None
