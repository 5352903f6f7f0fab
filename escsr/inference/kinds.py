"""Conversion between `Picture` and the other kinds of picture that `upscale` accepts."""

import dataclasses
import os
import warnings
from contextlib import suppress
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from escsr.images import (
    Display,
    Picture,
    PictureSource,
    cmyk_to_rgb,
    encode_image,
    read_image,
    suffix_of,
    upright,
)
from escsr.images.jpeg_tables import quality_of
from escsr.pixels import to_levels

_ROUNDING = 1e-6
"""How far floats may lie outside [0, 1]: the rounding error of float32 arithmetic."""

_AS_RGB = {"YCbCr", "HSV", "RGBX"}
"""PIL modes that encode RGB in another way."""

_DEEP = {"I;16": "<u2", "I;16L": "<u2", "I;16B": ">u2", "I;16N": "=u2"}
"""PIL modes of 16-bit gray, and NumPy's names of their dtypes."""


def to_picture(image: object) -> Picture:
    """Turn a path, bytes, a file object, an array, a PIL image or a `Picture` into a `Picture`.

    Raises:
        TypeError: If it is none of these.
        ValueError: If its shape, dtype or range is not that of a picture.
    """
    if isinstance(image, Picture):
        return image
    if isinstance(image, str | bytes | os.PathLike | PictureSource) or hasattr(image, "read"):
        return read_image(cast("Any", image))
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if type(image).__module__.startswith("PIL."):
        return _from_pil(image)
    raise TypeError(
        f"cannot upscale a {type(image).__name__}: give a path, bytes, a file object, a NumPy "
        "array, a PIL image, a PyTorch tensor or an escsr.images.Picture"
    )


def like(original: object, picture: Picture) -> object:
    """Turn the result into the kind of the input.

    Bytes are returned encoded, in their own format if it can be written, otherwise as PNG.
    """
    if isinstance(original, np.ndarray):
        return _to_array(picture, original)
    if isinstance(original, bytes | bytearray | memoryview):
        return encode_image(picture, suffix_of(bytes(original[:32])))
    if type(original).__module__.startswith("PIL."):
        return _to_pil(picture, original)
    return picture


def check_tensor(image: Tensor) -> Tensor:
    """A tensor as a batch (B, 3, H, W) of its own dtype, checked.

    Raises:
        ValueError: If its shape, number type or range cannot be a picture's, or it is empty.
    """
    shape = tuple(image.shape)
    if image.dtype == torch.bool:
        raise ValueError(
            "a tensor of booleans is a mask, not a picture; to make it black and white: "
            "mask.float()"
        )
    if not image.is_floating_point():
        raise ValueError(
            f"a tensor must be floating point in [0, 1], not {image.dtype}; of 8 bits: "
            "tensor.float() / 255"
        )
    if image.ndim not in (3, 4) or shape[-3] != 3:
        hint = "; channels come first: tensor.movedim(-1, -3)" if shape[-1:] == (3,) else ""
        raise ValueError(f"a tensor must be (3, H, W) or (B, 3, H, W), not {shape}{hint}")
    if image.numel() == 0:
        what = "an empty batch" if shape[0] == 0 else "an empty picture"
        raise ValueError(f"{what}: the tensor is {shape}, and there is nothing to upscale")
    _check_range("a tensor", float(image.min()), float(image.max()), bool(image.isnan().any()))
    return image.detach().reshape(-1, *shape[-3:]).clamp(0, 1)


def as_picture(tensor: Tensor) -> Picture:
    """(3, H, W), floating point in [0, 1], as a picture of 8 bits."""
    samples = to_levels(tensor.movedim(0, -1).float().cpu().numpy())
    return Picture(pixels=samples)


def _check_range(what: str, least: float, most: float, nan: bool) -> None:
    """Refuse floats that are not a picture in [0, 1], with advice."""
    if nan or not np.isfinite([least, most]).all():
        raise ValueError(
            f"{what} holds NaN or infinity; a picture must be finite numbers in [0, 1]"
        )
    if least >= -_ROUNDING and most <= 1 + _ROUNDING:
        return
    if least >= 0 and 2 < most <= 65535:
        help_ = f"divide it by {255 if most <= 255 else 65535}"
    else:
        help_ = "clip it to [0, 1], or bring its black to 0 and its white to 1"
    raise ValueError(f"{what} must lie in [0, 1], not in [{least:.7g}, {most:.7g}]: {help_}")


