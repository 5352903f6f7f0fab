"""Boxes of AVIF and HEIF files.

Source: ISO/IEC 14496-12 (boxes, items), 23008-12 (HEIF), AV1 Image File Format 1.1.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from escsr.images._display import Display
from escsr.images._facts import Facts

_LONGEST = 64 << 20  # bytes of the description of a picture
_SEQUENCES = (b"avis", b"hevc", b"hevx", b"msf1")
_UNSAID = 2  # "unspecified" among the code points of H.273

Box = tuple[bytes, bytes]
"""Kind and contents."""


def is_heif(head: bytes) -> bool:
    """Whether these first bytes are those of an AVIF or HEIF file."""
    return head[4:8] == b"ftyp" and (
        head[8:10] in (b"av", b"he") or head[8:12] in (b"mif1", b"msf1")
    )


def is_avif_sequence(head: bytes) -> bool:
    """Whether these first bytes are those of an AVIF file with several frames."""
    return head[4:12] == b"ftypavis"


def heif_facts(file: BinaryIO) -> Facts:
    """The metadata in the boxes of a file, except EXIF and XMP."""
    facts = Facts()
    file.seek(0)
    brands = b""
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"ftyp":
            brands = file.read(length - 8)[:4]
        elif kind == b"meta" and length <= _LONGEST:
            facts.cicp = _codes(file.read(length - 8))
        elif length < 8:
            break  # the last box, or one of more than 4 GiB
        else:
            if kind == b"moov" and brands in _SEQUENCES:
                facts.notes.append("only the first of its frames is read")
            file.seek(length - 8, 1)
    return facts


def _codes(meta: bytes) -> tuple[int, int, int, int] | None:
    """The first colour code points: those of the picture come before those of thumbnails."""
    for kind, properties in boxes(meta[4:]):
        if kind != b"iprp":
            continue
        for kind, container in boxes(properties):
            for name, data in boxes(container) if kind == b"ipco" else ():
                if name == b"colr" and data[:4] == b"nclx" and len(data) >= 11:
                    primaries, transfer = struct.unpack_from(">HH", data, 4)
                    if _UNSAID in (primaries, transfer) or max(primaries, transfer) > 255:
                        return None
                    return primaries, transfer, 0, 1  # decoded to full-range RGB
    return None


def boxes(data: bytes) -> Iterator[Box]:
    """The boxes in some bytes, up to the first damaged one."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        length = length or len(data) - at
        if length < 8:
            return
        yield kind, data[at + 8 : at + length]
        at += length


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(data), kind) + data


def avif_with(data: bytes, display: Display) -> bytes:
    """A file with the EXIF, XMP and code points of its picture.

    Args:
        data: File as written by libvips: the description before the pixels, one picture.
        display: Metadata to add; the profile is in the file already.
    """
    items = []
    if display.exif is not None:
        items.append((b"Exif\0\0", bytes(4) + display.exif))
    if display.xmp is not None:
        items.append((b"mime\0application/rdf+xml\0\0", display.xmp))
    if not items and display.cicp is None:
        return data
    parts = dict(boxes(data))
    meta = parts[b"meta"]
    # Item offsets depend on the length of the description, which does not depend on them.
    plain = _Description(meta, items, display.cicp, shift=0, at=0).contents
    shift = len(plain) - len(meta)
    at = len(data) + shift + 8
    parts[b"meta"] = _Description(meta, items, display.cicp, shift=shift, at=at).contents
    made = [_box(kind, content) for kind, content in parts.items()]
    return b"".join(made) + (_box(b"mdat", b"".join(data for _, data in items)) if items else b"")


