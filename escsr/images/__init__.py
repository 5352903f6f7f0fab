"""Reading and writing picture files without losing their metadata.

Orientation, transparency, bit depth, gray, colours, resolution, EXIF, XMP and IPTC survive a round
trip if the format can hold them. libvips does the decoding and encoding; it is imported on
first use.
"""

from escsr.images._alpha import fill_transparent, resize_with_alpha
from escsr.images._colour import cmyk_to_rgb
from escsr.images._display import Display
from escsr.images._picture import Picture
from escsr.images._pixel_file import PixelFile, open_pixels
from escsr.images._reading import image_size, is_gray_file, read_image, read_rgb, upright
from escsr.images._source import PictureSource
from escsr.images._writing import (
    check_writable,
    encode_image,
    suffix_of,
    writable_suffixes,
    write_image,
    write_pixels,
)
from escsr.pixels import from_float, to_float

__all__ = [
    "Display",
    "Picture",
    "PictureSource",
    "PixelFile",
    "check_writable",
    "cmyk_to_rgb",
    "encode_image",
    "fill_transparent",
    "from_float",
    "image_size",
    "is_gray_file",
    "open_pixels",
    "read_image",
    "read_rgb",
    "resize_with_alpha",
    "to_float",
    "suffix_of",
    "upright",
    "writable_suffixes",
    "write_image",
    "write_pixels",
]
