"""Picture files to arrays."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from escsr.images._opencv import is_for_opencv, read_by_opencv
from escsr.images._picture import Array, Picture, to_uint8
from escsr.images._vips import libvips, reason

# libvips also "loads" .csv, .svg, .pdf and raw dumps: none of them is a photo.
_LOADERS = ("jpeg", "png", "webp", "tiff", "heif", "gif", "jp2k", "jxl", "ppm", "magick", "radload")
_PLAIN_SPACES = {"b-w", "grey16", "srgb", "rgb", "rgb16", "multiband"}

# EXIF orientation -> what brings the stored pixels upright.
_UPRIGHT: dict[int, Callable[[Array], Array]] = {
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p[::-1].swapaxes(0, 1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: p[:, ::-1].swapaxes(0, 1),
}


def read_image(path: str | os.PathLike[str]) -> Picture:
    """Read a picture file.

    The EXIF orientation is applied. CMYK, Lab and linear-light floats become sRGB; RGB and gray
    numbers stay as stored, with their colour profile beside them. The bit depth is the file's. Of
    an animation or a multi-page file the first page is read, with a warning.

    Args:
        path: PNG, JPEG, WebP, TIFF, AVIF/HEIF, GIF, BMP or PPM, recognised by content, not by
            name.

    Returns:
        The picture.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it is a folder or may not be read.
        ValueError: it is no picture, is damaged or cut short, or holds pixels of another kind.
        RuntimeError: this process was forked from one that had already used libvips.

    Example:
        >>> read_image("photo.jpg").size  # doctest: +SKIP
        (3024, 4032)
    """
    path = Path(path)
    if is_for_opencv(path):
        return _picture(read_by_opencv(path), icc=None)
    image = _open(path)
    pages = _field(image, "n-pages", 1)
    turn = _field(image, "orientation", 1)
    space = image.interpretation
    if space not in _PLAIN_SPACES:
        warnings.warn(f"{path}: its colours ({space}) are converted to sRGB", stacklevel=2)
    try:
        image, icc = _to_plain_space(image, _field(image, "icc-profile-data", None))
        samples = image.numpy()
    except (libvips().Error, ValueError) as error:
        raise ValueError(f"{path}: {reason(error)}") from None
    if pages > 1:
        warnings.warn(f"{path}: only the first of its {pages} pages is read", stacklevel=2)
    samples = samples.reshape(image.height, image.width, image.bands)
    if turn in _UPRIGHT:
        samples = np.ascontiguousarray(_UPRIGHT[turn](samples))
    if icc is not None and icc[16:20] != (b"GRAY" if image.bands < 3 else b"RGB "):
        warnings.warn(f"{path}: its colour profile is for other pixels, left out", stacklevel=2)
        icc = None
    return _picture(samples, icc)


def _picture(samples: Array, icc: bytes | None) -> Picture:
    """(H, W, C) samples, gray or RGB, with or without alpha, as a `Picture`."""
    bands = samples.shape[2]
    gray = bands < 3
    return Picture(
        pixels=np.repeat(samples[..., :1], 3, axis=2) if gray else samples[..., :3].copy(),
        alpha=samples[..., -1].copy() if bands in (2, 4) else None,
        gray=gray,
        icc=icc,
    )


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Upright (H, W) of a picture file, from its header alone where the format allows.

    Args:
        path: as for `read_image`, which also lists the errors; damage behind the header passes.
    """
    path = Path(path)
    if is_for_opencv(path):
        height, width = read_by_opencv(path).shape[:2]
        return height, width
    image = _open(path)
    height, width = int(image.height), int(image.width)
    return (width, height) if _field(image, "orientation", 1) >= 5 else (height, width)


def read_rgb(path: str | os.PathLike[str]) -> npt.NDArray[np.uint8]:
    """Read a picture file as 8-bit RGB, for data sets: transparency and profile are left aside.

    Args:
        path: as for `read_image`, which also lists the errors.

    Returns:
        (H, W, 3) uint8; gray is repeated, 16 bits are rounded to 8.
    """
    return to_uint8(read_image(path).pixels)


def _open(path: Path) -> Any:
    """The libvips image of a file: header read, pixels to come."""
    with path.open("rb") as file:  # Python's own errors for a missing file, a folder, permissions
        if not file.read(1):
            raise ValueError(f"{path}: the file is empty")
    vips = libvips()
    try:
        # A source rather than a file name: never cached, and "[" in a name stays a character.
        source = vips.Source.new_from_file(str(path))
        # fail_on "truncated" lets a cut TIFF through, with black where pixels are missing.
        image = vips.Image.new_from_source(source, "", access="sequential", fail_on="error")
    except vips.Error as error:
        raise ValueError(f"{path}: {reason(error)}") from None
    loader = image.get("vips-loader")
    if not loader.startswith(_LOADERS):
        raise ValueError(f"{path}: not a picture made of pixels (libvips reads it by {loader})")
    return image


def _field(image: Any, name: str, default: Any) -> Any:
    return image.get(name) if image.get_typeof(name) else default


def _to_plain_space(image: Any, icc: bytes | None) -> tuple[Any, bytes | None]:
    """Bring a libvips image to 8- or 16-bit gray or RGB, with or without alpha."""
    if image.interpretation not in _PLAIN_SPACES:
        deep = image.format != "uchar"
        if image.interpretation == "cmyk" and icc is not None:
            image = image.icc_transform("srgb", embedded=True, depth=16 if deep else 8)
        else:
            image = image.colourspace("rgb16" if deep else "srgb")
        icc = None  # the numbers are sRGB now
    if image.format not in ("uchar", "ushort"):
        raise ValueError(f"its pixels are of type {image.format}; save it with 8 or 16 bits")
    if image.bands > 4:
        raise ValueError(f"it has {image.bands} channels; at most RGB and alpha can be read")
    return image, icc
