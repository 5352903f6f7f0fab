"""Writing picture files."""

import dataclasses
import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np

from escsr.files import replacing, write_bytes
from escsr.images._alpha import on_white
from escsr.images._carrying import display_for, file_with, mend_file
from escsr.images._display import Display
from escsr.images._picture import Picture, to_uint8
from escsr.images._pixel_file import PixelFile, as_libvips
from escsr.images._vips import libvips, reason
from escsr.images.saving import SaveArguments, SaveOptions


class Format(NamedTuple):
    """A kind of file that can be written.

    Attributes:
        name: Name of the format.
        saver: libvips' function for it.
        depth: Greatest bit depth.
        side: Greatest side in pixels.
        gray: Whether it supports pictures of one channel.
    """

    name: str
    saver: str
    depth: int
    side: int
    gray: bool


_JPEG = Format("JPEG", "jpegsave", 8, 65500, True)
_TIFF = Format("TIFF", "tiffsave", 16, 2**31 - 1, True)
_FORMATS = {
    ".png": Format("PNG", "pngsave", 16, 2**31 - 1, True),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": Format("WebP", "webpsave", 8, 16383, False),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".avif": Format("AVIF", "heifsave", 12, 16384, False),
}
_BIG_TIFF = 3 << 30
"""Bytes of pixels from which a TIFF gets 64-bit offsets."""


def write_image(
    path: str | os.PathLike[str], picture: Picture, **options: Unpack[SaveArguments]
) -> None:
    """Write a picture in the format given by the ending of the file name.

    The file appears complete or not at all, and replaces one of the same name. The picture's
    metadata (`Display`) is written too, with sizes corrected. A warning reports what the format
    cannot hold: JPEG has no transparency (the picture is put on white), JPEG and WebP keep 8 bits
    and AVIF 12, WebP and AVIF hold no IPTC.

    Args:
        path: the file; see `writable_suffixes`. Its folder must exist.
        picture: the picture to write.
        **options: fields of `SaveOptions`: `quality`, `lossless`, `chroma`, `compression`,
            `strip_metadata` and `pyramid`.

    Raises:
        ValueError: an unknown ending, a side the format cannot hold, or an option out of range.
        FileNotFoundError: the folder does not exist.
        OSError: the file cannot be written.

    Example:
        >>> write_image("out.png", Picture(pixels=np.zeros((4, 4, 3), np.uint8)))  # doctest: +SKIP
    """
    path = Path(path)
    data, notes = _encoded(picture, path, SaveOptions(**options))
    write_bytes(path, data)
    for note in notes:
        warnings.warn(f"{path}: {note}", stacklevel=2)


