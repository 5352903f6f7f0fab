"""Chunks of PNG files.

Source: PNG, third edition (W3C, 2025); raw profiles as ImageMagick and ExifTool write them.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from escsr.images._display import Display
from escsr.images._facts import Facts, iptc_of_resources, resources_of_iptc
from escsr.images._profiles import Primaries

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LONGEST = 64 << 20  # bytes of one text, unpacked
_XMP = b"XML:com.adobe.xmp"
_INCH = 0.0254
# The chunks that are read; others may be larger than memory.
_READ = {b"acTL", b"cICP", b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"pHYs", b"eXIf", b"iTXt", b"zTXt"}
_READ |= {b"tEXt", b"mDCV", b"cLLI"}


def is_png(head: bytes) -> bool:
    """Whether these first bytes are those of a PNG file."""
    return head[:4] == _SIGNATURE[:4]


def png_facts(file: BinaryIO) -> Facts:
    """The metadata in the chunks of a file."""
    facts = Facts()
    has_profile = False
    for kind, data in _chunks(file):
        if kind in (b"iCCP", b"sRGB"):
            has_profile = True
        elif kind == b"cICP" and len(data) == 4:
            if data[2] or data[3] > 1:  # a matrix is for YCbCr, which PNG does not hold
                facts.notes.append("its cICP is impossible and left out")
            else:
                facts.cicp = (data[0], data[1], data[2], data[3])
        elif kind == b"gAMA" and int.from_bytes(data, "big"):
            facts.curve = (1e5 / int.from_bytes(data, "big"),)
        elif kind == b"cHRM" and len(data) == 32:
            white_x, white_y, *rgb = (value / 1e5 for value in struct.unpack(">8I", data))
            red, green, blue = zip(rgb[::2], rgb[1::2], strict=True)
            facts.primaries = Primaries(red, green, blue, (white_x, white_y))
        elif kind == b"pHYs" and len(data) == 9:
            _take_resolution(facts, *struct.unpack(">IIB", data))
        elif kind == b"acTL" and int.from_bytes(data[:4], "big") > 1:
            frames = int.from_bytes(data[:4], "big")
            facts.notes.append(f"only the first of its {frames} pages is read")
        elif kind == b"eXIf":
            facts.exif = data
        elif kind in (b"mDCV", b"cLLI"):
            facts.notes.append(f"its HDR display metadata ({kind.decode()}) is dropped")
        elif kind in (b"iTXt", b"zTXt", b"tEXt"):
            _take_text(facts, kind, data)
    if has_profile:
        facts.primaries = facts.curve = None
    return facts


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    file.seek(len(_SIGNATURE))
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return
        if kind in _READ and length <= _LONGEST:
            yield kind, file.read(length)
            file.seek(4, 1)
        else:
            file.seek(length + 4, 1)


def _take_resolution(facts: Facts, x: int, y: int, unit: int) -> None:
    if unit == 1 and x and y:
        facts.dpi = (x * _INCH, y * _INCH)
    else:
        facts.say_pixel_shape(x, y)


def _take_text(facts: Facts, kind: bytes, data: bytes) -> None:
    """XMP, and profiles that programs stored in texts before there were chunks for them."""
    key, _, rest = data.partition(b"\0")
    if key != _XMP and not key.startswith(b"Raw profile type "):
        return
    if kind == b"iTXt":
        packed, rest = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
    else:
        packed, rest = kind == b"zTXt", rest[1:] if kind == b"zTXt" else rest
    text = _unpacked(rest) if packed else rest
    if key == _XMP:
        facts.xmp = text
        return
    name, profile = key.rsplit(b" ", 1)[-1].lower(), _raw_profile(text)
    if name in (b"exif", b"app1") and profile.startswith(b"Exif\0\0"):
        facts.exif = facts.exif or profile
    elif name in (b"iptc", b"8bim"):
        facts.iptc = iptc_of_resources(profile)
    elif name == b"xmp":
        facts.xmp = facts.xmp or profile


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _LONGEST)
    except zlib.error:
        return b""


def _raw_profile(text: bytes) -> bytes:
    """Decode the lines: a name, a length, and the bytes in hexadecimal."""
    try:
        return bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))
    except ValueError:
        return b""


def png_with(data: bytes, display: Display) -> bytes:
    """A file with metadata added; an existing resolution is replaced.

    Args:
        data: File as written by libvips: without EXIF, XMP and IPTC.
        display: Metadata to add; the profile is in the file already.
    """
    before, after = [], []  # those before PLTE, and those before IDAT
    if display.cicp is not None:
        before.append(_chunk(b"cICP", bytes(display.cicp)))
    if display.dpi is not None:
        x, y = (round(value / _INCH) for value in display.dpi)
        after.append(_chunk(b"pHYs", struct.pack(">IIB", x, y, 1)))
    if display.exif is not None:
        after.append(_chunk(b"eXIf", display.exif))
    if display.xmp is not None:
        after.append(_chunk(b"iTXt", _XMP + bytes(5) + display.xmp))
    if display.iptc is not None:
        records = resources_of_iptc(display.iptc)
        lines = "\n".join(records.hex()[i : i + 72] for i in range(0, 2 * len(records), 72))
        text = f"\niptc\n{len(records):8}\n{lines}\n".encode()
        after.append(_chunk(b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(text)))
    parts, at, header_end = [data[:8]], 8, 8 + 25
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            return b"".join([*parts, *after, data[at:]])
        if kind != b"pHYs":
            parts.append(data[at : at + length + 12])
        at += length + 12
        if at == header_end:
            parts += before
    return data


def _chunk(kind: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)
