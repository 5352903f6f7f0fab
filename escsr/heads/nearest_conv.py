"""Head of nearest-neighbour enlargements and convolutions."""

import itertools
import operator

import torch.nn.functional as F
from torch import Tensor, nn

from escsr.heads.base import HEADS, FixedScaleHead, doublings, reach_of_convolutions
from escsr.layers.precision import apply_in_own_precision


@HEADS.register(
    "nearest_conv",
    about="One whole scale, without checkerboards under a GAN; ESC-Real's default.",
)
class NearestConv(FixedScaleHead):
    """Nearest-neighbour enlargement in steps of 2 (or one of 3), each with a convolution.

    Free of the checkerboards that pixel shuffling may leave under adversarial training.
    At scale 1 with ``conv_first`` it is a single convolution, as published.

    Args:
        in_channels: Channels of the features, kept up to the last convolution.
        scale: A power of two, or 3.
        conv_first: Convolve before each enlargement (ESC-RealM) instead of after it
            (ESC-Real).

    Raises:
        ValueError: If ``scale`` is neither.

    Source:
        ESC-Real and ESC-RealM, arXiv 2503.06671; after Real-ESRGAN, arXiv 2107.10833.
    """

    def __init__(self, in_channels: int, *, scale: int, conv_first: bool = False) -> None:
        super().__init__(scale=scale)
        self.factors = doublings(self.scale, "nearest_conv")
        self.conv_first = conv_first
        plain = conv_first and not self.factors
        self.steps = nn.ModuleList(
            nn.Conv2d(in_channels, in_channels, 3, padding=1) for _ in self.factors
        )
        self.refine = None if plain else nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.to_rgb = nn.Conv2d(in_channels, 3, 3, padding=1)

    @property
    def reach(self) -> int:  # type: ignore[override]
        """See `FixedScaleHead`."""
        sizes = [1, *itertools.accumulate(self.factors, operator.mul)]
        steps = sizes[:-1] if self.conv_first else sizes[1:]
        return reach_of_convolutions([*steps, *[self.scale] * (1 if self.refine is None else 2)])

    def enlarge(self, features: Tensor) -> Tensor:
        """(B, in_channels, h, w) to (B, 3, scale·h, scale·w)."""
        for conv, factor in zip(self.steps, self.factors, strict=True):
            if self.conv_first:
                features = F.interpolate(conv(features), scale_factor=factor, mode="nearest")
            else:
                features = conv(F.interpolate(features, scale_factor=factor, mode="nearest"))
            features = F.leaky_relu(features, 0.2)
        if self.refine is not None:
            features = F.leaky_relu(self.refine(features), 0.2)
        return apply_in_own_precision(self.to_rgb, features)
