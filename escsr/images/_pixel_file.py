"""Pictures whose pixels lie in a file, because they may not fit in memory."""

import contextlib
import os
import tempfile
import weakref
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from escsr.images._carrying import read_display
from escsr.images._colour import PLAIN_SPACES, to_plain_space
from escsr.images._display import Display
from escsr.images._picture import Array
from escsr.images._reading import Origin, open_by_libvips, warn_of
from escsr.images._source import PictureSource
from escsr.images._vips import libvips, reason

_PREFIX = "escsr-pixels-"


@dataclass(frozen=True, eq=False, kw_only=True)
class PixelFile:
    """A decoded picture without transparency in a temporary file, read some rows at a time.

    Made by `open_pixels`; the file is removed with the object, or by the next program that makes
    one where this one was killed.

    Attributes:
        path: Raw samples, row after row, in the machine's byte order.
        size: (H, W) in pixels.
        depth: Bits per channel: 8 or 16.
        gray: Whether there is one channel instead of three.
        display: How it is to be shown, and what else its file said.

    Example:
        >>> pixels = open_pixels("huge.tif", "/var/tmp")  # doctest: +SKIP
        >>> pixels.read(0, 100).shape
        (100, 30000, 3)
    """

    path: Path
    size: tuple[int, int]
    depth: int = 8
    gray: bool = False
    display: Display = field(default_factory=Display)

    def __post_init__(self) -> None:
        """Remove the file with the object."""
        weakref.finalize(self, _remove, self.path)

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 1 if self.gray else 3

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the samples."""
        return np.dtype(np.uint8 if self.depth == 8 else np.uint16)

    def read(self, top: int, bottom: int) -> Array:
        """Rows from ``top`` up to but not ``bottom``, (rows, W, channels)."""
        row = self.size[1] * self.channels
        count = (bottom - top) * row
        samples = np.fromfile(
            self.path, self.dtype, count=count, offset=top * row * self.dtype.itemsize
        )
        if samples.size != count:
            raise OSError(f"{self.path} has become shorter")
        return samples.reshape(bottom - top, self.size[1], self.channels)

    def append(self, rows: Array) -> None:
        """Write the next rows, (rows, W, channels)."""
        with open(self.path, "ab") as file:
            np.ascontiguousarray(rows, self.dtype).tofile(file)

    def empty_like(self, size: tuple[int, int]) -> "PixelFile":
        """A picture of another size, in the same folder, of which no rows are written yet."""
        return replace(self, path=_new_file(self.path.parent), size=size)


def open_pixels(source: Origin, folder: str | os.PathLike[str]) -> PixelFile | None:
    """Decode a picture file into a temporary file, without holding it in memory.

    Args:
        source: A picture file; see `read_image`, which also lists the errors.
        folder: Where the temporary file is made.

    Returns:
        The picture, upright; None if it has transparency, or is of a kind that must be read as a
        whole.
    """
    given = PictureSource(source)
    image = open_by_libvips(given)
    if image is None or image.bands not in (1, 3):
        return None
    remove_stale(Path(folder))
    space = image.interpretation
    names = ("icc-profile-data", "exif-data", "xmp-data")
    fields = {name: image.get(name) for name in names if image.get_typeof(name)}
    turn = image.get("orientation") if image.get_typeof("orientation") else 1
    raw = _new_file(Path(folder))
    try:
        image = to_plain_space(image, fields.get("icc-profile-data"))
        image.rawsave(str(raw))
        if turn != 1:
            raw, image = _turned(raw, image, turn)
    except (libvips().Error, ValueError) as error:
        _remove(raw)
        raise ValueError(f"{given.name}: {reason(error)}") from None
    gray = image.bands == 1
    display, facts = read_display(given, gray=gray, fields=fields, plain=space in PLAIN_SPACES)
    for note in facts.notes:
        warn_of(given, note)
    return PixelFile(
        path=raw,
        size=(image.height, image.width),
        depth=8 if image.format == "uchar" else 16,
        gray=gray,
        display=display,
    )


def as_libvips(pixels: PixelFile) -> Any:
    """A libvips image of the file, which reads it as it goes."""
    height, width = pixels.size
    deep = pixels.depth == 16
    return libvips().Image.rawload(
        str(pixels.path),
        width,
        height,
        pixels.channels,
        format="ushort" if deep else "uchar",
        interpretation=("grey16" if deep else "b-w")
        if pixels.gray
        else ("rgb16" if deep else "srgb"),
    )


def _turned(raw: Path, image: Any, turn: int) -> tuple[Path, Any]:
    """The same upright, in another file."""
    stored = libvips().Image.rawload(
        str(raw), image.width, image.height, image.bands, format=image.format
    )
    stored = stored.copy()
    stored.set_type(libvips().GValue.gint_type, "orientation", turn)
    upright = stored.autorot()
    turned = _new_file(raw.parent)
    upright.rawsave(str(turned))
    _remove(raw)
    return turned, upright


def _new_file(folder: Path) -> Path:
    handle, name = tempfile.mkstemp(".raw", f"{_PREFIX}{os.getpid()}-", folder)
    os.close(handle)
    return Path(name)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def remove_stale(folder: Path) -> None:
    """Remove the files of programs that were killed."""
    for path in folder.glob(f"{_PREFIX}*.raw"):
        owner = path.name.removeprefix(_PREFIX).split("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            _remove(path)
