"""EXIF data of a picture whose pixels have changed: outdated values are corrected in place.

Everything else stays in place, bit for bit, because maker notes contain offsets into the data.
Source: Exif 2.32 (CIPA DC-008), section 4.
"""

import io
import struct

from escsr.images._tiff_fields import EXIF_IFD, Field, TiffReader, Tree, read_tree, write_tree

_PREFIX = b"Exif\0\0"
_ORIENTATION = 0x0112
_WIDTHS, _HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)
_X, _Y, _UNIT = 0x011A, 0x011B, 0x0128
_THUMBNAIL_AT, _THUMBNAIL_LENGTH = 0x0201, 0x0202


def upright_exif(data: bytes) -> bytes:
    """EXIF data of a picture that was turned upright.

    Args:
        data: Data as stored in a file, with or without the leading mark ``Exif``.

    Returns:
        The data without the mark and without a thumbnail, with orientation 1.

    Raises:
        ValueError: If it is damaged.
    """
    made = bytearray(data.removeprefix(_PREFIX))
    reader = TiffReader(io.BytesIO(bytes(made)))
    top = reader.directory(reader.first)
    read_tree(reader, top)  # finds damage in lower directories now, not when they are written
    _set_number(made, reader, top.fields.get(_ORIENTATION), top.next_place, 1)
    if top.next:
        _remove_thumbnail(made, reader, top.next, top.next_place)
    return bytes(made)


def _remove_thumbnail(made: bytearray, reader: TiffReader, at: int, link: int) -> None:
    """Cut off the second directory and its picture, or blank them in place."""
    made[link : link + 4] = bytes(4)
    try:
        second = reader.directory(at)
    except ValueError:
        return  # nothing points to it any more
    spans = [(at, second.next_place + 4 - at)]
    spans += [(field.place, len(field.data)) for field in second.fields.values()]
    start, length = (
        (second.fields[tag].numbers(reader.order) or [0])[0] if tag in second.fields else 0
        for tag in (_THUMBNAIL_AT, _THUMBNAIL_LENGTH)
    )
    if start >= 8:
        spans.append((start, length))
    for place, size in spans:
        end = min(place + size, len(made))
        made[place:end] = bytes(max(end - place, 0))
    for place, size in sorted(spans, reverse=True):
        if size and len(made) - 1 <= place + size:  # a last odd byte may be padding
            del made[place:]


def sized_exif(data: bytes, size: tuple[int, int]) -> bytes:
    """EXIF data with its width and height tags, if any, set to ``size`` (H, W)."""
    made = bytearray(data)
    reader = TiffReader(io.BytesIO(data))
    top = reader.directory(reader.first)
    for directory in (top, reader.sub_directory(top, EXIF_IFD)):
        for tags, value in ((_HEIGHTS, size[0]), (_WIDTHS, size[1])):
            for tag in tags:
                if directory is not None and tag in directory.fields:
                    _set_number(made, reader, directory.fields[tag], directory.next_place, value)
    return bytes(made)


def _set_number(
    made: bytearray, reader: TiffReader, field: Field | None, end: int, value: int
) -> None:
    """Overwrite the single number of a field in the table that ends at ``end``."""
    if field is None or field.count != 1 or field.kind not in (3, 4) or field.place >= end:
        return
    kind = 3 if value < 65536 and field.kind == 3 else 4
    made[field.place - 6 : field.place - 4] = struct.pack(reader.order + "H", kind)
    packed = struct.pack(reader.order + ("H" if kind == 3 else "I"), value)
    made[field.place : field.place + len(packed)] = packed


def exif_dpi(data: bytes) -> tuple[float, float] | None:
    """Pixels per inch, horizontally and vertically, if the data has them."""
    reader = TiffReader(io.BytesIO(data))
    return fields_dpi(reader, dict(reader.directory(reader.first).fields))


def fields_dpi(reader: TiffReader, fields: dict[int, Field]) -> tuple[float, float] | None:
    """Pixels per inch from the fields of a first directory."""
    unit = fields[_UNIT].numbers(reader.order) if _UNIT in fields else [2]
    factor = {2: 1.0, 3: 2.54}.get(unit[0] if unit else 0)
    pairs = [fields[tag].numbers(reader.order) for tag in (_X, _Y) if tag in fields]
    if factor is None or len(pairs) < 2 or any(len(p) < 2 or 0 in p[:2] for p in pairs):
        return None
    x, y = (factor * pair[0] / pair[1] for pair in pairs)
    return x, y


def dpi_fields(dpi: tuple[float, float] | None, order: str) -> list[Field]:
    """The three resolution fields; without ``dpi`` they mean that it is unknown."""
    pairs = [struct.pack(order + "II", *_ratio(value)) for value in dpi or (1, 1)]
    unit = Field(_UNIT, 3, struct.pack(order + "H", 1 if dpi is None else 2))
    return [Field(_X, 5, pairs[0]), Field(_Y, 5, pairs[1]), unit]


def _ratio(value: float) -> tuple[int, int]:
    return (round(value), 1) if value == round(value) else (round(value * 10000), 10000)


def resolution_exif(dpi: tuple[float, float]) -> bytes:
    """EXIF data with only pixels per inch."""
    return b"II*\0\x08\0\0\0" + write_tree(dict.fromkeys(dpi_fields(dpi, "<")), 8, "<")


_OF_THE_FILE = {*range(254, 260), 262, 263, 266, 273, 274, *range(277, 285), 286, 287, 290, 291}
_OF_THE_FILE |= {292, 293, 296, 297, 301, 317, 318, 319, *range(320, 326), 330, 332, 333, 334}
_OF_THE_FILE |= {*range(336, 348), *range(512, 522), *range(529, 533), 700, 33723, 34377, 34675}
_OF_THE_FILE |= {37724, 50341}
GEO_FIELDS = {33550, 33922, 34264, 34735, 34736, 34737}
"""Fields of a GeoTIFF, which place its pixels on a map."""


def exif_of_tiff(reader: TiffReader) -> bytes | None:
    """EXIF data from the fields of a TIFF file that do not describe its pixel storage."""
    tree = read_tree(reader, reader.directory(reader.first))
    kept = without_fields_of_the_file(tree)
    if not kept:
        return None
    mark = b"II*\0\x08\0\0\0" if reader.order == "<" else b"MM\0*\0\0\0\x08"
    return mark + write_tree(kept, 8, reader.order)


def without_fields_of_the_file(tree: Tree) -> dict[Field, Tree | None]:
    """A tree without the fields on pixel storage and those kept outside EXIF."""
    left_out = _OF_THE_FILE | GEO_FIELDS
    return {field: below for field, below in tree.items() if field.tag not in left_out}