class _Description:
    """A ``meta`` box with more items in it.

    Args:
        meta: Contents of the box.
        items: For each new item its type, name and media type (the end of an ``infe`` box) and
            its data.
        cicp: Code points for the picture.
        shift: Number of bytes by which the existing data move.
        at: Offset of the data of the new items, which are consecutive.
    """

    def __init__(
        self,
        meta: bytes,
        items: list[tuple[bytes, bytes]],
        cicp: tuple[int, int, int, int] | None,
        *,
        shift: int,
        at: int,
    ) -> None:
        self._items, self._cicp, self._shift, self._at = items, cicp, shift, at
        children = dict(boxes(meta[4:]))
        self._primary = int.from_bytes(children[b"pitm"][4:], "big")
        infos = children[b"iinf"]
        wide = infos[0] > 0
        known = [_item_id(data) for kind, data in boxes(infos[4 + (4 if wide else 2) :])]
        self._ids = [max(known) + 1 + number for number in range(len(items))]
        children[b"iinf"] = self._infos(infos, wide)
        if items:
            children[b"iref"] = self._references(children.get(b"iref", bytes(4)))
        children[b"iloc"] = self._places(children[b"iloc"])
        if cicp is not None:
            children[b"iprp"] = self._properties(children[b"iprp"])
        self.contents = meta[:4] + b"".join(_box(*child) for child in children.items())

    def _infos(self, infos: bytes, wide: bool) -> bytes:
        size = 4 if wide else 2
        count = int.from_bytes(infos[4 : 4 + size], "big") + len(self._items)
        new = [
            _box(b"infe", struct.pack(">IHH", 0x02000000, number, 0) + name)
            for number, (name, _) in zip(self._ids, self._items, strict=True)
        ]
        return infos[:4] + count.to_bytes(size, "big") + infos[4 + size :] + b"".join(new)

    def _references(self, references: bytes) -> bytes:
        letter = "I" if references[0] else "H"
        new = [
            _box(b"cdsc", struct.pack(f">{letter}H{letter}", number, 1, self._primary))
            for number in self._ids
        ]
        return references + b"".join(new)

    def _places(self, places: bytes) -> bytes:
        """The item location table; file offsets move, offsets within other boxes do not."""
        version = places[0]
        sizes = places[4] >> 4, places[4] & 15, places[5] >> 4, places[5] & 15 if version else 0
        count_size = 2 if version < 2 else 4
        reader = _Numbers(places, 6)
        count = reader.take(count_size)
        table = [places[:6], (count + len(self._items)).to_bytes(count_size, "big")]
        for _ in range(count):
            number = reader.take(count_size)
            method = reader.take(2) & 15 if version else 0
            reference, base = reader.take(2), reader.take(sizes[2])
            extents = [
                [reader.take(size) for size in (sizes[3], sizes[0], sizes[1])]
                for _ in range(reader.take(2))
            ]
            if method == 0:
                base += self._shift if sizes[2] else 0
                for extent in extents:
                    extent[1] += 0 if sizes[2] else self._shift
            table.append(_place(version, sizes, number, method, reference, base, extents))
        at = self._at
        for number, (_, data) in zip(self._ids, self._items, strict=True):
            # The offset is in the base or in the extent, whichever has room for it.
            base, offset = (0, at) if sizes[0] else (at, 0)
            table.append(_place(version, sizes, number, 0, 0, base, [[0, offset, len(data)]]))
            at += len(data)
        return b"".join(table)

    def _properties(self, properties: bytes) -> bytes:
        assert self._cicp is not None
        (_, known), (_, links) = boxes(properties)
        primaries, transfer, matrix, full = self._cicp
        codes = struct.pack(">4sHHHB", b"nclx", primaries, transfer, matrix, full << 7)
        index = len(list(boxes(known))) + 1
        reader = _Numbers(links, 4)
        table = [links[:4], reader.take(4).to_bytes(4, "big")]
        wide = links[3] & 1
        while reader.at < len(links):
            size = 4 if links[0] else 2
            number, count = reader.take(size), reader.take(1)
            own = [reader.take(1 + wide).to_bytes(1 + wide, "big") for _ in range(count)]
            if number == self._primary:
                own.append(index.to_bytes(1 + wide, "big"))
            table += [number.to_bytes(size, "big"), bytes([len(own)]), *own]
        return _box(b"ipco", known + _box(b"colr", codes)) + _box(b"ipma", b"".join(table))


def _item_id(info: bytes) -> int:
    return int.from_bytes(info[4:8] if info[0] == 3 else info[4:6], "big")


def _place(
    version: int,
    sizes: tuple[int, int, int, int],
    number: int,
    method: int,
    reference: int,
    base: int,
    extents: list[list[int]],
) -> bytes:
    """One ``iloc`` entry; ``sizes`` are those of offset, length, base and index."""
    entry = number.to_bytes(2 if version < 2 else 4, "big")
    entry += method.to_bytes(2, "big") if version else b""
    entry += reference.to_bytes(2, "big") + base.to_bytes(sizes[2], "big")
    entry += len(extents).to_bytes(2, "big")
    for extent in extents:
        for value, size in zip(extent, (sizes[3], sizes[0], sizes[1]), strict=True):
            entry += value.to_bytes(size, "big")
    return entry


class _Numbers:
    """Consecutive big-endian numbers."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self.at = data, at

    def take(self, size: int) -> int:
        self.at += size
        return int.from_bytes(self._data[self.at - size : self.at], "big")
