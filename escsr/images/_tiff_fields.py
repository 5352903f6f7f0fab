"""Reading and writing the fields of TIFF files, which EXIF uses too.

Source: TIFF 6.0 (Adobe, 1992), section 2; BigTIFF (https://www.awaresystems.be/imaging/tiff/bigtiff).
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
# Components of values whose bytes depend on the byte order.
_WORDS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_LONGEST = 64 << 20  # bytes of one value; a larger claim means damage

_DEEPEST = 3  # interoperability in EXIF in the top directory, plus one

EXIF_IFD, GPS_IFD, INTEROP_IFD = 34665, 34853, 40965
SUB_IFDS = (EXIF_IFD, GPS_IFD, INTEROP_IFD)
"""Fields that point to a directory that belongs to EXIF."""


@dataclass(frozen=True)
class Field:
    """One entry of a directory.

    Attributes:
        tag: Its TIFF tag.
        kind: The TIFF number of its value type.
        data: Its values, in the byte order of the file that it was read from.
        place: Offset of its values in that file; 0 for a new field.
    """

    tag: int
    kind: int
    data: bytes
    place: int = 0

    @property
    def count(self) -> int:
        """Number of values."""
        return len(self.data) // _SIZES[self.kind]

    def numbers(self, order: str) -> list[int]:
        """Values of an unsigned integer type; a fraction as numerator and denominator."""
        letter = {1: "B", 3: "H", 4: "I", 5: "I", 13: "I", 16: "Q", 18: "Q"}.get(self.kind)
        if letter is None:
            return []
        step = struct.calcsize(letter)
        return list(struct.unpack(f"{order}{len(self.data) // step}{letter}", self.data))

    def in_order(self, old: str, new: str) -> "Field":
        """The field for a file of another byte order."""
        width = _WORDS.get(self.kind, 1)
        if old == new or width == 1:
            return self
        words = [self.data[i : i + width][::-1] for i in range(0, len(self.data), width)]
        return Field(self.tag, self.kind, b"".join(words))


@dataclass(frozen=True)
class Directory:
    """A directory of fields (an IFD).

    Attributes:
        fields: Fields by tag.
        next: Offset of the next directory; 0 if this is the last.
        next_place: Where in the file ``next`` is stored.
    """

    fields: Mapping[int, Field]
    next: int
    next_place: int


class TiffReader:
    """Directories of a TIFF file, of a BigTIFF, or of EXIF data.

    Args:
        file: Opened for reading bytes, seekable.

    Attributes:
        order: ``"<"`` or ``">"``, as in `struct`.
        big: Whether it is a BigTIFF.
        first: Offset of its first directory.

    Raises:
        ValueError: If it is not a TIFF or is damaged; also from `directory`.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        head = self._take(0, 8)
        orders = {b"II": "<", b"MM": ">"}
        if head[:2] not in orders:
            raise ValueError("its fields do not start like a TIFF")
        self.order = orders[head[:2]]
        version = self._integer(head[2:4])
        if version not in (42, 43):
            raise ValueError(f"its fields are of a TIFF of version {version}")
        self.big = version == 43
        self.first = self._integer(self._take(8, 8)) if self.big else self._integer(head[4:])

    def directory(self, at: int) -> Directory:
        """The directory at an offset."""
        count_size, entry, pointer = (8, 20, 8) if self.big else (2, 12, 4)
        count = self._integer(self._take(at, count_size))
        if count > 4096:
            raise ValueError(f"it claims {count} fields")
        table = self._take(at + count_size, count * entry + pointer)
        fields = {}
        for number in range(count):
            field = self._field(
                table[number * entry : (number + 1) * entry],
                at + count_size + number * entry,
            )
            if field is not None:
                fields[field.tag] = field
        end = count * entry
        return Directory(fields, self._integer(table[end:]), at + count_size + end)

    def sub_directory(self, parent: Directory, tag: int) -> Directory | None:
        """The directory that a field points to, if there is such a field."""
        field = parent.fields.get(tag)
        numbers = [] if field is None else field.numbers(self.order)
        return self.directory(numbers[0]) if numbers else None

    def _field(self, entry: bytes, at: int) -> Field | None:
        tag, kind = self._integer(entry[:2]), self._integer(entry[2:4])
        if kind not in _SIZES:
            return None  # readers must skip unknown types
        inline = 8 if self.big else 4
        length = self._integer(entry[4:-inline]) * _SIZES[kind]
        if length <= inline:
            return Field(tag, kind, entry[-inline:][:length], at + len(entry) - inline)
        place = self._integer(entry[-inline:])
        return Field(tag, kind, self._take(place, length), place)

    def _integer(self, data: bytes) -> int:
        return int.from_bytes(data, "little" if self.order == "<" else "big")

    def _take(self, at: int, count: int) -> bytes:
        if count > _LONGEST:
            raise ValueError("one of its fields claims to be longer than 64 MiB")
        self._file.seek(at)
        data = self._file.read(count)
        if len(data) < count:
            raise ValueError("its fields are truncated")
        return data


