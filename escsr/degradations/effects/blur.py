"""Blur and sharpening, drawn per picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self, cast

import numpy as np
from torch import Tensor

from escsr.degradations._checks import Range
from escsr.degradations.bounds import (
    ANGLE,
    BLUR_BETA,
    BLUR_SIGMA,
    CUTOFF,
    DEFOCUS_RADIUS,
    KERNEL_SIDE,
    MOTION_LENGTH,
    PROBABILITY,
    Choice,
    checked_by,
)
from escsr.degradations.effect import EFFECTS, Effect, Frame, Parameters
from escsr.degradations.effects import _drawing as drawing
from escsr.degradations.filtering import filter2d
from escsr.degradations.kernels import (
    BLUR_KINDS,
    BlurKind,
    Kernel,
    blur_kernel,
    defocus_kernel,
    motion_kernel,
)

# Real-ESRGAN's shares of the kinds, arXiv 2107.10833, section 4.1.
REAL_ESRGAN_KINDS: tuple[tuple[BlurKind, float], ...] = (
    ("gaussian_iso", 0.45),
    ("gaussian_aniso", 0.25),
    ("generalized_iso", 0.12),
    ("generalized_aniso", 0.03),
    ("plateau_iso", 0.12),
    ("plateau_aniso", 0.03),
)
"""Kinds of blur kernels with their shares."""

_KIND = Choice(BLUR_KINDS)


def _check_kinds(name: str, value: Sequence[tuple[BlurKind, float]]) -> None:
    _KIND.check_several(name, [kind for kind, _ in value])
    drawing.check_weights(name, [share for _, share in value])


@EFFECTS.register("blur")
@dataclass(frozen=True, kw_only=True)
class BlurParameters(Parameters):
    """A blur kernel; see `escsr.degradations.blur_kernel`.

    Attributes:
        kind: One of `BLUR_KINDS`.
        size: Side of the kernel, odd, 1 to 999 pixels.
        sigma_x: Standard deviation along the kernel's first axis, in pixels, above 0.
        sigma_y: Along its second axis, in pixels; ignored by the iso kinds.
        theta: Angle of the first axis, in radians.
        beta: Shape of the generalized and plateau kinds, above 0.
        cutoff: Cut-off of a sinc, in radians per pixel, (0, π].
    """

    effect: ClassVar[str] = "blur"
    kind: BlurKind = field(metadata=_KIND.one)
    size: int = field(metadata=KERNEL_SIDE.one)
    sigma_x: float = field(default=1.0, metadata=BLUR_SIGMA.one)
    sigma_y: float = field(default=1.0, metadata=BLUR_SIGMA.one)
    theta: float = field(default=0.0, metadata=ANGLE.one)
    beta: float = field(default=1.0, metadata=BLUR_BETA.one)
    cutoff: float = field(default=math.pi, metadata=CUTOFF.one)

    def kernel(self) -> Kernel:
        """(size, size) float64 with sum 1."""
        return blur_kernel(
            self.kind,
            self.size,
            sigma_x=self.sigma_x,
            sigma_y=self.sigma_y,
            theta=self.theta,
            beta=self.beta,
            cutoff=self.cutoff,
        )

    @classmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Filter each picture with its kernel; a sinc may overshoot."""
        return filter2d(images, [one.kernel() for one in parameters])

    def describe(self) -> str:
        """Kind and widths."""
        if self.kind == "sinc":
            return f"sinc {self.cutoff:.1f}"
        widths = f"{self.sigma_x:.1f}"
        if self.kind.endswith("aniso"):
            widths += f"/{self.sigma_y:.1f}"
        return f"{self.kind.replace('_', ' ')} {widths}"


