"""Chroma at a lower resolution and coarse levels, drawn per picture."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from torch import Tensor

from escsr.degradations.bounds import CHROMA_FACTOR, FLAG, LEVELS, PROBABILITY
from escsr.degradations.color import quantize, subsample_chroma
from escsr.degradations.effect import EFFECTS, Effect, Frame, Parameters
from escsr.degradations.effects import _drawing as drawing


@EFFECTS.register("chroma_subsampling")
@dataclass(frozen=True, kw_only=True)
class ChromaSubsamplingParameters(Parameters):
    """Colour at a lower resolution; see `escsr.degradations.subsample_chroma`.

    Attributes:
        factor: Side of a chroma pixel, 1 to 16 pixels.
        smooth: Whether chroma is enlarged bilinearly; otherwise it is repeated.
    """

    effect: ClassVar[str] = "chroma_subsampling"
    factor: int = field(metadata=CHROMA_FACTOR.one)
    smooth: bool = field(metadata=FLAG.one)

    @classmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Subsample all by the one factor."""
        return subsample_chroma(images, parameters[0].factor, smooth=parameters[0].smooth)

    def batch_key(self) -> Hashable:
        """One factor for a batch."""
        return self.factor, self.smooth

    def describe(self) -> str:
        """Name and factor."""
        return f"chroma /{self.factor}"


@dataclass(frozen=True, kw_only=True)
class ChromaSubsampling(Effect[ChromaSubsamplingParameters]):
    """Draws a factor.

    Attributes:
        factors: Sides of a chroma pixel to choose from, each 1 to 16 pixels.
        smooth: Probability that chroma is enlarged bilinearly rather than repeated.
    """

    factors: tuple[int, ...] = field(default=(2, 4), metadata=CHROMA_FACTOR.several)
    smooth: float = field(default=0.5, metadata=PROBABILITY.one)

    def draw(self, rng: np.random.Generator, frame: Frame) -> ChromaSubsamplingParameters:
        """Draw a factor and how chroma is enlarged."""
        factor = drawing.pick(rng, self.factors)
        return ChromaSubsamplingParameters(factor=factor, smooth=drawing.happens(rng, self.smooth))


@EFFECTS.register("quantize")
@dataclass(frozen=True, kw_only=True)
class QuantizeParameters(Parameters):
    """Rounding to few levels; see `escsr.degradations.quantize`.

    Attributes:
        levels: Per channel, 2 to 65536; 256 is 8 bits.
    """

    effect: ClassVar[str] = "quantize"
    levels: int = field(metadata=LEVELS.one)

    @classmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Round each picture to its levels."""
        return quantize(images, [one.levels for one in parameters])

    def describe(self) -> str:
        """Number of levels."""
        return f"{self.levels} levels"


@dataclass(frozen=True, kw_only=True)
class Quantize(Effect[QuantizeParameters]):
    """Draws a number of levels. The default is rounding to 8 bits.

    Attributes:
        levels: Range, both ends included, within 2 to 65536; (16, 64) causes bands.
    """

    levels: tuple[int, int] = field(default=(256, 256), metadata=LEVELS.range)

    def draw(self, rng: np.random.Generator, frame: Frame) -> QuantizeParameters:
        """Draw a number of levels."""
        return QuantizeParameters(levels=drawing.whole(rng, self.levels))