Tree = Mapping[Field, "Tree | None"]
"""The fields of a directory; a field that points to another one comes with its fields."""


def read_tree(
    reader: TiffReader, directory: Directory, *, depth: int = 0
) -> dict[Field, "Tree | None"]:
    """A directory with the EXIF directories below it.

    Raises:
        ValueError: If one of them is damaged, or they are nested without end.
    """
    if depth > _DEEPEST:
        raise ValueError("its directories lie in each other without end")
    tree: dict[Field, Tree | None] = {}
    for tag, field in sorted(directory.fields.items()):
        if tag not in SUB_IFDS:
            tree[field] = None
            continue
        below = reader.sub_directory(directory, tag)
        if below is not None:
            tree[Field(tag, 4, b"")] = read_tree(reader, below, depth=depth + 1)
    return tree


def tree_in_order(tree: Tree, old: str, new: str) -> dict[Field, "Tree | None"]:
    """The tree for a file of another byte order."""
    return {
        field.in_order(old, new): None if below is None else tree_in_order(below, old, new)
        for field, below in tree.items()
    }


def write_tree(tree: Tree, at: int, order: str, *, big: bool = False, link: int = 0) -> bytes:
    """Directories as bytes.

    Args:
        tree: Their fields, in byte order ``order``.
        at: Offset of the bytes in the file, even.
        order: ``"<"`` or ``">"``.
        big: Whether the file is a BigTIFF.
        link: Offset of the next directory.

    Returns:
        The table of the top directory, its values, and the directories below.
    """
    word = "Q" if big else "I"
    inline = struct.calcsize(word)
    fields = sorted(tree, key=lambda field: field.tag)
    table_size = (8 if big else 2) + len(fields) * (4 + 2 * inline) + inline
    table = [struct.pack(order + ("Q" if big else "H"), len(fields))]
    behind = bytearray(table_size % 2)
    for field in fields:
        place = at + table_size + len(behind)
        below, count, value = tree[field], field.count, field.data
        if below is not None:
            behind += _even(write_tree(below, place, order, big=big))
            count, value = 1, struct.pack(order + _pointer(field.kind), place)
        elif len(value) > inline:
            behind += _even(value)
            value = struct.pack(order + word, place)
        table.append(struct.pack(f"{order}HH{word}", field.tag, field.kind, count))
        table.append(value.ljust(inline, b"\0"))
    table.append(struct.pack(order + word, link))
    return b"".join(table) + bytes(behind)


def _pointer(kind: int) -> str:
    return "Q" if kind in (16, 18) else "I"


def _even(data: bytes) -> bytes:
    return data + bytes(len(data) % 2)


def merged(fields: Sequence[Field], tree: Tree) -> dict[Field, Tree | None]:
    """Fields, plus those of a tree with other tags."""
    taken = {field.tag for field in fields}
    top: dict[Field, Tree | None] = dict.fromkeys(fields)
    return top | {field: below for field, below in tree.items() if field.tag not in taken}
