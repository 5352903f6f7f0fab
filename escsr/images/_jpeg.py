"""Segments of JPEG files.

Source: ITU-T T.81, annex B; JFIF 1.02; Exif 2.32, section 4.7; XMP part 3 (Adobe, 2020), 1.1.3.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from escsr.images._display import Display
from escsr.images._facts import Facts, iptc_of_resources, resources_of_iptc
from escsr.images.jpeg_tables import quality_of

_EXIF, _XMP, _IRB = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0"
_FRAMES = (0xC0, 0xC1, 0xC2)  # lossy frames with Huffman codes
_LONGEST = 65533  # bytes in one segment


def is_jpeg(head: bytes) -> bool:
    """Whether these first bytes are those of a JPEG file."""
    return head[:3] == b"\xff\xd8\xff"


def jpeg_facts(file: BinaryIO) -> Facts:
    """The metadata in the segments of a file."""
    facts = Facts()
    resources = b""
    tables: dict[int, int] = {}
    luma = 0
    for marker, data in jpeg_segments(file):
        if marker == 0xE0 and data[:5] == b"JFIF\0" and len(data) >= 12:
            _take_density(facts, *struct.unpack_from(">BHH", data, 7))
        elif marker == 0xE1 and data.startswith(_EXIF):
            facts.exif = facts.exif or data
        elif marker == 0xE1 and data.startswith(_XMP):
            facts.xmp = data[len(_XMP) :]
        elif marker == 0xED and data.startswith(_IRB):
            resources += data[len(_IRB) :]
        elif marker == 0xDB:
            tables |= _table_sums(data)
        elif marker in _FRAMES and len(data) > 8:
            luma = data[8]
        elif marker == 0xE2 and data.startswith(b"urn:iso:std:iso:ts:21496:-1\0"):
            _note_gain_map(facts)
    if luma in tables:
        facts.jpeg_quality = quality_of(tables[luma])
    facts.iptc = iptc_of_resources(resources)
    if facts.xmp is not None and b"hdr-gain-map/1.0/" in facts.xmp:
        _note_gain_map(facts)
    if facts.xmp is not None and b"HasExtendedXMP" in facts.xmp:
        facts.notes.append("only the first 64 kB of its XMP are read")
    return facts


def _table_sums(data: bytes) -> dict[int, int]:
    """Sums of the quantisation tables in a segment, by table number."""
    sums, at = {}, 0
    while at < len(data):
        width, number = 1 + (data[at] >> 4), data[at] & 15
        table = data[at + 1 : at + 1 + 64 * width]
        if width > 2 or len(table) < 64 * width:
            break
        sums[number] = sum(struct.unpack(">64H" if width == 2 else ">64B", table[: 64 * width]))
        at += 1 + 64 * width
    return sums


def _note_gain_map(facts: Facts) -> None:
    text = "its gain map, which makes it HDR, is left out: the result is its SDR picture"
    if text not in facts.notes:
        facts.notes.append(text)


def jpeg_segments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Marker and contents of each segment before the first scan."""
    file.seek(2)
    while (byte := file.read(1)) == b"\xff":
        while byte == b"\xff":
            byte = file.read(1)
        length = int.from_bytes(file.read(2), "big")
        if not byte or byte[0] in (0xDA, 0xD9) or length < 2:
            return
        yield byte[0], file.read(length - 2)


def _take_density(facts: Facts, unit: int, x: int, y: int) -> None:
    if unit in (1, 2) and x and y:
        factor = 1.0 if unit == 1 else 2.54
        facts.dpi = (x * factor, y * factor)
    else:
        facts.say_pixel_shape(x, y)


def jpeg_with(data: bytes, display: Display) -> tuple[bytes, list[str]]:
    """A file with metadata added, and the names of parts that are too long for it.

    Args:
        data: File as written by libvips: JFIF, perhaps a profile, no EXIF, XMP or IPTC.
        display: Metadata to add; the profile is in the file already.
    """
    parts, left_out = [], []
    for name, marker, mark, content in (
        ("EXIF", 0xE1, _EXIF, display.exif),
        ("XMP", 0xE1, _XMP, display.xmp),
        ("IPTC", 0xED, _IRB, display.iptc and resources_of_iptc(display.iptc)),
    ):
        if content is None:
            continue
        if len(mark) + len(content) > _LONGEST:
            left_out.append(f"{name} of more than 64 kB")
            continue
        length = 2 + len(mark) + len(content)
        parts.append(struct.pack(">BBH", 0xFF, marker, length) + mark + content)
    end = 2
    if data[2:4] == b"\xff\xe0":
        end = 4 + int.from_bytes(data[4:6], "big")
    return b"".join([data[:2], _jfif(display.dpi), *parts, data[end:]]), left_out


def _jfif(dpi: tuple[float, float] | None) -> bytes:
    unit, x, y = 0, 1, 1
    if dpi is not None:
        unit, x, y = 1, *(min(max(round(value), 1), 65535) for value in dpi)
    return struct.pack(">HH5sHBHHBB", 0xFFE0, 16, b"JFIF\0", 0x0101, unit, x, y, 0, 0)
