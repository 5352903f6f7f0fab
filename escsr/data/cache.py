"""A cache of decoded photographs, in memory within a given budget, or in a folder."""

import hashlib
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from escsr.files import replacing

_LOG = logging.getLogger(__name__)

Photo = NDArray[np.uint8]
"""A decoded photograph: (H, W, 3), RGB, 0 to 255."""


class PhotoCache:
    """Decoded photographs by path, in memory or in a folder.

    Photos are decoded when first requested. Their pixels never depend on the state of the cache,
    so the budget affects only the speed, not the results.

    In memory, the least recently used photos are dropped first. With a ``folder``, each decoded
    photo is written there once and mapped into memory on request, so that a crop reads only its
    own rows, and all workers, processes and later runs share the work. This needs 3 bytes of disk
    per pixel. A photo that has changed since (by time or size of its file) is decoded again. The
    contents of the folder may be deleted at any time. If the disk is full, a warning is logged
    and memory is used instead.

    Args:
        decode: Reads one file, e.g. `escsr.images.read_rgb`.
        budget: Bytes that may be kept in memory. A photo larger than that is not kept.
        folder: Folder for decoded photos, created if missing; None: memory only.

    Raises:
        ValueError: If the budget is negative.
    """

    def __init__(
        self, decode: Callable[[Path], Photo], *, budget: int, folder: str | Path | None = None
    ) -> None:
        if budget < 0:
            raise ValueError(f"the cache's budget must be at least 0 bytes, got {budget}")
        self._decode = decode
        self._budget = budget
        self._folder = None if folder is None else Path(folder)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        self._photos: OrderedDict[Path, Photo] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes_held = 0
        """Bytes of the photos currently in memory."""
        self.decoded = 0
        """How many times files were decoded; with a sufficient budget, once per photo."""

    def __call__(self, path: Path, *, keep: bool = True) -> Photo:
        """Return the photo of a path, decoded now or from the cache; do not write to it.

        Args:
            path: The file.
            keep: Whether to keep it in memory if it is not there yet.
        """
        if self._folder is not None:
            return self._from_folder(path, self._folder)
        with self._lock:
            if path in self._photos:
                self._photos.move_to_end(path)
                return self._photos[path]
        photo = self._decoded(path)
        with self._lock:
            if keep and path not in self._photos and photo.nbytes <= self._budget:
                self._photos[path] = photo
                self.bytes_held += photo.nbytes
                while self.bytes_held > self._budget:
                    _, forgotten = self._photos.popitem(last=False)
                    self.bytes_held -= forgotten.nbytes
        return photo

    def _decoded(self, path: Path) -> Photo:
        photo = self._decode(path)
        photo.flags.writeable = False
        with self._lock:
            self.decoded += 1
        return photo

    def _from_folder(self, path: Path, folder: Path) -> Photo:
        """Map the decoded photo into memory; if needed, decode and write it first.

        It is mapped again each time (0.1 ms), because a mapping holds a file descriptor and there
        may be more photos than descriptors.
        """
        facts = path.stat()
        key = f"{path.resolve()}|{facts.st_mtime_ns}|{facts.st_size}"
        stored = folder / f"{hashlib.sha256(os.fsencode(key)).hexdigest()[:32]}.npy"
        try:
            mapped: Photo = np.load(stored, mmap_mode="r")
            return mapped
        except (OSError, EOFError, ValueError):  # missing, or cut short by a crash
            photo = self._decoded(path)
        try:
            with replacing(stored) as temporary, temporary.open("wb") as file:
                np.save(file, photo)
        except OSError as error:
            _LOG.warning("no more photos are kept in %s: %s; memory is used", folder, error)
            self._folder = None
        return photo

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without photos and lock: a worker process starts with an empty cache."""
        state = self.__dict__.copy()
        state.update(_photos=OrderedDict(), bytes_held=0, decoded=0)
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state from `__getstate__`."""
        self.__dict__.update(state)
        self._lock = threading.Lock()
