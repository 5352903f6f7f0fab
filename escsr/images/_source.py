"""Sources of picture bytes: a file, or the contents of a pipe kept in memory."""

import io
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from escsr.images._vips import libvips

_MOST = 2 << 30
"""Most bytes read from a pipe: a device such as /dev/zero never ends."""


class PictureSource:
    """The bytes of one picture, which can be read any number of times.

    Files are read from disk each time. A source that can be read only once (a named pipe,
    ``/dev/stdin``, a file object) is read immediately and kept in memory.

    Args:
        origin: A path, the contents as ``bytes``, or a file object opened for reading bytes.

    Attributes:
        name: Its name in errors: the path, or the file object's name.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It is a folder or cannot be read.
        ValueError: It is empty, or larger than 2 GiB and not on a disk.
        TypeError: ``origin`` is something else.

    Example:
        >>> PictureSource(b"P5 1 1 255 x").name
        '<bytes>'
    """

    def __init__(self, origin: "str | os.PathLike[str] | bytes | BinaryIO | PictureSource") -> None:
        self.name: str
        self._path: Path | None = None
        self._data: bytes | None = None
        if isinstance(origin, PictureSource):
            self.name, self._path, self._data = origin.name, origin._path, origin._data
            return
        if isinstance(origin, str | os.PathLike):
            self._path = Path(origin)
            self.name = str(self._path)
            self._check_path(self._path)
        elif isinstance(origin, bytes | bytearray | memoryview):
            self.name, self._data = "<bytes>", bytes(origin)
        elif hasattr(origin, "read"):
            self.name = str(getattr(origin, "name", "<file object>"))
            self._data = _read_all(origin, self.name)
        else:
            raise TypeError(
                f"a picture is read from a path, bytes or a file object opened with 'rb', not "
                f"from a {type(origin).__name__}"
            )
        if self._data is not None and not self._data:
            raise ValueError(f"{self.name}: the file is empty")

    def _check_path(self, path: Path) -> None:
        regular = stat.S_ISREG(path.stat().st_mode)
        with path.open("rb") as file:  # raises Python's own errors for folders and permissions
            if not regular:
                self._data = _read_all(file, self.name)
            elif not file.read(1):
                raise ValueError(f"{path}: the file is empty")

    def open(self) -> BinaryIO:
        """A seekable file object at the start of the contents."""
        if self._data is not None:
            return io.BytesIO(self._data)
        assert self._path is not None
        return self._path.open("rb")

    def head(self, count: int) -> bytes:
        """The first ``count`` bytes, or fewer."""
        with self.open() as file:
            return file.read(count)

    def contents(self) -> bytes:
        """All bytes."""
        if self._data is not None:
            return self._data
        with self.open() as file:
            return file.read()

    def for_libvips(self) -> Any:
        """A new `pyvips.Source`: not cached, and "[" in a name has no special meaning."""
        vips = libvips()
        if self._data is None and _is_text(str(self._path)):
            return vips.Source.new_from_file(str(self._path))
        return vips.Source.new_from_memory(self.contents())


def _is_text(name: str) -> bool:
    """Whether pyvips can pass on the name, which it encodes as UTF-8."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _read_all(file: Any, name: str) -> bytes:
    parts, length = [], 0
    while part := file.read(1 << 20):
        if isinstance(part, str):
            raise TypeError(f"{name}: the file object gives text; open it with 'rb'")
        parts.append(part)
        length += len(part)
        if length > _MOST:
            raise ValueError(f"{name}: more than {_MOST >> 30} GiB came, and no end")
    return b"".join(parts)
