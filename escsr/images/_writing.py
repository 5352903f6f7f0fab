"""Arrays to picture files."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from escsr.files import replacing
from escsr.images._alpha import on_white
from escsr.images._picture import Picture, to_uint8
from escsr.images._vips import libvips, reason

_SAVERS = {
    ".png": "pngsave",
    ".jpg": "jpegsave",
    ".jpeg": "jpegsave",
    ".webp": "webpsave",
    ".tif": "tiffsave",
    ".tiff": "tiffsave",
    ".avif": "heifsave",
}
_DEEP = {"pngsave", "tiffsave"}  # savers that hold 16 bits; the bundled AVIF encoder writes 8


def write_image(
    path: str | os.PathLike[str],
    picture: Picture,
    *,
    quality: int = 95,
    lossless: bool = False,
) -> None:
    """Write a picture in the format that the file name's ending names.

    The file appears complete or not at all, and replaces one of the same name. Its colour profile
    goes with it. What a format cannot hold is given up with a warning: JPEG has no transparency
    (the picture is laid on white), and JPEG, WebP and AVIF keep 8 bits.

    Args:
        path: where to; see `writable_suffixes`. The folder must exist.
        picture: what to write.
        quality: 1 to 100 for JPEG (4:4:4), WebP and AVIF.
        lossless: exact pixels in WebP and AVIF too (PNG and TIFF always are).

    Raises:
        ValueError: an unknown ending, a quality out of range, or a side the format cannot hold.
        FileNotFoundError: the folder does not exist.
        OSError: it cannot be written there.

    Example:
        >>> write_image("out.png", Picture(pixels=np.zeros((4, 4, 3), np.uint8)))  # doctest: +SKIP
    """
    path = Path(path)
    vips = libvips()
    saver = _checked_saver(picture, path, quality)
    image = _encode_ready(picture, saver, path)
    try:
        with replacing(path, suffix=path.suffix.lower()) as temporary:
            options = _save_options(saver, quality, lossless)
            vips.Operation.call(saver, image, str(temporary), keep="icc", **options)
    except vips.Error as error:
        raise OSError(f"{path}: not written: {reason(error)}") from None


def encode_image(
    picture: Picture, suffix: str = ".png", *, quality: int = 95, lossless: bool = False
) -> bytes:
    """Encode a picture in memory, as `write_image` writes it.

    Args:
        picture: The picture.
        suffix: File name ending of the format; see `writable_suffixes`.
        quality: See `write_image`.
        lossless: See `write_image`.

    Returns:
        The contents of the file.

    Raises:
        TypeError: ``picture`` is no `Picture`.
        ValueError: an unknown ending, a quality out of range, or a side the format cannot hold.

    Example:
        >>> encode_image(Picture(pixels=np.zeros((4, 4, 3), np.uint8)), ".webp")[:4]
        b'RIFF'
    """
    name = Path(f"picture{suffix}")
    vips = libvips()
    saver = _checked_saver(picture, name, quality)
    image = _encode_ready(picture, saver, name)
    options = _save_options(saver, quality, lossless)
    try:
        data = vips.Operation.call(f"{saver}_buffer", image, keep="icc", **options)
    except vips.Error as error:
        raise ValueError(f"cannot be encoded as {suffix}: {reason(error)}") from None
    return bytes(data)


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


def _checked_saver(picture: Picture, path: Path, quality: int) -> str:
    if not isinstance(picture, Picture):
        raise TypeError(
            f"write_image takes a Picture, not {type(picture).__name__}; "
            "wrap an array: Picture(pixels=array)"
        )
    if path.suffix.lower() not in writable_suffixes():
        raise ValueError(
            f"{path}: cannot write {path.suffix or 'a file without an ending'}; "
            f"allowed: {', '.join(writable_suffixes())}"
        )
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1 to 100, got {quality}")
    return _SAVERS[path.suffix.lower()]


def writable_suffixes() -> tuple[str, ...]:
    """File name endings that `write_image` takes on this machine, in lower case."""
    vips = libvips()
    return tuple(end for end, saver in _SAVERS.items() if vips.type_find("VipsOperation", saver))


def _encode_ready(picture: Picture, saver: str, path: Path) -> Any:
    """A libvips image holding what the format can hold; warns about the rest."""
    pixels, alpha = picture.pixels, picture.alpha
    if alpha is not None and saver == "jpegsave":
        warnings.warn(f"{path}: JPEG has no transparency; laid on white", stacklevel=3)
        pixels, alpha = on_white(pixels, alpha), None
    if picture.depth == 16 and saver not in _DEEP:
        warnings.warn(f"{path}: this format keeps 8 of the 16 bits; use PNG or TIFF", stacklevel=3)
        pixels, alpha = to_uint8(pixels), None if alpha is None else to_uint8(alpha)
    samples = pixels[..., 1:2] if picture.gray else pixels
    if alpha is not None:
        samples = np.concatenate([samples, alpha[..., None]], axis=2)
    vips = libvips()
    deep = samples.dtype == np.uint16
    space = ("grey16" if deep else "b-w") if picture.gray else ("rgb16" if deep else "srgb")
    image = vips.Image.new_from_array(np.ascontiguousarray(samples)).copy(interpretation=space)
    if picture.icc is not None:
        image.set_type(vips.GValue.blob_type, "icc-profile-data", picture.icc)
    return image


def _save_options(saver: str, quality: int, lossless: bool) -> dict[str, Any]:
    options: dict[str, dict[str, Any]] = {
        "pngsave": {"compression": 6},
        "jpegsave": {"Q": quality, "subsample_mode": "off", "optimize_coding": True},
        "webpsave": {"Q": quality, "lossless": lossless, "exact": True},
        "tiffsave": {"compression": "deflate", "predictor": "horizontal"},
        "heifsave": {
            "Q": quality,
            "lossless": lossless,
            "compression": "av1",
            "subsample_mode": "off",
            "bitdepth": 8,
        },
    }
    return options[saver]
