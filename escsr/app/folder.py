"""The app's one temporary folder: whose the files in it are, and when they go."""

import os
import secrets
import shutil
import stat
import tempfile
import threading
from collections import defaultdict
from contextlib import ExitStack, suppress
from pathlib import Path

from escsr.locking import only_run

_PREFIX = "escsr-app-"


class Folder:
    """A folder that is removed at the end; those that killed apps left are removed at the start.

    Attributes:
        path: The folder.
    """

    def __init__(self) -> None:
        _remove_abandoned(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
        self._held = ExitStack()
        self._held.enter_context(only_run(self.path, advice="choose another"))
        self._owners: dict[Path, set[str]] = defaultdict(set)
        self._lock = threading.Lock()

    def new(self, owner: str) -> Path:
        """A folder for somebody's results, with a name that nobody can guess."""
        made = self.path / secrets.token_hex(16)
        made.mkdir()
        with self._lock:
            self._owners[made].add(owner)
        return made

    def uses(self, owner: str, upload: str | Path) -> None:
        """Keep an upload for somebody. Files with the same contents are one file."""
        folder = Path(upload).parent
        if folder.parent == self.path:
            with self._lock:
                self._owners[folder].add(owner)

    def drop(self, owner: str) -> None:
        """Remove what nobody but this person used."""
        with self._lock:
            theirs = [path for path, owners in self._owners.items() if owner in owners]
            for path in theirs:
                self._owners[path].discard(owner)
            unused = [path for path in theirs if not self._owners[path]]
            for path in unused:
                del self._owners[path]
                shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._held.close()


def _remove_abandoned(where: Path) -> None:
    """Remove folders whose app was killed: a living one holds its lock."""
    for folder in where.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if _is_mine(folder):
                with only_run(folder, advice="leave it"):
                    shutil.rmtree(folder, ignore_errors=True)


def _is_mine(folder: Path) -> bool:
    """Whether this user made a folder; in a shared one others might set traps."""
    facts = folder.stat(follow_symlinks=False)
    return stat.S_ISDIR(facts.st_mode) and (
        not hasattr(os, "getuid") or facts.st_uid == os.getuid()
    )
