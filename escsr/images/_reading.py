"""Reading picture files."""

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from escsr.images._avif import is_avif_sequence
from escsr.images._carrying import read_display
from escsr.images._colour import PLAIN_SPACES, to_plain_space
from escsr.images._display import Display
from escsr.images._netpbm import is_netpbm, netpbm_size, read_netpbm
from escsr.images._opencv import is_bmp, read_bmp
from escsr.images._picture import Array, Picture, to_uint8
from escsr.images._source import PictureSource
from escsr.images._tiff import is_8_bit_lab, is_tiff
from escsr.images._vips import libvips, reason

Origin = str | os.PathLike[str] | bytes | BinaryIO | PictureSource

# libvips also "loads" .csv, .svg, .pdf and raw dumps, which are not photos.
_LOADERS = (
    "jpeg",
    "png",
    "webp",
    "tiff",
    "heif",
    "gif",
    "jp2k",
    "jxl",
    "ppm",
    "magick",
    "radload",
    "uhdr",
)

# libvips' metadata fields, for formats without a reader of ours.
_CARRIED = ("icc-profile-data", "exif-data", "xmp-data")

# EXIF orientation -> operations that turn the stored pixels upright.
_UPRIGHT: dict[int, Callable[[Array], Array]] = {
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p[::-1].swapaxes(0, 1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: p[:, ::-1].swapaxes(0, 1),
}


def read_image(source: Origin) -> Picture:
    """Read a picture.

    The EXIF orientation is applied. CMYK, Lab and linear-light floats become sRGB. RGB and gray
    values are kept as stored, together with their colour profile; colours given as numbers (gAMA
    and cHRM of PNG, corners of BMP) become a profile. The bit depth is that of the file.
    Resolution, EXIF, XMP and IPTC are kept, without orientation and thumbnails. A warning reports
    anything that is lost, including further pages of an animation or multi-page file.

    Args:
        source: A path, ``bytes``, a file object opened for reading bytes, or a `PictureSource`.
            PNG, JPEG, WebP, TIFF, AVIF/HEIF, GIF, BMP or Netpbm (PBM, PGM, PPM, PAM), recognised
            by content, not by name.

    Returns:
        The picture.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it is a folder or cannot be read.
        ValueError: it is not a picture, is damaged or truncated, or has unsupported pixels.
        RuntimeError: this process was forked from one that had already used libvips.

    Example:
        >>> read_image("photo.jpg").size  # doctest: +SKIP
        (3024, 4032)
    """
    source = PictureSource(source)
    head = source.head(3)
    try:
        if is_bmp(head):
            return _described(source, read_bmp(source.contents()))
        if is_netpbm(head):
            samples, more = read_netpbm(source.contents())
            if more:
                warn_of(source, "only the first of its pictures is read")
            return _picture(samples, Display())
    except ValueError as error:
        raise ValueError(f"{source.name}: {error}") from None
    return _read_by_libvips(source)


def _read_by_libvips(source: PictureSource) -> Picture:
    image = _open(source)
    pages = _field(image, "n-pages", 1)
    turn = _field(image, "orientation", 1)
    fields = {name: image.get(name) for name in _CARRIED if image.get_typeof(name)}
    space = image.interpretation
    if space not in PLAIN_SPACES:
        warn_of(source, f"its colours ({space}) are converted to sRGB")
    try:
        image = to_plain_space(image, fields.get("icc-profile-data"))
        samples = image.numpy()
    except (libvips().Error, ValueError) as error:
        raise ValueError(f"{source.name}: {_reason(source, error)}") from None
    if pages > 1:
        warn_of(source, f"only the first of its {pages} pages is read")
    samples = upright(samples.reshape(image.height, image.width, image.bands), turn)
    return _described(source, samples, fields, plain=space in PLAIN_SPACES)


def _described(
    source: PictureSource,
    samples: Array,
    fields: dict[str, Any] | None = None,
    *,
    plain: bool = True,
) -> Picture:
    """Samples as a `Picture` with the metadata of its file; warnings report losses."""
    gray = samples.shape[2] < 3
    display, facts = read_display(source, gray=gray, fields=fields or {}, plain=plain)
    for note in facts.notes:
        warn_of(source, note)
    return _picture(samples, display, facts.jpeg_quality)


def open_by_libvips(source: PictureSource) -> Any | None:
    """The libvips image of a file, not decoded yet; None for files that are read otherwise."""
    head = source.head(3)
    return None if is_bmp(head) or is_netpbm(head) else _open(source)


def warn_of(source: PictureSource, text: str) -> None:
    """Warn at the line that called this package."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("escsr."):
        frame, level = frame.f_back, level + 1
    warnings.warn(f"{source.name}: {text}", stacklevel=level)


def _picture(samples: Array, display: Display, jpeg_quality: float | None = None) -> Picture:
    """(H, W, C) samples, gray or RGB, with or without alpha, as a `Picture`."""
    bands = samples.shape[2]
    gray = bands < 3
    return Picture(
        pixels=np.repeat(samples[..., :1], 3, axis=2) if gray else samples[..., :3].copy(),
        alpha=samples[..., -1].copy() if bands in (2, 4) else None,
        gray=gray,
        display=display,
        jpeg_quality=jpeg_quality,
    )


def upright(samples: Array, orientation: int) -> Array:
    """(H, W, C) samples turned by an EXIF orientation from 1 to 8; others are ignored."""
    if orientation not in _UPRIGHT:
        return samples
    return np.ascontiguousarray(_UPRIGHT[orientation](samples))


def image_size(source: Origin) -> tuple[int, int]:
    """Upright (H, W) of a picture, from its header alone if the format allows.

    Args:
        source: as for `read_image`, which also lists the errors; damage after the header may go
            unnoticed.
    """
    source = PictureSource(source)
    head = source.head(3)
    try:
        if is_bmp(head):
            height, width = read_bmp(source.contents()).shape[:2]
            return height, width
        if is_netpbm(head):
            return netpbm_size(source.contents())
    except ValueError as error:
        raise ValueError(f"{source.name}: {error}") from None
    image = _open(source)
    height, width = int(image.height), int(image.width)
    return (width, height) if _field(image, "orientation", 1) >= 5 else (height, width)


def is_gray_file(source: Origin) -> bool:
    """Whether a picture is stored without colour channels, from its header alone.

    Args:
        source: as for `read_image`, which also lists the errors.
    """
    source = PictureSource(source)
    head = source.head(3)
    if is_bmp(head) or is_netpbm(head):
        return read_image(source).gray
    return int(_open(source).bands) < 3


def read_rgb(source: Origin) -> npt.NDArray[np.uint8]:
    """Read a picture as 8-bit RGB for data sets, ignoring transparency and profile.

    Args:
        source: as for `read_image`, which also lists the errors.

    Returns:
        (H, W, 3) uint8; gray is repeated, 16 bits are rounded to 8.
    """
    return to_uint8(read_image(source).pixels)


def _open(source: PictureSource) -> Any:
    """The libvips image of a file: header read, pixels not decoded yet."""
    vips = libvips()
    try:
        # fail_on "truncated" accepts a cut TIFF, with black for missing pixels.
        image = vips.Image.new_from_source(
            _for_libvips(source), "", access="sequential", fail_on="error"
        )
    except vips.Error as error:
        raise ValueError(f"{source.name}: {_reason(source, error)}") from None
    loader = image.get("vips-loader")
    if not loader.startswith(_LOADERS):
        raise ValueError(
            f"{source.name}: not a picture made of pixels (libvips reads it by {loader})"
        )
    return image


def _for_libvips(source: PictureSource) -> Any:
    if is_avif_sequence(source.head(12)):
        # libvips looks at the first brand only, but the file still starts with a still picture.
        contents = source.contents()
        return libvips().Source.new_from_memory(contents[:8] + b"avif" + contents[12:])
    return source.for_libvips()


def _reason(source: PictureSource, error: Exception) -> str:
    if is_tiff(source.head(4)):
        with source.open() as file:
            if is_8_bit_lab(file):
                return (
                    "a TIFF of 8-bit CIE Lab colours, which cannot be read; save it as RGB, or "
                    "with 16 bits"
                )
    return reason(error)


def _field(image: Any, name: str, default: Any) -> Any:
    return image.get(name) if image.get_typeof(name) else default