@dataclass(frozen=True, kw_only=True)
class Blur(Effect[BlurParameters]):
    """Draws a kernel as Real-ESRGAN does. The defaults are its first blur.

    Attributes:
        sizes: Sides to choose from, in pixels, odd.
        kinds: Pairs (kind, share).
        sinc: Probability of a sinc instead, 0 to 1.
        sigma: Range of both standard deviations, in pixels, above 0.
        generalized_beta: Range of β of the generalized kinds, around 1; below and above 1 are
            equally likely.
        plateau_beta: Range of β of the plateau kinds, likewise: from 1 on, half of them are 1, as
            Real-ESRGAN draws them.
        cutoff: Range of a sinc's cut-off for sizes below 13, in radians per pixel, (0, π].
        wide_cutoff: The same for sizes from 13.
    """

    sizes: tuple[int, ...] = field(
        default=(7, 9, 11, 13, 15, 17, 19, 21), metadata=KERNEL_SIDE.several
    )
    kinds: tuple[tuple[BlurKind, float], ...] = field(
        default=REAL_ESRGAN_KINDS, metadata=checked_by(_check_kinds)
    )
    sinc: float = field(default=0.1, metadata=PROBABILITY.one)
    sigma: Range = field(default=(0.2, 3.0), metadata=BLUR_SIGMA.range)
    generalized_beta: Range = field(default=(0.5, 4.0), metadata=BLUR_BETA.range)
    plateau_beta: Range = field(default=(1.0, 2.0), metadata=BLUR_BETA.range)
    cutoff: Range = field(default=(math.pi / 3, math.pi), metadata=CUTOFF.range)
    wide_cutoff: Range = field(default=(math.pi / 5, math.pi), metadata=CUTOFF.range)

    def draw(self, rng: np.random.Generator, frame: Frame) -> BlurParameters:
        """Draw a kernel."""
        size = drawing.pick(rng, self.sizes)
        if drawing.happens(rng, self.sinc):
            cutoff = drawing.uniform(rng, self.cutoff if size < 13 else self.wide_cutoff)
            return BlurParameters(kind="sinc", size=size, cutoff=cutoff)
        kinds, shares = zip(*self.kinds, strict=True)
        kind = cast(BlurKind, drawing.pick_weighted(rng, kinds, shares))
        sigma_x = sigma_y = drawing.uniform(rng, self.sigma)
        theta, beta = 0.0, 1.0
        if kind.endswith("aniso"):
            sigma_y = drawing.uniform(rng, self.sigma)
            theta = drawing.uniform(rng, (-math.pi, math.pi))
        if not kind.startswith("gaussian"):
            generalized = kind.startswith("generalized")
            beta = _around_one(rng, self.generalized_beta if generalized else self.plateau_beta)
        return BlurParameters(
            kind=kind, size=size, sigma_x=sigma_x, sigma_y=sigma_y, theta=theta, beta=beta
        )


def _around_one(rng: np.random.Generator, ends: Range) -> float:
    """Values below and above 1 are equally likely, however wide the two parts are (or 1 itself)."""
    if not ends[0] <= 1 <= ends[1]:
        return drawing.uniform(rng, ends)
    return drawing.uniform(rng, (ends[0], 1) if drawing.happens(rng, 0.5) else (1, ends[1]))


@EFFECTS.register("motion_blur")
@dataclass(frozen=True, kw_only=True)
class MotionBlurParameters(Parameters):
    """A camera's uniform movement; see `escsr.degradations.motion_kernel`.

    Attributes:
        length: Of the path, 0 to 200 pixels.
        angle: Its direction against the rows, in radians.
    """

    effect: ClassVar[str] = "motion_blur"
    length: float = field(metadata=MOTION_LENGTH.one)
    angle: float = field(metadata=ANGLE.one)

    @classmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Filter each picture with its trace."""
        return filter2d(images, [motion_kernel(one.length, one.angle) for one in parameters])

    def describe(self) -> str:
        """Name and length."""
        return f"motion {self.length:.1f}"


@dataclass(frozen=True, kw_only=True)
class MotionBlur(Effect[MotionBlurParameters]):
    """Draws a straight path in any direction.

    Attributes:
        length: Range of its length, within 0 to 200 pixels.
    """

    length: Range = field(default=(2.0, 12.0), metadata=MOTION_LENGTH.range)

    def draw(self, rng: np.random.Generator, frame: Frame) -> MotionBlurParameters:
        """Draw a path."""
        length = drawing.uniform(rng, self.length)
        return MotionBlurParameters(length=length, angle=drawing.uniform(rng, (0, math.pi)))


@EFFECTS.register("defocus_blur")
@dataclass(frozen=True, kw_only=True)
class DefocusBlurParameters(Parameters):
    """A lens out of focus; see `escsr.degradations.defocus_kernel`.

    Attributes:
        radius: Of the disk, 0 to 100 pixels.
    """

    effect: ClassVar[str] = "defocus_blur"
    radius: float = field(metadata=DEFOCUS_RADIUS.one)

    @classmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Filter each picture with its disk."""
        return filter2d(images, [defocus_kernel(one.radius) for one in parameters])

    def describe(self) -> str:
        """Name and radius."""
        return f"defocus {self.radius:.1f}"


@dataclass(frozen=True, kw_only=True)
class DefocusBlur(Effect[DefocusBlurParameters]):
    """Draws the radius of a disk.

    Attributes:
        radius: Range, within 0 to 100 pixels.
    """

    radius: Range = field(default=(0.6, 4.0), metadata=DEFOCUS_RADIUS.range)

    def draw(self, rng: np.random.Generator, frame: Frame) -> DefocusBlurParameters:
        """Draw a radius."""
        return DefocusBlurParameters(radius=drawing.uniform(rng, self.radius))
