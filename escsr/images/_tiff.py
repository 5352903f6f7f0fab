"""Directories of TIFF files."""

import io
import struct
from typing import BinaryIO

from escsr.images._display import Display
from escsr.images._exif import (
    GEO_FIELDS,
    dpi_fields,
    exif_of_tiff,
    fields_dpi,
    without_fields_of_the_file,
)
from escsr.images._facts import Facts, iptc_of_resources
from escsr.images._tiff_fields import (
    Field,
    TiffReader,
    Tree,
    merged,
    read_tree,
    tree_in_order,
    write_tree,
)

_XMP, _IPTC, _PHOTOSHOP = 700, 33723, 34377
_ORIENTATION, _RESOLUTION = 274, (282, 283, 296)
_PHOTOMETRIC, _BITS, _LAB = 262, 258, (8, 9, 10)


def is_tiff(head: bytes) -> bool:
    """Whether these first bytes are those of a TIFF file."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def tiff_facts(file: BinaryIO) -> Facts:
    """The metadata in the first directory of a file.

    Raises:
        ValueError: If it is damaged.
    """
    facts = Facts()
    reader = TiffReader(file)
    fields = dict(reader.directory(reader.first).fields)
    facts.dpi = fields_dpi(reader, fields)
    if facts.dpi is None and all(tag in fields for tag in _RESOLUTION[:2]):
        x, y = (fields[tag].numbers(reader.order) for tag in _RESOLUTION[:2])
        if x[1:] and y[1:]:
            facts.say_pixel_shape(x[0] * y[1], y[0] * x[1])
    if _XMP in fields:
        facts.xmp = fields[_XMP].data
    if _IPTC in fields:
        # Some programs wrote the records as 32-bit numbers, in the byte order of the file.
        facts.iptc = fields[_IPTC].in_order(reader.order, ">").data
        if fields[_IPTC].data[:1] == b"\x1c":
            facts.iptc = fields[_IPTC].data
    elif _PHOTOSHOP in fields:
        facts.iptc = iptc_of_resources(fields[_PHOTOSHOP].data)
    if GEO_FIELDS & fields.keys():
        facts.notes.append("its place on a map (GeoTIFF) is left out")
    facts.exif = exif_of_tiff(reader)
    return facts


def is_8_bit_lab(file: BinaryIO) -> bool:
    """Whether a TIFF has 8-bit CIE L*a*b* pixels."""
    try:
        reader = TiffReader(file)
        fields = reader.directory(reader.first).fields
    except ValueError:
        return False
    numbers = {
        tag: fields[tag].numbers(reader.order) for tag in (_PHOTOMETRIC, _BITS) if tag in fields
    }
    return numbers.get(_PHOTOMETRIC, [0])[0] in _LAB and set(numbers.get(_BITS, [0])) == {8}


def tiff_with(data: bytes, display: Display) -> bytes:
    """A file with metadata added; see `mend_tiff`."""
    file = io.BytesIO(data)
    mend_tiff(file, display)
    return file.getvalue()


def mend_tiff(file: BinaryIO, display: Display) -> None:
    """Append metadata to a file; an existing resolution is replaced.

    Args:
        file: File as written by libvips, open for reading and writing, perhaps with a profile and
            smaller versions in further directories.
        display: Metadata to add; the profile is in the file already.
    """
    reader = TiffReader(file)
    order = reader.order
    old = reader.directory(reader.first)
    own = [field for tag, field in old.fields.items() if tag not in (*_RESOLUTION, _ORIENTATION)]
    own += dpi_fields(display.dpi, order)
    if display.xmp is not None:
        own.append(Field(_XMP, 1, display.xmp))
    if display.iptc is not None:
        own.append(Field(_IPTC, 7, display.iptc))
    added: Tree = {}
    if display.exif is not None:
        exif = TiffReader(io.BytesIO(display.exif))
        added = read_tree(exif, exif.directory(exif.first))
        added = tree_in_order(without_fields_of_the_file(added), exif.order, order)
    end = file.seek(0, io.SEEK_END)
    file.write(bytes(end % 2))
    end += end % 2
    tree = merged(own, added)
    file.write(write_tree(tree, end, order, big=reader.big, link=old.next))
    file.seek(8 if reader.big else 4)
    file.write(struct.pack(order + ("Q" if reader.big else "I"), end))
