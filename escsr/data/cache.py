"""Decoded photographs, kept in memory within a stated budget, or in a folder."""

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

    Photos are decoded when they are first asked for. What a photo looks like never depends
    on the state of the cache, so results are the same with any budget; only the speed is not.

    In memory the least recently used photos are forgotten first. With a ``folder`` each decoded
    photo is written there once and mapped into memory whenever it is asked for, so that a crop
    reads only its own rows and all workers, processes and later runs share the work. That needs
    as many bytes of disk as the photos have pixels, times 3. A photo that has changed since
    (another time or size of its file) is decoded anew; what is in the folder may be deleted at
    any time. When the disk is full, a warning is given and memory is used instead.

    Args:
        decode: Reads one file, e.g. `escsr.images.read_rgb`.
        budget: Bytes that may be kept in memory. A photo that does not fit on its own is not kept.
        folder: Folder for decoded photos, made if it is missing; None: memory only.

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
        """Bytes of the photos held in memory at present."""
        self.decoded = 0
        """How many times a file was decoded; with a sufficient budget, once per photo."""

    def __call__(self, path: Path, *, keep: bool = True) -> Photo:
        """Return the photo of a path, decoded now or kept from before; do not write to it.

        Args:
            path: The file.
            keep: Whether to keep it in memory, if it is not there yet.
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
        """Map the decoded photo into memory; decode and write it first if it is not there.

        It is mapped anew each time (0.1 ms): a mapping holds a file descriptor, and there are
        more photos than a process may have of those.
        """
        facts = path.stat()
        key = f"{path.resolve()}|{facts.st_mtime_ns}|{facts.st_size}"
        stored = folder / f"{hashlib.sha256(os.fsencode(key)).hexdigest()[:32]}.npy"
        try:
            mapped: Photo = np.load(stored, mmap_mode="r")
            return mapped
        except (OSError, EOFError, ValueError):  # not there, or cut short by a crash
            photo = self._decoded(path)
        try:
            with replacing(stored) as temporary, temporary.open("wb") as file:
                np.save(file, photo)
        except OSError as error:
            _LOG.warning("no more photos are kept in %s: %s; memory is used", folder, error)
            self._folder = None
        return photo

    def __getstate__(self) -> dict[str, Any]:
        """Leave photos and lock out of a pickle: a worker process starts with an empty cache."""
        state = self.__dict__.copy()
        state.update(_photos=OrderedDict(), bytes_held=0, decoded=0)
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` left."""
        self.__dict__.update(state)
        self._lock = threading.Lock()