def _from_array(image: NDArray[Any]) -> Picture:
    if image.dtype == bool:
        raise ValueError(
            "an array of booleans is a mask, not a picture; to make it black and white: "
            "mask.astype('uint8') * 255"
        )
    _check_shape(image)
    if image.dtype.kind == "f":
        least, most = float(image.min()), float(image.max())
        _check_range("a floating-point array", least, most, bool(np.isnan(image).any()))
        # 16 bits internally: finer than any display; converted back to floats afterwards.
        image = to_levels(image.astype(np.float64), depth=16)
    if image.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise ValueError(
            "an array must be uint8, uint16 or floating point in [0, 1], not "
            f"{image.dtype}; if white is 255: array.astype('uint8')"
        )
    return _from_samples(np.atleast_3d(image))


def _check_shape(image: NDArray[Any]) -> None:
    if image.size == 0:
        raise ValueError(f"an empty picture: the array is {image.shape}")
    if image.ndim in (2, 3) and (image.ndim == 2 or image.shape[2] in (1, 2, 3, 4)):
        return
    hint = ""
    if image.ndim == 3 and image.shape[0] in (1, 3, 4):
        hint = "; channels come last: array.transpose(1, 2, 0)"
    if image.ndim == 4:
        hint = "; of a batch, one after another, or a tensor (B, 3, H, W)"
    raise ValueError(
        "an array must be (H, W), or (H, W, C) with C 1 (gray), 2 (gray and alpha), 3 (RGB) or 4 "
        f"(RGB and alpha), not {image.shape}{hint}"
    )


def _from_samples(samples: NDArray[Any], display: Display | None = None) -> Picture:
    """Turn (H, W, 1 to 4) unsigned integers of any byte order into a `Picture`."""
    native = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    bands = native.shape[2]
    gray = bands < 3
    return Picture(
        pixels=np.repeat(native[..., :1], 3, axis=2) if gray else native[..., :3].copy(),
        alpha=native[..., -1].copy() if bands in (2, 4) else None,
        gray=gray,
        display=display or Display(),
    )


def _to_samples(picture: Picture) -> NDArray[Any]:
    """(H, W), or (H, W, 2 to 4)."""
    pixels = picture.pixels[..., 0] if picture.gray else picture.pixels
    return pixels if picture.alpha is None else np.dstack([pixels, picture.alpha])


def _to_array(picture: Picture, original: NDArray[Any]) -> NDArray[Any]:
    samples = _to_samples(picture)
    if original.ndim == 3:
        samples = np.atleast_3d(samples)
    if original.dtype.kind == "f":
        return (samples / 65535).astype(original.dtype)
    return samples.astype(original.dtype, copy=False)


def _from_pil(image: Any) -> Picture:
    """A PIL image of any mode, upright, with its transparent colour as alpha."""
    icc = image.info.get("icc_profile")
    turn = image.getexif().get(0x0112, 1)
    samples, is_plain = _samples_of_pil(image, icc)
    if not is_plain:
        warnings.warn(f"a PIL image of mode {image.mode!r} is converted to RGB", stacklevel=2)
        icc = None
    picture = _from_samples(upright(samples, turn), _display_of_pil(image.info, icc))
    tables = getattr(image, "quantization", None)  # exists if Pillow opened a JPEG
    if not tables:
        return picture
    return dataclasses.replace(picture, jpeg_quality=quality_of(sum(tables[min(tables)])))


def _display_of_pil(info: dict[str, Any], icc: bytes | None) -> Display:
    """The metadata that Pillow's readers leave in ``info``, without unusable entries."""
    exif = (info.get("exif") or b"").removeprefix(b"Exif\0\0") or None
    display = Display(icc=icc, xmp=info.get("xmp") or None).upright()
    with suppress(ValueError):
        display = dataclasses.replace(display, exif=exif).upright()
    with suppress(ValueError, TypeError):
        x, y = info.get("dpi", ())
        display = dataclasses.replace(display, dpi=(float(x), float(y)))
    return display


