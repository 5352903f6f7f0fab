"""The kinds of picture that people hold, and the way to and from `Picture`."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from escsr.images import Picture, read_image
from escsr.pixels import to_levels


def to_picture(image: object) -> Picture:
    """Turn a path, an array, a PIL image or a `Picture` into a `Picture`.

    Raises:
        TypeError: If it is none of these.
        ValueError: If its shape, number type or range cannot be a picture's.
    """
    if isinstance(image, Picture):
        return image
    if isinstance(image, str | os.PathLike):
        return read_image(image)
    if not isinstance(image, np.ndarray):
        if not type(image).__module__.startswith("PIL."):
            raise TypeError(
                f"cannot upscale a {type(image).__name__}: give a path, a NumPy array, a PIL "
                "image, a PyTorch tensor or an escsr.images.Picture"
            )
        return _from_pil(image)
    if image.dtype.kind == "f":
        if not np.isfinite(image).all() or image.min() < 0 or image.max() > 1:
            raise ValueError("a floating-point array must lie in [0, 1]")
        # Sixteen bits inside: finer than any display, and back to floats afterwards.
        image = to_levels(image, depth=16)
    if image.dtype not in (np.uint8, np.uint16) or image.ndim not in (2, 3):
        raise ValueError(
            "an array must be (H, W), (H, W, 3) or (H, W, 4), uint8, uint16 or floating point, "
            f"not {image.dtype} of {image.shape}"
        )
    if image.ndim == 2:
        return Picture(pixels=np.repeat(image[..., None], 3, axis=2), gray=True)
    if image.shape[2] not in (3, 4):
        raise ValueError(f"an array must have 3 or 4 channels, not {image.shape[2]}")
    alpha = np.ascontiguousarray(image[..., 3]) if image.shape[2] == 4 else None
    return Picture(pixels=np.ascontiguousarray(image[..., :3]), alpha=alpha)


def _from_pil(image: Any) -> Picture:
    from PIL.ImageOps import exif_transpose  # the caller has it: this is a PIL image

    if image.mode not in ("L", "LA", "I;16", "RGB", "RGBA"):
        raise ValueError(
            f"cannot take a PIL image of mode {image.mode!r}; convert it to 'RGB' or 'RGBA' first"
        )
    upright = exif_transpose(image)
    samples = np.atleast_3d(np.asarray(upright))
    bands = samples.shape[2]
    rgb = np.repeat(samples[..., :1], 3, axis=2) if bands < 3 else samples[..., :3].copy()
    alpha = samples[..., -1].copy() if bands in (2, 4) else None
    return Picture(pixels=rgb, alpha=alpha, gray=bands < 3, icc=image.info.get("icc_profile"))


def like(original: object, picture: Picture) -> object:
    """Turn the result into the kind of thing that was given."""
    if isinstance(original, Picture | str | os.PathLike):
        return picture
    pixels: NDArray[Any] = picture.pixels[..., 0] if picture.gray else picture.pixels
    if picture.alpha is not None:
        pixels = np.dstack([pixels, picture.alpha])
    if isinstance(original, np.ndarray):
        if original.dtype.kind == "f":
            return (pixels / 65535).astype(original.dtype)
        return pixels
    from PIL.Image import fromarray

    image = fromarray(pixels)
    if picture.icc is not None:
        image.info["icc_profile"] = picture.icc  # where PIL's writers look for it
    return image
