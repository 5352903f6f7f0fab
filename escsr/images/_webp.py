"""Chunks of WebP files. Source: RFC 9649."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from escsr.images._display import Display
from escsr.images._facts import Facts

_ALPHA, _EXIF, _XMP = 0x10, 0x08, 0x04
_EXTENDED_SIZE = 10


def is_webp(head: bytes) -> bool:
    """Whether these first bytes are those of a WebP file."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def webp_facts(file: BinaryIO) -> Facts:
    """The metadata in the chunks of a file."""
    facts = Facts()
    for kind, data in _chunks(file):
        if kind == b"EXIF":
            facts.exif = data
        elif kind == b"XMP ":
            facts.xmp = data
    return facts


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    file.seek(12)
    while len(head := file.read(8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        if kind in (b"EXIF", b"XMP "):
            yield kind, file.read(length)
            file.seek(length % 2, 1)
        else:
            file.seek(length + length % 2, 1)


def webp_with(data: bytes, display: Display, size: tuple[int, int], *, alpha: bool) -> bytes:
    """A file with the EXIF and XMP of its picture.

    Args:
        data: File as written by libvips, without EXIF and XMP.
        display: Metadata to add; the profile is in the file already.
        size: (H, W) of the picture.
        alpha: Whether the picture has transparency.
    """
    added, flags = b"", 0
    for kind, content, flag in ((b"EXIF", display.exif, _EXIF), (b"XMP ", display.xmp, _XMP)):
        if content is not None:
            flags |= flag
            added += struct.pack("<4sI", kind, len(content)) + content + bytes(len(content) % 2)
    if not added:
        return data
    body = data[12:]
    if body[:4] == b"VP8X":
        head = body[:8] + bytes([body[8] | flags]) + body[9 : 8 + _EXTENDED_SIZE]
        body = body[8 + _EXTENDED_SIZE :]
    else:
        head = struct.pack("<4sIB3x", b"VP8X", _EXTENDED_SIZE, flags | (_ALPHA if alpha else 0))
        head += b"".join((side - 1).to_bytes(3, "little") for side in reversed(size))
    total = 4 + len(head) + len(body) + len(added)
    return struct.pack("<4sI4s", b"RIFF", total, b"WEBP") + head + body + added
