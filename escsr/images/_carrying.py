"""Carrying metadata from one picture file to another."""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from escsr.images._avif import avif_with, heif_facts, is_heif
from escsr.images._display import Display, upright_xmp
from escsr.images._exif import exif_dpi, resolution_exif, upright_exif
from escsr.images._facts import Facts
from escsr.images._jpeg import is_jpeg, jpeg_facts, jpeg_with
from escsr.images._opencv import bmp_facts, is_bmp
from escsr.images._png import is_png, png_facts, png_with
from escsr.images._profiles import HDR_CODES, profile_of_codes
from escsr.images._source import PictureSource
from escsr.images._tiff import is_tiff, mend_tiff, tiff_facts, tiff_with
from escsr.images._webp import is_webp, webp_facts, webp_with

_READERS: tuple[tuple[Callable[[bytes], bool], Callable[[BinaryIO], Facts]], ...] = (
    (is_png, png_facts),
    (is_jpeg, jpeg_facts),
    (is_webp, webp_facts),
    (is_tiff, tiff_facts),
    (is_heif, heif_facts),
    (is_bmp, bmp_facts),
)


def read_display(
    source: PictureSource, *, gray: bool, fields: dict[str, Any], plain: bool = True
) -> tuple[Display, Facts]:
    """The metadata of a file, with notes on losses.

    Args:
        source: The file.
        gray: Whether the picture is gray.
        fields: The fields that libvips reports for the file.
        plain: Whether the pixel values are those of the file, not converted to sRGB.
    """
    facts = _facts_of(source)
    icc = fields.get("icc-profile-data") or facts.icc
    exif = _kept(facts, "EXIF", upright_exif, facts.exif or fields.get("exif-data"))
    xmp = facts.xmp or fields.get("xmp-data")
    icc = icc or facts.made_profile(gray=gray)
    if icc is not None and icc[16:20] != (b"GRAY" if gray else b"RGB ") and plain:
        facts.notes.append("its colour profile is for other pixels, left out")
        icc = None
    dpi = facts.dpi or (None if exif is None else _kept(facts, "resolution", exif_dpi, exif))
    display = Display(
        icc=icc if plain else None,
        cicp=facts.cicp if plain else None,
        dpi=dpi if dpi is None or max(dpi) < 4e5 else None,
        exif=exif,
        xmp=None if xmp is None else upright_xmp(xmp),
        iptc=facts.iptc,
    )
    return display, facts


def _facts_of(source: PictureSource) -> Facts:
    head = source.head(16)
    for matches, read in _READERS:
        if matches(head):
            with source.open() as file:
                try:
                    return read(file)
                except ValueError as error:
                    return Facts(notes=[f"its metadata is dropped: {error}"])
    return Facts()


def _kept(facts: Facts, name: str, of: Callable[[bytes], Any], data: bytes | None) -> Any:
    """``of(data)``, or None and a note if the data are damaged."""
    if data is None:
        return None
    try:
        return of(data)
    except ValueError as error:
        facts.notes.append(f"its {name} is damaged and left out: {error}")
        return None


def display_for(
    saver: str, display: Display, size: tuple[int, int], *, gray: bool
) -> tuple[Display, list[str]]:
    """The part of a display that a format can hold, and notes on the rest.

    Args:
        saver: libvips' name of the format's saver.
        display: Display of the picture.
        size: (H, W) of the picture.
        gray: Whether the picture is gray.
    """
    icc, cicp, dpi, exif, xmp, iptc = (
        getattr(display.sized(size), field.name) for field in dataclasses.fields(Display)
    )
    notes = []
    if cicp is not None and saver not in ("pngsave", "heifsave"):
        icc, note = _profile_for(cicp, icc, gray=gray)
        notes += note
        cicp = None
    if saver in ("webpsave", "heifsave"):
        if iptc is not None:
            notes.append("this format holds no IPTC; left out (XMP and EXIF are kept)")
            iptc = None
        if dpi is not None and exif is None:
            exif = resolution_exif(dpi)
        elif dpi is not None and exif_dpi(exif) is None:
            notes.append("this format stores resolution only in EXIF, which is missing; dropped")
    return Display(icc=icc, cicp=cicp, dpi=dpi, exif=exif, xmp=xmp, iptc=iptc), notes


def _profile_for(
    cicp: tuple[int, int, int, int], icc: bytes | None, *, gray: bool
) -> tuple[bytes | None, list[str]]:
    """A profile instead of code points, for formats that cannot hold them."""
    try:
        return profile_of_codes(*cicp[:2], gray=gray), []
    except ValueError:
        what = HDR_CODES.get(cicp[1])
        named = f"HDR ({what})" if what else f"that its colours are {cicp}"
        return icc, [
            f"this format cannot say {named}: other programs will show wrong colours; "
            "write PNG or AVIF"
        ]


def file_with(
    saver: str, data: bytes, display: Display, size: tuple[int, int], *, alpha: bool
) -> tuple[bytes, list[str]]:
    """Add a display from `display_for` to a file by libvips; also return what was left out."""
    if saver == "pngsave":
        return png_with(data, display), []
    if saver == "jpegsave":
        made, left_out = jpeg_with(data, display)
        return made, [f"JPEG cannot hold {what}; left out" for what in left_out]
    if saver == "webpsave":
        return webp_with(data, display, size, alpha=alpha), []
    if saver == "tiffsave":
        return tiff_with(data, display), []
    return avif_with(data, display), []


_HEAD = 16 << 20
"""Number of bytes of a PNG or JPEG in which the part before the pixels ends."""


def mend_file(
    path: Path, saver: str, display: Display, size: tuple[int, int], *, alpha: bool
) -> list[str]:
    """Do in a file on disk what `file_with` does in memory.

    Large files are only partly in memory at any time.

    Returns:
        The names of the parts left out.
    """
    with path.open("r+b") as file:
        if saver == "tiffsave":
            mend_tiff(file, display)
            return []
        head = file.read(_HEAD if saver in ("pngsave", "jpegsave") else -1)
        made, left_out = file_with(saver, head, display, size, alpha=alpha)
        replace_head(file, len(head), made)
    return left_out


def replace_head(file: BinaryIO, length: int, head: bytes, *, step: int = _HEAD) -> None:
    """Replace the first ``length`` bytes of a file with ``head``, and move the rest."""
    growth = len(head) - length
    end = file.seek(0, io.SEEK_END)
    places = list(range(length, end, step)) if growth else []
    for place in reversed(places) if growth > 0 else places:
        file.seek(place)
        part = file.read(min(step, end - place))
        file.seek(place + growth)
        file.write(part)
    file.seek(0)
    file.write(head)
    file.truncate(end + growth)
