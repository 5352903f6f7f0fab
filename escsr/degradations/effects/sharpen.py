"""Sharpening, drawn per picture."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from torch import Tensor

from escsr.degradations._checks import Range
from escsr.degradations.bounds import OVERSHARPEN_SIGMA, SHARPENING, USM_SIDE, USM_THRESHOLD
from escsr.degradations.effect import EFFECTS, Effect, Frame, Parameters
from escsr.degradations.effects import _drawing as drawing
from escsr.degradations.filtering import oversharpen, usm_sharpen


@EFFECTS.register("usm_sharpen")
@dataclass(frozen=True, kw_only=True)
class UsmSharpenParameters(Parameters):
    """An unsharp mask with a threshold; see `escsr.degradations.usm_sharpen`.

    Attributes:
        weight: Strength, 0 to 10.
        radius: Side of the Gaussian, made odd, 1 to 997 pixels.
        threshold: Differences up to this are left alone, 0 to 255 8-bit steps.
    """

    effect: ClassVar[str] = "usm_sharpen"
    weight: float = field(default=0.5, metadata=SHARPENING.one)
    radius: int = field(default=50, metadata=USM_SIDE.one)
    threshold: float = field(default=10.0, metadata=USM_THRESHOLD.one)

    @classmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Sharpen each picture with its weight."""
        return usm_sharpen(
            images,
            weight=[one.weight for one in parameters],
            radius=parameters[0].radius,
            threshold=parameters[0].threshold,
        )

    def batch_key(self) -> tuple[int, float]:
        """One Gaussian and one threshold for a batch."""
        return self.radius, self.threshold

    def describe(self) -> str:
        """Name and weight."""
        return f"usm {self.weight:.1f}"


@dataclass(frozen=True, kw_only=True)
class UsmSharpen(Effect[UsmSharpenParameters]):
    """Draws a strength; the default is the fixed one of Real-ESRGAN.

    Attributes:
        weight: Range of the strength, within 0 to 10.
        radius: Side of the Gaussian, made odd, 1 to 997 pixels.
        threshold: Differences up to this are left alone, 0 to 255 8-bit steps.
    """

    weight: Range = field(default=(0.5, 0.5), metadata=SHARPENING.range)
    radius: int = field(default=50, metadata=USM_SIDE.one)
    threshold: float = field(default=10.0, metadata=USM_THRESHOLD.one)

    def draw(self, rng: np.random.Generator, frame: Frame) -> UsmSharpenParameters:
        """Draw a strength."""
        weight = drawing.uniform(rng, self.weight)
        return UsmSharpenParameters(weight=weight, radius=self.radius, threshold=self.threshold)


@EFFECTS.register("oversharpen")
@dataclass(frozen=True, kw_only=True)
class OversharpenParameters(Parameters):
    """Sharpening everywhere; see `escsr.degradations.oversharpen`.

    Attributes:
        amount: Strength, 0 to 10.
        sigma: Radius: standard deviation of the Gaussian, 0.1 to 20 pixels.
    """

    effect: ClassVar[str] = "oversharpen"
    amount: float = field(metadata=SHARPENING.one)
    sigma: float = field(metadata=OVERSHARPEN_SIGMA.one)

    @classmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Sharpen each picture."""
        return oversharpen(
            images, [one.amount for one in parameters], [one.sigma for one in parameters]
        )

    def describe(self) -> str:
        """Name and strength."""
        return f"oversharpen {self.amount:.1f}"


@dataclass(frozen=True, kw_only=True)
class Oversharpen(Effect[OversharpenParameters]):
    """Draws halos. The defaults are mild.

    Attributes:
        amount: Range of the strength, within 0 to 10.
        sigma: Range of the radius, within 0.1 to 20 pixels.
    """

    amount: Range = field(default=(0.2, 1.0), metadata=SHARPENING.range)
    sigma: Range = field(default=(0.5, 2.0), metadata=OVERSHARPEN_SIGMA.range)

    def draw(self, rng: np.random.Generator, frame: Frame) -> OversharpenParameters:
        """Draw strength and radius."""
        amount = drawing.uniform(rng, self.amount)
        return OversharpenParameters(amount=amount, sigma=drawing.uniform(rng, self.sigma))