def _samples_of_pil(image: Any, icc: bytes | None) -> tuple[NDArray[Any], bool]:
    """(H, W, 1 to 4) uint8 or uint16; and whether the profile still fits."""
    mode = image.mode
    if mode in ("I", "F"):
        return _of_wide_gray(np.asarray(image), mode)[..., None], True
    if mode in _DEEP:
        gray = np.asarray(image).view(_DEEP[mode]).astype(np.uint16)
        return _keyed(gray[..., None], image.info.get("transparency")), True
    if mode in ("1", "L", "RGB"):
        samples = np.atleast_3d(np.asarray(image.convert("L") if mode == "1" else image))
        return _keyed(samples, _key_of_8_bits(samples, image.info.get("transparency"))), True
    if mode in ("LA", "RGBA"):
        return np.asarray(image), True
    if mode in ("La", "RGBa"):
        return np.asarray(image.convert(mode.upper())), True
    if mode in ("P", "PA"):
        opaque = mode == "P" and "transparency" not in image.info
        opaque = opaque and image.palette.mode in ("RGB", "L")
        return np.asarray(image.convert("RGB" if opaque else "RGBA")), True
    if mode in _AS_RGB:
        return np.asarray(image.convert("RGB")), True
    if mode == "CMYK":
        return cmyk_to_rgb(np.asarray(image), icc), False
    if mode == "LAB":
        return np.asarray(image.convert("RGB")), False
    raise ValueError(f"cannot take a PIL image of mode {mode!r}; convert it to 'RGB' or 'RGBA'")


def _of_wide_gray(samples: NDArray[Any], mode: str) -> NDArray[np.uint16]:
    """Modes I, which Pillow gives 16-bit files, and F, in 16 bits."""
    least, most = float(samples.min()), float(samples.max())
    if mode == "F":
        _check_range("a PIL image of mode 'F'", least, most, bool(np.isnan(samples).any()))
        return to_levels(samples.astype(np.float64), depth=16)
    if least < 0 or most > 65535:
        raise ValueError(
            f"a PIL image of mode 'I' must lie in 0 to 65535, not in {least:.0f} to {most:.0f}: "
            "bring its black to 0 and its white to 65535 (convert('L') would clip it at 255)"
        )
    return samples.astype(np.uint16)


def _keyed(samples: NDArray[Any], key: Any) -> NDArray[Any]:
    """Append an alpha that is 0 where samples equal the transparent colour ``key``."""
    if key is None:
        return samples
    matches = (samples == np.reshape(key, (1, 1, -1))).all(axis=2)
    top = np.iinfo(samples.dtype).max
    return np.dstack([samples, np.where(matches, 0, top).astype(samples.dtype)])


def _key_of_8_bits(samples: NDArray[Any], key: Any) -> NDArray[Any] | None:
    """PNG's transparent colour, given in the file's depth, in the 8 bits that Pillow decodes to.

    Pillow does not report the depth. 16 bits are cut to 8, and 2 or 4 bits spread, as for pixels.
    """
    if key is None or isinstance(key, bytes):  # bytes belong to a palette, converted already
        return None
    wanted = np.atleast_1d(key).astype(np.int64)
    if wanted.max() > 255:
        return wanted >> 8
    if wanted.size == 1:
        for step in (255, 85, 17):  # 1, 2 and 4 bits
            spread = wanted * step
            if 0 < spread[0] <= 255 and not (samples % step).any() and (samples == spread).any():
                return spread
    return wanted


def _to_pil(picture: Picture, original: Any) -> Any:
    """A PIL image of the original's mode if it can hold the result; see `upscale`."""
    from PIL.Image import fromarray

    samples = _to_samples(picture)
    mode = original.mode
    if mode == "F":
        samples = (samples / 65535).astype(np.float32)
    elif mode == "I":
        samples = samples.astype(np.int32)
    elif mode == "I;16B":
        samples = samples.astype(">u2")
    elif samples.dtype == np.uint16 and samples.ndim == 3:
        samples = to_levels(samples / 65535)  # PIL has 16 bits only for gray without alpha
    image = fromarray(samples)
    display = picture.display.sized(picture.size)
    said = {
        "icc_profile": display.icc,
        "exif": display.exif,
        "xmp": display.xmp,
        "dpi": display.dpi,
    }
    # Pillow's readers and writers keep the profile there.
    image.info.update({name: value for name, value in said.items() if value is not None})
    return image
