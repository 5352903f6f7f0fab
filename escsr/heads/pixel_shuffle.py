"""Heads made of convolutions and pixel shuffling."""

import itertools
import operator
from typing import ClassVar, Literal, cast

import torch.nn.functional as F
from torch import Tensor, nn

from escsr.heads.base import HEADS, FixedScaleHead, doublings, reach_of_convolutions
from escsr.layers.bands import RowSource
from escsr.layers.interpolation import add_interpolated, interpolation_rows
from escsr.layers.precision import apply_in_own_precision, own_precision
from escsr.layers.shuffle import convolve_and_shuffle

ImageSkipMode = Literal["nearest", "bicubic"]


@HEADS.register(
    "pixel_shuffle",
    about="One whole scale, as fast as possible; ESC's default.",
)
class PixelShuffle(FixedScaleHead):
    """One convolution and one pixel shuffle, plus the plainly enlarged picture.

    Args:
        in_channels: Channels of the features.
        scale: Any integer from 1.
        image_skip: How the picture that is added is enlarged: "nearest" (ESC), "bicubic"
            (ESC-FP; a = -0.75, no antialiasing) or None (ESC-RealM).

    Raises:
        ValueError: If ``image_skip`` is none of these.

    Source:
        Sub-pixel convolution, arXiv 1609.05158; ESC, arXiv 2503.06671.
    """

    reach = 1

    def __init__(
        self, in_channels: int, *, scale: int, image_skip: ImageSkipMode | None = "nearest"
    ) -> None:
        super().__init__(scale=scale)
        if image_skip not in ("nearest", "bicubic", None):
            raise ValueError(f"image_skip is 'nearest', 'bicubic' or None, not {image_skip!r}")
        self.image_skip = image_skip
        self.conv = nn.Conv2d(in_channels, 3 * self.scale**2, 3, padding=1)

    def enlarge(self, features: Tensor) -> Tensor:
        """(B, in_channels, h, w) to (B, 3, scale·h, scale·w), without the skip."""
        with own_precision(features.device):
            features = features.to(self.conv.weight.dtype)
            return convolve_and_shuffle(self.conv, features, self.scale)

    def _rows(
        self, features: RowSource, lq: RowSource, size: tuple[int, int], rows: tuple[int, int]
    ) -> Tensor:
        """See `FixedScaleHead`; with the picture added."""
        sr = super()._rows(features, lq, size, rows)
        if self.image_skip is None:
            return sr
        return add_interpolated(sr, lq, size, rows, mode=self.image_skip)

    def picture_rows(
        self, rows: tuple[int, int], *, size: tuple[int, int], height: int
    ) -> tuple[int, int]:
        """See `Head.picture_rows`."""
        if self.image_skip is None:
            return 0, 0
        return interpolation_rows(rows, size[0], height, mode=self.image_skip)


@HEADS.register(
    "conv",
    about="Keeps the size (×1): for restoration.",
)
class Conv(FixedScaleHead):
    """One convolution to RGB, for networks that keep the size (×1: restoration).

    Args:
        in_channels: Channels of the features.
        scale: 1.

    Raises:
        ValueError: If another scale is asked for.
    """

    enlarges: ClassVar[bool] = False
    reach = 1

    def __init__(self, in_channels: int, *, scale: int = 1) -> None:
        super().__init__(scale=scale)
        if self.scale != 1:
            raise ValueError(
                f"head 'conv' keeps the size of the features and cannot enlarge by {scale}; "
                "take 'pixel_shuffle'"
            )
        self.conv = nn.Conv2d(in_channels, 3, 3, padding=1)

    def enlarge(self, features: Tensor) -> Tensor:
        """(B, in_channels, h, w) to (B, 3, h, w)."""
        return apply_in_own_precision(self.conv, features)


@HEADS.register(
    "pixel_shuffle_multi",
    about="One whole scale, in several pixel shuffles with a narrow width between.",
)
class PixelShuffleMulti(FixedScaleHead):
    """Pixel shuffling in steps of 2 (or one of 3), with a narrow width between them.

    At scale 1 it is a single convolution.

    Args:
        in_channels: Channels of the features.
        scale: A power of two, or 3.
        mid_dim: Channels between the steps.

    Raises:
        ValueError: If ``scale`` is neither.

    Source:
        The "pixelshuffle" head of ESC-RealM, arXiv 2503.06671.
    """

    def __init__(self, in_channels: int, *, scale: int, mid_dim: int = 48) -> None:
        super().__init__(scale=scale)
        self.factors = doublings(self.scale, "pixel_shuffle_multi")
        self.reduce = nn.Conv2d(in_channels, mid_dim, 3, padding=1) if self.factors else None
        self.steps = nn.ModuleList(
            nn.Conv2d(mid_dim, mid_dim * factor**2, 3, padding=1) for factor in self.factors
        )
        self.to_rgb = nn.Conv2d(mid_dim if self.factors else in_channels, 3, 3, padding=1)

    @property
    def reach(self) -> int:  # type: ignore[override]
        """See `FixedScaleHead`."""
        sizes = [1, *itertools.accumulate(self.factors, operator.mul)]
        return reach_of_convolutions([1, *sizes] if self.factors else sizes)

    def enlarge(self, features: Tensor) -> Tensor:
        """(B, in_channels, h, w) to (B, 3, scale·h, scale·w)."""
        if self.reduce is not None:
            features = F.leaky_relu(self.reduce(features), 0.01)
        for conv, factor in zip(self.steps, self.factors, strict=True):
            features = convolve_and_shuffle(cast(nn.Conv2d, conv), features, factor)
        return apply_in_own_precision(self.to_rgb, features)
