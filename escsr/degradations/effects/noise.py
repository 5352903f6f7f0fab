"""Noise, drawn per picture: the parameters hold the seed of the field."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from torch import Tensor

from escsr.degradations._checks import Range
from escsr.degradations.bounds import (
    CAMERA_NOISE,
    FLAG,
    GRAIN,
    NOISE_SIGMA,
    POISSON_SCALE,
    PROBABILITY,
    SEED,
)
from escsr.degradations.effect import EFFECTS, Effect, Frame, Parameters
from escsr.degradations.effects import _drawing as drawing
from escsr.degradations.noise import camera_noise, gaussian_noise, poisson_noise


@EFFECTS.register("gaussian_noise")
@dataclass(frozen=True, kw_only=True)
class GaussianNoiseParameters(Parameters):
    """Normally distributed noise; see `escsr.degradations.gaussian_noise`.

    Attributes:
        sigma: Standard deviation, 0 to 255 8-bit steps.
        gray: Whether the channels share one field.
        seed: Of the field, 0 to 2^53.
    """

    effect: ClassVar[str] = "gaussian_noise"
    sigma: float = field(metadata=NOISE_SIGMA.one)
    gray: bool = field(metadata=FLAG.one)
    seed: int = field(metadata=SEED.one)

    @classmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Add each picture's noise."""
        return gaussian_noise(
            images,
            [one.sigma for one in parameters],
            grays=[one.gray for one in parameters],
            seeds=[one.seed for one in parameters],
        )

    def describe(self) -> str:
        """Name and strength."""
        return f"{'gray ' if self.gray else ''}noise {self.sigma:.0f}"


@dataclass(frozen=True, kw_only=True)
class GaussianNoise(Effect[GaussianNoiseParameters]):
    """Draws a strength, and colour or gray. The defaults are Real-ESRGAN's first noise.

    Attributes:
        sigma: Range of the standard deviation, within 0 to 255 8-bit steps.
        gray: Probability that the channels share one field.
    """

    sigma: Range = field(default=(1.0, 30.0), metadata=NOISE_SIGMA.range)
    gray: float = field(default=0.4, metadata=PROBABILITY.one)

    def draw(self, rng: np.random.Generator, frame: Frame) -> GaussianNoiseParameters:
        """Draw a strength, the kind, and a seed."""
        sigma = drawing.uniform(rng, self.sigma)
        gray = drawing.happens(rng, self.gray)
        return GaussianNoiseParameters(sigma=sigma, gray=gray, seed=drawing.seed(rng))


@EFFECTS.register("poisson_noise")
@dataclass(frozen=True, kw_only=True)
class PoissonNoiseParameters(Parameters):
    """Shot noise; see `escsr.degradations.poisson_noise`.

    Attributes:
        scale: Factor of the noise, 0 to 10.
        gray: Whether the channels share one field.
        seed: Of the field, 0 to 2^53.
    """

    effect: ClassVar[str] = "poisson_noise"
    scale: float = field(metadata=POISSON_SCALE.one)
    gray: bool = field(metadata=FLAG.one)
    seed: int = field(metadata=SEED.one)

    @classmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Add each picture's noise."""
        return poisson_noise(
            images,
            [one.scale for one in parameters],
            grays=[one.gray for one in parameters],
            seeds=[one.seed for one in parameters],
        )

    def describe(self) -> str:
        """Name and strength."""
        return f"{'gray ' if self.gray else ''}poisson {self.scale:.1f}"


@dataclass(frozen=True, kw_only=True)
class PoissonNoise(Effect[PoissonNoiseParameters]):
    """Draws a strength, and colour or gray. The defaults are Real-ESRGAN's first noise.

    Attributes:
        scale: Range of the factor, within 0 to 10.
        gray: Probability that the channels share one field.
    """

    scale: Range = field(default=(0.05, 3.0), metadata=POISSON_SCALE.range)
    gray: float = field(default=0.4, metadata=PROBABILITY.one)

    def draw(self, rng: np.random.Generator, frame: Frame) -> PoissonNoiseParameters:
        """Draw a strength, the kind, and a seed."""
        scale = drawing.uniform(rng, self.scale)
        gray = drawing.happens(rng, self.gray)
        return PoissonNoiseParameters(scale=scale, gray=gray, seed=drawing.seed(rng))


@EFFECTS.register("camera_noise")
@dataclass(frozen=True, kw_only=True)
class CameraNoiseParameters(Parameters):
    """A camera's noise at high ISO; see `escsr.degradations.camera_noise`.

    Attributes:
        shot: Standard deviation of the shot noise at white, 0 to 1 of full scale, linear light.
        read: Standard deviation of the read noise, likewise.
        grain: Standard deviation of the grain's blur, 0 to 5 pixels.
        seed: Of the field, 0 to 2^53.
    """

    effect: ClassVar[str] = "camera_noise"
    shot: float = field(metadata=CAMERA_NOISE.one)
    read: float = field(metadata=CAMERA_NOISE.one)
    grain: float = field(metadata=GRAIN.one)
    seed: int = field(metadata=SEED.one)

    @classmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Add each picture's noise."""
        return camera_noise(
            images,
            [one.shot for one in parameters],
            [one.read for one in parameters],
            grains=[one.grain for one in parameters],
            seeds=[one.seed for one in parameters],
        )

    def describe(self) -> str:
        """Name and strength."""
        return f"camera {self.shot:.2f}/{self.read:.3f}"


@dataclass(frozen=True, kw_only=True)
class CameraNoise(Effect[CameraNoiseParameters]):
    """Draws a camera's noise, from a good exposure to a dark room.

    Attributes:
        shot: Range of the shot noise at white, within 0 to 1 of full scale.
        read: Range of the read noise, likewise.
        grain: Range of the grain's blur, within 0 to 5 pixels.
    """

    shot: Range = field(default=(0.01, 0.12), metadata=CAMERA_NOISE.range)
    read: Range = field(default=(0.001, 0.02), metadata=CAMERA_NOISE.range)
    grain: Range = field(default=(0.0, 1.0), metadata=GRAIN.range)

    def draw(self, rng: np.random.Generator, frame: Frame) -> CameraNoiseParameters:
        """Draw strengths, grain, and a seed."""
        return CameraNoiseParameters(
            shot=drawing.uniform(rng, self.shot),
            read=drawing.uniform(rng, self.read),
            grain=drawing.uniform(rng, self.grain),
            seed=drawing.seed(rng),
        )
