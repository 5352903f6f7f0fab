"""Decoded photographs, kept in memory within a stated budget."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
"""A decoded photograph: (H, W, 3), RGB, 0 to 255."""


class PhotoCache:
    """Decoded photographs by path, the least recently used ones forgotten first.

    Photos are decoded when they are first asked for. What a photo looks like never depends
    on the state of the cache, so results are the same with any budget; only the speed is not.

    Args:
        decode: Reads one file, e.g. `escsr.images.read_rgb`.
        budget: Bytes that may be kept. A photo that does not fit on its own is not kept.

    Raises:
        ValueError: If the budget is negative.
    """

    def __init__(self, decode: Callable[[Path], Photo], *, budget: int) -> None:
        if budget < 0:
            raise ValueError(f"the cache's budget must be at least 0 bytes, got {budget}")
        self._decode = decode
        self._budget = budget
        self._photos: OrderedDict[Path, Photo] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes_held = 0
        """Bytes of the photos held at present."""
        self.decoded = 0
        """How many times a file was decoded; with a sufficient budget, once per photo."""

    def __call__(self, path: Path) -> Photo:
        """Return the photo of a path, decoded now or kept from before; do not write to it."""
        with self._lock:
            if path in self._photos:
                self._photos.move_to_end(path)
                return self._photos[path]
        photo = self._decode(path)
        photo.flags.writeable = False
        with self._lock:
            self.decoded += 1
            if path not in self._photos and photo.nbytes <= self._budget:
                self._photos[path] = photo
                self.bytes_held += photo.nbytes
                while self.bytes_held > self._budget:
                    _, forgotten = self._photos.popitem(last=False)
                    self.bytes_held -= forgotten.nbytes
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
