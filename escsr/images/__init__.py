"""Picture files to arrays and back, without losing what a picture carries.

Orientation, transparency, bit depth, gray and the colour profile survive a round trip. libvips does
the decoding and encoding; it is imported on first use.
"""

from escsr.images._picture import Picture
from escsr.images._reading import image_size, read_image, read_rgb
from escsr.images._writing import writable_suffixes, write_image
from escsr.pixels import from_float, to_float

__all__ = [
    "Picture",
    "from_float",
    "image_size",
    "read_image",
    "read_rgb",
    "to_float",
    "writable_suffixes",
    "write_image",
]
