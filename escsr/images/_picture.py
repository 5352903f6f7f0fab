"""A decoded picture."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from escsr.images._display import Display

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Picture:
    """A decoded picture, upright.

    Attributes:
        pixels: (H, W, 3) RGB, uint8 or uint16 over the full range. Gray is repeated three times.
        alpha: (H, W) of the same dtype (0 transparent), or None. Colours are not premultiplied.
        gray: whether the picture has one channel; it is then written with one, taken from green.
        display: how to show it (colours, resolution), and the other metadata of its file.
        jpeg_quality: quality of the JPEG that the pixels were read from, 1 to 100 on libjpeg's
            scale, estimated from its tables; None for other pixels.

    Raises:
        TypeError: ``pixels`` is not uint8 or uint16, or ``alpha`` differs from it.
        ValueError: a wrong shape.

    Example:
        >>> Picture(pixels=np.zeros((2, 3, 3), np.uint16)).depth
        16
    """

    pixels: Array
    alpha: Array | None = None
    gray: bool = False
    display: Display = field(default_factory=Display)
    jpeg_quality: float | None = None

    def __post_init__(self) -> None:
        """Check shapes and dtypes."""
        if self.pixels.dtype not in (np.uint8, np.uint16):
            raise TypeError(f"pixels are {self.pixels.dtype}; allowed: uint8, uint16")
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.size == 0:
            raise ValueError(f"pixels must be (H, W, 3), not empty, got {self.pixels.shape}")
        if self.alpha is None:
            return
        if self.alpha.dtype != self.pixels.dtype:
            raise TypeError(f"alpha is {self.alpha.dtype}, pixels are {self.pixels.dtype}")
        if self.alpha.shape != self.pixels.shape[:2]:
            raise ValueError(f"alpha is {self.alpha.shape}, pixels are {self.pixels.shape}")

    @property
    def icc(self) -> bytes | None:
        """Colour profile of the pixel values; None means sRGB, or the colours of ``cicp``."""
        return self.display.icc

    @property
    def depth(self) -> int:
        """Bits per channel: 8 or 16."""
        return 8 * self.pixels.dtype.itemsize

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


def to_uint8(pixels: Array) -> npt.NDArray[np.uint8]:
    """Full-range rounding: 65535 / 255 = 257, and 257 is odd, so there are no ties."""
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
