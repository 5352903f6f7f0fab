"""Files from strangers: what is refused is refused by a sentence, before anything is decoded."""

import dataclasses
import re
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from threading import Lock

from escsr.app.limits import Limits
from escsr.app.notes import collecting
from escsr.app.words import RefusedError, amount, megapixels
from escsr.images import Picture, PictureSource, image_size, read_image

_LONGEST_NAME = 60
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")  # devices of Windows
_KEPT = 256 << 20
"""Bytes of decoded pictures that are kept for the next crop."""

# How the formats that are taken begin; the rest is refused before any decoder sees it.
_BEGINNINGS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"BM",
    *(b"P%d" % number for number in range(1, 8)),
)
_FORMATS = "PNG, JPEG, WebP, TIFF, AVIF, GIF, BMP or PPM"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Upload:
    """A picture that somebody gave, decoded.

    Attributes:
        name: Of the file, cleaned.
        picture: Its pixels.
        head: How the file begins.
        notes: What its reader said.
    """

    name: str
    picture: Picture
    head: bytes
    notes: tuple[str, ...]


class Uploads:
    """Reads what was uploaded, and keeps the last pictures decoded.

    Args:
        limits: What is taken.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._kept: OrderedDict[Path, Upload] = OrderedDict()
        self._lock = Lock()

    def read(self, path: str | Path) -> Upload:
        """The picture in an uploaded file.

        Raises:
            RefusedError: If it is none, or more than the limits; in a sentence.
            ValueError: If it is damaged.
        """
        path = Path(path)
        with self._lock:
            if path in self._kept:
                self._kept.move_to_end(path)
                return self._kept[path]
        upload = read_upload(path, self._limits)
        with self._lock:
            self._kept[path] = upload
            while len(self._kept) > 1 and _bytes(self._kept.values()) > _KEPT:
                self._kept.popitem(last=False)
        return upload

    def forget(self, path: str | Path) -> None:
        """Let go of a picture."""
        with self._lock:
            self._kept.pop(Path(path), None)


def read_upload(path: Path, limits: Limits) -> Upload:
    """Read one uploaded file; see `Uploads.read`."""
    name = name_of(path)
    source = checked_source(path, name, limits)
    with collecting() as notes:
        picture = read_image(source)
    return Upload(name=name, picture=picture, head=source.head(32), notes=tuple(notes))


def checked_source(path: Path, name: str, limits: Limits) -> PictureSource:
    """An uploaded file whose header says that it can be taken.

    Raises:
        RefusedError: See `Uploads.read`.
        ValueError: If its header is damaged.
    """
    length = path.stat().st_size
    if length == 0:
        raise RefusedError(f"{name}: the file is empty")
    if length > limits.upload:
        raise RefusedError(
            f"{name}: the file has {amount(length)}; the limit is {amount(limits.upload)}"
        )
    source = PictureSource(path.read_bytes())
    source.name = name
    _check_kind(name, source.head(4096))
    height, width = size_in_header(source)
    if height * width > limits.pixels:
        raise RefusedError(
            f"{name}: the picture has {width}×{height} pixels, which is "
            f"{megapixels(height * width)}; the limit is {megapixels(limits.pixels)}. Make "
            "it smaller first, or use 'escsr upscale', which has no such limit"
        )
    return source


def size_in_header(source: PictureSource) -> tuple[int, int]:
    """(H, W) that a file claims, without decoding it."""
    head = source.head(26)
    if head.startswith(b"BM") and len(head) == 26:
        width, height = (
            abs(int.from_bytes(head[at : at + 4], "little", signed=True)) for at in (18, 22)
        )
        return height, width
    return image_size(source)


def _check_kind(name: str, head: bytes) -> None:
    is_riff = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    is_heif = head[4:8] == b"ftyp"
    if head.startswith(_BEGINNINGS) or is_riff or is_heif:
        return
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    what = "not a picture"
    if b"<svg" in text:
        what = "a drawing (SVG), which has no pixels to upscale"
    elif text.startswith(b"<"):
        what = "a web page (HTML or XML), not a picture"
    elif text.startswith(b"%pdf"):
        what = "a PDF document, not a picture"
    raise RefusedError(f"{name}: the file is {what}; {_FORMATS} are accepted")


def name_of(path: str | Path) -> str:
    """What the page calls an uploaded file."""
    return clean_name(Path(path).name)


def clean_name(name: str) -> str:
    """A file name that is safe on every system.

    Example:
        >>> clean_name("../../etc/pass<w>d.png"), clean_name("con.png"), clean_name("Café 1.jpg")
        ('passwd.png', 'picture-con.png', 'Café 1.jpg')
    """
    last = re.split(r"[\\/]", unicodedata.normalize("NFC", name))[-1]
    last = re.sub(r"[^\w .()+-]", "", last).strip(" .")
    stem, dot, suffix = last.rpartition(".")
    stem, suffix = (stem, suffix[:8]) if dot else (suffix, "")
    stem = stem[:_LONGEST_NAME].strip(" .") or "picture"
    if _RESERVED.match(stem):
        stem = f"picture-{stem}"
    return f"{stem}.{suffix}" if suffix else stem


def _bytes(uploads: Iterable[Upload]) -> int:
    return sum(one.picture.pixels.nbytes for one in uploads)
