"""One process at a time in a folder."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

NAME = ".lock"
"""The file in a run's folder that is locked during the run."""


@contextmanager
def only_run(folder: Path, *, advice: str) -> Iterator[None]:
    """Lock a folder for the block; the lock ends with the process, however that ends.

    Args:
        folder: Created if missing.
        advice: What the user can do if the folder is locked.

    Raises:
        FileExistsError: If another run uses the folder; the message names its process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    file = _locked(path)
    if file is None:
        with suppress(OSError):
            holder = path.read_text(encoding="utf-8").strip()
        raise FileExistsError(
            f"a run goes on in {folder} ({holder or 'in another process'}): {advice}"
        )
    try:
        yield
    finally:
        # Removed while still locked, so that a process that has just opened it notices.
        with suppress(OSError):
            path.unlink()
        file.close()
        with suppress(OSError):  # a run that was refused leaves no folder behind
            folder.rmdir()


def _locked(path: Path) -> BinaryIO | None:
    """Open and lock a file; None if another process has it locked."""
    while True:
        file = path.open("a+b")
        try:
            _lock(file)
        except (BlockingIOError, PermissionError):
            file.close()
            return None
        except OSError:  # a file system without locks cannot prevent a second run
            pass
        if _is_still(path, file):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
            file.flush()
            return file
        file.close()  # its owner removed it between our opening and our locking


def _is_still(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _lock(file: BinaryIO) -> None:
    if os.name == "nt":
        import msvcrt

        # beyond the text, so that others can read it
        file.seek(1 << 20)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
