"""Pictures whose pixels are kept in a file because they may not fit in memory."""

import contextlib
import os
import struct
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
    """A decoded picture without transparency in a temporary file, read a few rows at a time.

    Created by `open_pixels`. The file is removed with the object or, if the program was killed,
    by the next program that creates one.

    Attributes:
        path: File of raw samples, row by row, little-endian.
        size: (H, W) in pixels.
        depth: Bits per channel: 8 or 16.
        gray: Whether there is one channel instead of three.
        display: How to show it, and the other metadata of its file.

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
        return np.dtype("u1" if self.depth == 8 else "<u2")

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
        """A new picture of another size in the same folder, with no rows written yet."""
        return replace(self, path=_new_file(self.path.parent), size=size)


def open_pixels(source: Origin, folder: str | os.PathLike[str]) -> PixelFile | None:
    """Decode a picture file into a temporary file, without holding it in memory.

    Args:
        source: A picture file; see `read_image`, which also lists the errors.
        folder: Folder of the temporary file.

    Returns:
        The picture, upright; None if it has transparency or its format must be read as a whole.
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
    """A libvips image of the file, to be read once from top to bottom.

    libvips reads it as a TIFF, strip by strip. It would map a raw file, and mapped pages count as
    memory of the process.
    """
    stream = _Stream(_tiff_header(pixels), pixels)
    source = libvips().SourceCustom()
    source.on_read(stream.read)
    source.on_seek(stream.seek)
    return libvips().Image.new_from_source(source, "", access="sequential")


# Rows per strip: a few megabytes for a wide picture.
_STRIP = 16


def _tiff_header(pixels: PixelFile) -> bytes:
    """The header of an uncompressed BigTIFF of the samples that follow.

    Source:
        TIFF 6.0; the layout with 64-bit offsets follows libtiff 4.
    """
    height, width = pixels.size
    row = width * pixels.channels * pixels.dtype.itemsize
    tops = np.arange(0, height, _STRIP, dtype=np.uint64)
    lengths = np.minimum(height - tops, _STRIP) * np.uint64(row)
    count = len(tops)
    tags = 9
    arrays = 16 + 8 + 20 * tags + 8  # offset of the strip arrays
    first = arrays + (0 if count == 1 else 16 * count)
    offsets = tops * np.uint64(row) + np.uint64(first)
    short, long, wide = 3, 4, 16
    depth = pixels.depth
    fields = [
        (256, long, 1, width),
        (257, long, 1, height),
        (258, short, pixels.channels, sum(depth << 16 * i for i in range(pixels.channels))),
        (259, short, 1, 1),
        (262, short, 1, 1 if pixels.gray else 2),
        (273, wide, count, int(offsets[0]) if count == 1 else arrays),
        (277, short, 1, pixels.channels),
        (278, long, 1, _STRIP),
        (279, wide, count, int(lengths[0]) if count == 1 else arrays + 8 * count),
    ]
    # Numbers are in the low bytes of their field (little-endian).
    header = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16) + struct.pack("<Q", tags)
    header += b"".join(struct.pack("<HHQQ", *field) for field in fields) + struct.pack("<Q", 0)
    if count > 1:
        header += offsets.astype("<u8").tobytes() + lengths.astype("<u8").tobytes()
    return header


class _Stream:
    """A header and the samples of a file, as one file."""

    def __init__(self, header: bytes, pixels: PixelFile) -> None:
        self._header = header
        self._pixels = pixels  # keeps the file, which is removed with the object
        self._file = open(pixels.path, "rb")  # noqa: SIM115 - closed with the stream
        self._at = 0

    def read(self, size: int) -> bytes:
        if self._at < len(self._header):
            data = self._header[self._at : self._at + size]
        else:
            self._file.seek(self._at - len(self._header))
            data = self._file.read(size)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int) -> int:
        end = len(self._header) + self._pixels.path.stat().st_size
        self._at = offset + {0: 0, 1: self._at, 2: end}[whence]
        return self._at


def _turned(raw: Path, image: Any, turn: int) -> tuple[Path, Any]:
    """The picture turned upright, in another file."""
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
