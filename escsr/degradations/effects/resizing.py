"""Changes of size, drawn per picture."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
from torch import Tensor

from escsr.degradations._checks import Range, Size, check_size
from escsr.degradations.bounds import FLAG, RESIZE_FACTOR, WEIGHT, Choice, checked_by
from escsr.degradations.codecs import from_pixels, to_pixels
from escsr.degradations.effect import EFFECTS, Effect, Frame, Parameters
from escsr.degradations.effects import _drawing as drawing
from escsr.degradations.resizing import RESIZE_MODES, ResizeMode, resize
from escsr.resize import imresize

_SIZE = checked_by(check_size)
_MODE = Choice(RESIZE_MODES)


def _check_factors(name: str, value: Any) -> None:
    RESIZE_FACTOR.check_range(name, value)
    if not value[0] <= 1 <= value[1]:
        raise ValueError(f"{name} must enclose 1, got {value!r}")


@EFFECTS.register("resize")
@dataclass(frozen=True, kw_only=True)
class ResizeParameters(Parameters):
    """A change of size; see `escsr.degradations.resize`.

    Attributes:
        size: (H, W) of the result, each at least 1 pixel.
        mode: "area", "bilinear" or "bicubic".
        antialias: Whether the filter is widened when shrinking; not for "area".
    """

    effect: ClassVar[str] = "resize"
    size: Size = field(metadata=_SIZE)
    mode: ResizeMode = field(metadata=_MODE.one)
    antialias: bool = field(default=False, metadata=FLAG.one)

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.antialias and self.mode == "area":
            raise ValueError('mode "area" is a mean already; leave antialias out')

    @classmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Resize all to the one size; bicubic may overshoot."""
        first = parameters[0]
        return resize(images, first.size, mode=first.mode, antialias=first.antialias)

    def size_after(self, size: Size) -> Size:
        """The size made."""
        return self.size

    def batch_key(self) -> Hashable:
        """One size and one filter for a batch."""
        return self.size, self.mode, self.antialias

    def describe(self) -> str:
        """Filter and size."""
        return f"{self.mode} {self.size[1]}x{self.size[0]}"


@dataclass(frozen=True, kw_only=True)
class Resize(Effect[ResizeParameters]):
    """Draws a factor up, down or none, as Real-ESRGAN does. The defaults are its first resize.

    Attributes:
        up: Share of enlarging, by a factor in [1, scale[1]].
        down: Share of shrinking, by a factor in [scale[0], 1].
        keep: Share of doing neither.
        scale: (smallest, largest) factor, the first at most 1, the second at least 1.
        of: What the factor refers to: "now", the picture at this point, or "lq", the final size.
        modes: Filters to choose from.
        antialias: Whether filters are widened when shrinking (never "area"). Real-ESRGAN: no.
    """

    up: float = field(default=0.2, metadata=WEIGHT.one)
    down: float = field(default=0.7, metadata=WEIGHT.one)
    keep: float = field(default=0.1, metadata=WEIGHT.one)
    scale: Range = field(default=(0.15, 1.5), metadata=checked_by(_check_factors))
    of: Literal["now", "lq"] = field(default="now", metadata=Choice(("now", "lq")).one)
    modes: tuple[ResizeMode, ...] = field(default=RESIZE_MODES, metadata=_MODE.several)
    antialias: bool = field(default=False, metadata=FLAG.one)

    def __post_init__(self) -> None:
        """Check also that something can be drawn."""
        super().__post_init__()
        drawing.check_weights("up, down, keep", (self.up, self.down, self.keep))

    def draw(self, rng: np.random.Generator, frame: Frame) -> ResizeParameters:
        """Draw a factor and a filter."""
        shares = (self.up, self.down, self.keep)
        ends = drawing.pick_weighted(
            rng, ((1.0, self.scale[1]), (self.scale[0], 1.0), (1.0, 1.0)), shares
        )
        factor = drawing.uniform(rng, ends)
        height, width = frame.size if self.of == "now" else frame.lq_size
        size = max(1, int(height * factor)), max(1, int(width * factor))
        mode = drawing.pick(rng, self.modes)
        antialias = self.antialias and mode != "area"
        return ResizeParameters(size=size, mode=mode, antialias=antialias)


@dataclass(frozen=True, kw_only=True)
class ResizeToLq(Effect[ResizeParameters]):
    """Draws a filter and resizes to the final size of the pipeline.

    Attributes:
        modes: Filters to choose from.
        antialias: Whether filters are widened when shrinking (never "area"). Real-ESRGAN: no.
    """

    modes: tuple[ResizeMode, ...] = field(default=RESIZE_MODES, metadata=_MODE.several)
    antialias: bool = field(default=False, metadata=FLAG.one)

    def draw(self, rng: np.random.Generator, frame: Frame) -> ResizeParameters:
        """Draw a filter."""
        mode = drawing.pick(rng, self.modes)
        antialias = self.antialias and mode != "area"
        return ResizeParameters(size=frame.lq_size, mode=mode, antialias=antialias)


@EFFECTS.register("matlab_bicubic")
@dataclass(frozen=True, kw_only=True)
class MatlabBicubicParameters(Parameters):
    """MATLAB's 8-bit ``imresize``, as benchmarks are made; see `escsr.resize.imresize`.

    Attributes:
        size: (H, W) of the result, each at least 1 pixel.
    """

    effect: ClassVar[str] = "matlab_bicubic"
    size: Size = field(metadata=_SIZE)

    @classmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Round to 8 bits and resize all to the one size, on the CPU."""
        size = parameters[0].size
        return from_pixels([imresize(pixels, size=size) for pixels in to_pixels(images)], images)

    def size_after(self, size: Size) -> Size:
        """The size made."""
        return self.size

    def batch_key(self) -> Size:
        """One size for a batch."""
        return self.size

    def describe(self) -> str:
        """Filter and size."""
        return f"matlab {self.size[1]}x{self.size[0]}"


@dataclass(frozen=True, kw_only=True)
class MatlabBicubic(Effect[MatlabBicubicParameters]):
    """Goes to the LQ size by MATLAB's bicubic; draws nothing."""

    def draw(self, rng: np.random.Generator, frame: Frame) -> MatlabBicubicParameters:
        """Take the LQ size."""
        return MatlabBicubicParameters(size=frame.lq_size)
