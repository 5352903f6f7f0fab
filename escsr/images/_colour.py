"""Conversion of other colour spaces to sRGB."""

from typing import Any

import numpy as np

from escsr.images._picture import Array
from escsr.images._vips import libvips

PLAIN_SPACES = {"b-w", "grey16", "srgb", "rgb", "rgb16", "multiband"}
"""libvips' names of the colour spaces whose values are kept as stored."""


def to_plain_space(image: Any, icc: bytes | None) -> Any:
    """Convert a libvips image to 8- or 16-bit gray or RGB, with or without alpha."""
    if image.interpretation not in PLAIN_SPACES:
        deep = image.format != "uchar"
        if image.interpretation == "cmyk" and icc is not None:
            image = image.icc_transform("srgb", embedded=True, depth=16 if deep else 8)
        else:
            image = image.colourspace("rgb16" if deep else "srgb")
    if image.format not in ("uchar", "ushort"):
        raise ValueError(f"its pixels are of type {image.format}; save it with 8 or 16 bits")
    if image.bands > 4:
        raise ValueError(f"it has {image.bands} channels; at most RGB and alpha can be read")
    return image


def cmyk_to_rgb(samples: Array, icc: bytes | None = None) -> Array:
    """(H, W, 4) ink, uint8, 255 is full, to (H, W, 3) sRGB, through its profile if it has one."""
    vips = libvips()
    image = vips.Image.new_from_array(np.ascontiguousarray(samples)).copy(interpretation="cmyk")
    if icc is not None:
        image = image.copy()
        image.set_type(vips.GValue.blob_type, "icc-profile-data", icc)
    rgb: Array = to_plain_space(image, icc).numpy()[..., :3]
    return rgb