def write_pixels(
    path: str | os.PathLike[str], pixels: PixelFile, **options: Unpack[SaveArguments]
) -> None:
    """Write a picture whose pixels are in a file, without loading it into memory.

    Works like `write_image`.

    Args:
        path: The file to write.
        pixels: The picture to write.
        **options: See `SaveOptions`.

    Raises:
        ValueError: See `write_image`.
        OSError: See `write_image`.
    """
    path, saving = Path(path), SaveOptions(**options)
    check_writable(path, pixels.size)
    kind = _format_of(path)
    wanted = pixels.display.stripped() if saving.strip_metadata else pixels.display
    display, notes = display_for(kind.saver, wanted, pixels.size, gray=pixels.gray)
    image = as_libvips(pixels)
    if kind.depth == 8 and pixels.depth == 16:
        notes.append("this format keeps 8 of the 16 bits; use PNG or TIFF")
        image = (
            ((image + 128) // 257)
            .cast("uchar")
            .copy(interpretation="b-w" if pixels.gray else "srgb")
        )
    length = pixels.size[0] * pixels.size[1] * pixels.channels * pixels.depth // 8
    image = _with_profile(image, display)
    arguments = saving.arguments(kind.saver)
    if kind.saver == "heifsave":
        arguments["bitdepth"] = min(pixels.depth, kind.depth)
    if kind.saver == "tiffsave":
        arguments["bigtiff"] = length > _BIG_TIFF
    with replacing(path, suffix=path.suffix) as temporary:
        try:
            libvips().Operation.call(kind.saver, image, str(temporary), keep="icc", **arguments)
        except libvips().Error as error:
            raise ValueError(f"{path}: cannot be written as {kind.name}: {reason(error)}") from None
        notes += mend_file(temporary, kind.saver, display, pixels.size, alpha=False)
    for note in notes:
        warnings.warn(f"{path}: {note}", stacklevel=2)


def _with_profile(image: Any, display: Display) -> Any:
    image = image.copy()
    if display.icc is not None:
        image.set_type(libvips().GValue.blob_type, "icc-profile-data", display.icc)
    return image


def encode_image(picture: Picture, suffix: str = ".png", **options: Unpack[SaveArguments]) -> bytes:
    """Encode a picture in memory, as `write_image` writes it.

    Args:
        picture: The picture.
        suffix: File name ending of the format; see `writable_suffixes`.
        **options: See `SaveOptions`.

    Returns:
        The contents of the file.

    Raises:
        TypeError: ``picture`` is not a `Picture`.
        ValueError: an unknown ending, a side the format cannot hold, or an option out of range.

    Example:
        >>> encode_image(Picture(pixels=np.zeros((4, 4, 3), np.uint8)), ".webp")[:4]
        b'RIFF'
    """
    data, notes = _encoded(picture, Path(f"picture{suffix}"), SaveOptions(**options))
    for note in notes:
        warnings.warn(f"{suffix}: {note}", stacklevel=2)
    return data


def suffix_of(head: bytes) -> str:
    """The file name ending of an encoded picture's own format; ".png" if that cannot be written.

    Args:
        head: The first 16 bytes, or more.

    Example:
        >>> suffix_of(b"GIF89a" + bytes(10))
        '.png'
    """
    if head.startswith(b"\xff\xd8\xff"):
        return ".jpg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return ".tif"
    if head[4:12] in (b"ftypavif", b"ftypavis") and ".avif" in writable_suffixes():
        return ".avif"
    return ".png"


def writable_suffixes() -> tuple[str, ...]:
    """File name endings that `write_image` supports on this machine, in lower case."""
    vips = libvips()
    return tuple(e for e, kind in _FORMATS.items() if vips.type_find("VipsOperation", kind.saver))


def check_writable(path: str | os.PathLike[str], size: tuple[int, int]) -> None:
    """Refuse a picture that the file's format cannot hold, before it is computed.

    Args:
        path: The file to be written.
        size: (H, W) of the picture.

    Raises:
        ValueError: an unknown ending, or a side the format cannot hold.

    Example:
        >>> check_writable("a.png", (100, 20000))
    """
    kind = _format_of(Path(path))
    if max(size) > kind.side:
        height, width = size
        others = [f.name for f in dict.fromkeys(_FORMATS.values()) if f.side >= max(size)]
        raise ValueError(
            f"{path}: {kind.name} holds sides of at most {kind.side} pixels, and the picture is "
            f"{width}×{height}; write {' or '.join(others) or 'a smaller one'}"
        )


def _format_of(path: Path) -> Format:
    if path.suffix.lower() not in writable_suffixes():
        raise ValueError(
            f"{path}: cannot write {path.suffix or 'a file without an ending'}; "
            f"allowed: {', '.join(writable_suffixes())}"
        )
    return _FORMATS[path.suffix.lower()]


def _encoded(picture: Picture, path: Path, options: SaveOptions) -> tuple[bytes, list[str]]:
    """A file's contents, and notes on what it cannot hold."""
    if not isinstance(picture, Picture):
        raise TypeError(
            f"write_image takes a Picture, not {type(picture).__name__}; "
            "wrap an array: Picture(pixels=array)"
        )
    check_writable(path, picture.size)
    kind = _format_of(path)
    picture, notes = _fitted(picture, kind)
    wanted = picture.display.stripped() if options.strip_metadata else picture.display
    display, more = display_for(kind.saver, wanted, picture.size, gray=picture.gray)
    image = _libvips_image(picture, kind, display)
    arguments = options.arguments(kind.saver) | _depending(kind, picture)
    try:
        data = libvips().Operation.call(f"{kind.saver}_buffer", image, keep="icc", **arguments)
    except libvips().Error as error:
        raise ValueError(f"{path}: cannot be encoded as {kind.name}: {reason(error)}") from None
    alpha = picture.alpha is not None
    data, left_out = file_with(kind.saver, bytes(data), display, picture.size, alpha=alpha)
    return data, notes + more + left_out


def _depending(kind: Format, picture: Picture) -> dict[str, Any]:
    """Arguments that follow from the picture."""
    if kind.saver == "heifsave":
        return {"bitdepth": min(picture.depth, kind.depth)}
    channels = 1 if picture.gray else 3
    length = picture.pixels.nbytes * channels // 3
    if picture.alpha is not None:
        length += picture.alpha.nbytes
    return {"bigtiff": True} if kind.saver == "tiffsave" and length > _BIG_TIFF else {}


def _fitted(picture: Picture, kind: Format) -> tuple[Picture, list[str]]:
    """A picture reduced to what a format can hold, and notes on losses."""
    notes = []
    if picture.alpha is not None and kind.name == "JPEG":
        notes.append("JPEG has no transparency; laid on white")
        pixels = on_white(picture.pixels, picture.alpha)
        picture = dataclasses.replace(picture, pixels=pixels, alpha=None)
    if picture.depth > kind.depth:
        notes.append(f"this format keeps {kind.depth} of the 16 bits; use PNG or TIFF")
    if picture.depth > kind.depth == 8:
        alpha = None if picture.alpha is None else to_uint8(picture.alpha)
        picture = dataclasses.replace(picture, pixels=to_uint8(picture.pixels), alpha=alpha)
    return picture, notes


def _libvips_image(picture: Picture, kind: Format, display: Display) -> Any:
    """A libvips image with its profile; gray becomes RGB if the format has no gray."""
    vips = libvips()
    samples = picture.pixels[..., 1:2] if picture.gray else picture.pixels
    if picture.alpha is not None:
        samples = np.concatenate([samples, picture.alpha[..., None]], axis=2)
    deep = samples.dtype == np.uint16
    space = ("grey16" if deep else "b-w") if picture.gray else ("rgb16" if deep else "srgb")
    image = vips.Image.new_from_array(np.ascontiguousarray(samples)).copy(interpretation=space)
    if display.icc is not None:
        image.set_type(vips.GValue.blob_type, "icc-profile-data", display.icc)
    if picture.gray and not kind.gray and display.icc is not None:
        image = image.icc_transform("srgb", embedded=True, depth=8 * samples.dtype.itemsize)
        image = image.copy()
        image.remove("icc-profile-data")
    return image
