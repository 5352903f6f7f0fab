"""The bounds of the numbers of effects, each stated once, here.

Functions check their arguments by these bounds, and effects name them in the metadata of their
fields, which `Parameters` and `Effect` check on construction.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Check = Callable[[str, Any], None]
"""Called with the name and the value of a field; raises ValueError if the value is impossible."""

_CHECK = "escsr.check"


def checked_by(check: Check) -> Mapping[str, Any]:
    """Make the metadata of a field that is checked by a function.

    Example:
        >>> def check_even(name: str, value: int) -> None: ...
        >>> @dataclass(frozen=True)
        ... class Halves(Effect[HalvesParameters]):
        ...     side: int = dataclasses.field(default=2, metadata=checked_by(check_even))
    """
    return {_CHECK: check}


def check_fields(instance: Any) -> None:
    """Check every field of a dataclass that has a check in its metadata.

    Raises:
        ValueError: A value is impossible; the message gives the field's name, the value and the
            allowed values.
    """
    for field in dataclasses.fields(instance):
        check: Check | None = field.metadata.get(_CHECK)
        if check is not None:
            check(field.name, getattr(instance, field.name))


@dataclass(frozen=True)
class Bounds:
    """The numbers that are allowed.

    Attributes:
        least: Smallest number.
        most: Largest number; may be infinite.
        unit: Unit, for messages.
        whole: Whether only integers are allowed.

    Example:
        >>> sigma = Bounds(0, 255, "8-bit steps")
        >>> sigma.check("sigma", 300)
        Traceback (most recent call last):
        ...
        ValueError: sigma must be a number, 0 to 255 8-bit steps, got 300
    """

    least: float
    most: float
    unit: str = ""
    whole: bool = False

    def __str__(self) -> str:
        top = f" to {self.most:g}" if math.isfinite(self.most) else ""
        unit = f" {self.unit}" if self.unit else ""
        return f"{'' if top else 'at least '}{self.least:g}{top}{unit}"

    def check(self, name: str, value: Any) -> None:
        """Refuse anything but a finite number within the bounds."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and self.least <= value <= self.most):
            raise ValueError(f"{name} must be a number, {self}, got {value!r}")
        if self.whole and not isinstance(value, int):
            raise ValueError(f"{name} must be a whole number, got {value!r}")

    def check_range(self, name: str, value: Any) -> None:
        """Refuse anything but a pair (low, high) within the bounds, with low <= high."""
        self.check_pair(name, value, "(low, high)")
        if value[0] > value[1]:
            raise ValueError(f"{name} must be (low, high) with low <= high, got {value!r}")

    def check_pair(self, name: str, value: Any, parts: str) -> None:
        """Refuse anything but two numbers within the bounds; ``parts`` names them in messages."""
        if not isinstance(value, Sequence) or len(value) != 2:
            raise ValueError(f"{name} must be a pair {parts}, each {self}, got {value!r}")
        for end in value:
            self.check(name, end)

    def check_several(self, name: str, values: Any) -> None:
        """Refuse anything but a non-empty sequence of numbers within the bounds."""
        if not isinstance(values, Sequence) or not values:
            raise ValueError(f"{name} must hold at least one number, {self}, got {values!r}")
        for value in values:
            self.check(name, value)

    @property
    def one(self) -> Mapping[str, Any]:
        """Metadata of a field that holds one number."""
        return checked_by(self.check)

    @property
    def range(self) -> Mapping[str, Any]:
        """Metadata of a field that holds a range (low, high) to draw from."""
        return checked_by(self.check_range)

    @property
    def several(self) -> Mapping[str, Any]:
        """Metadata of a field that holds numbers to choose from."""
        return checked_by(self.check_several)


class _KernelSide(Bounds):
    """Odd numbers only."""

    def check(self, name: str, value: Any) -> None:
        """Refuse even numbers, too."""
        super().check(name, value)
        if value % 2 == 0:
            raise ValueError(f"{name} must be odd, so that the kernel has a centre, got {value}")


@dataclass(frozen=True)
class Choice:
    """A list of allowed values.

    Attributes:
        options: The allowed values.
    """

    options: Sequence[Any]

    def check(self, name: str, value: Any) -> None:
        """Refuse anything but one of the options."""
        if value not in self.options:
            raise ValueError(f"{name} must be one of {self}, got {value!r}")

    def check_several(self, name: str, values: Any) -> None:
        """Refuse anything but a non-empty sequence of the options."""
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise ValueError(f"{name} must hold at least one of {self}, got {values!r}")
        for value in values:
            self.check(name, value)

    def __str__(self) -> str:
        return ", ".join(map(str, self.options))

    @property
    def one(self) -> Mapping[str, Any]:
        """Metadata of a field that holds one of the options."""
        return checked_by(self.check)

    @property
    def several(self) -> Mapping[str, Any]:
        """Metadata of a field that holds options to choose from."""
        return checked_by(self.check_several)


PROBABILITY = Bounds(0, 1)
WEIGHT = Bounds(0, 1e9)
SEED = Bounds(0, 2**53, whole=True)
FLAG = Choice((False, True))

KERNEL_SIDE = _KernelSide(1, 999, "pixels", whole=True)
BLUR_SIGMA = Bounds(1e-3, 1e3, "pixels")
BLUR_BETA = Bounds(1e-3, 1e3)
ANGLE = Bounds(-1e3, 1e3, "radians")
CUTOFF = Bounds(1e-3, math.pi, "radians per pixel")
MOTION_LENGTH = Bounds(0, 200, "pixels")
DEFOCUS_RADIUS = Bounds(0, 100, "pixels")

SHARPENING = Bounds(0, 10)
USM_SIDE = Bounds(1, 997, "pixels", whole=True)
USM_THRESHOLD = Bounds(0, 255, "8-bit steps")
OVERSHARPEN_SIGMA = Bounds(0.1, 20, "pixels")

NOISE_SIGMA = Bounds(0, 255, "8-bit steps")
POISSON_SCALE = Bounds(0, 10)
CAMERA_NOISE = Bounds(0, 1)
GRAIN = Bounds(0, 5, "pixels")

RESIZE_FACTOR = Bounds(0.01, 16)
LEVELS = Bounds(2, 65536, whole=True)
CHROMA_FACTOR = Bounds(1, 16, "pixels", whole=True)

JPEG_QUALITY = Bounds(0.1, 100)
FILE_QUALITY = Bounds(1, 100, whole=True)
CRF = Bounds(1, 51, whole=True)
MPEG4_QUANTIZER = Bounds(1, 31, whole=True)
CLIP_LENGTH = Bounds(1, 30, "frames", whole=True)
PAN = Bounds(-32, 32, "pixels", whole=True)
PAN_SIZE = Bounds(0, PAN.most, "pixels", whole=True)


def check_motion(name: str, value: Any) -> None:
    """Refuse anything but a possible movement (down, right) of video frames."""
    PAN.check_pair(name, value, "(down, right)")


def video_quality(codec: str) -> Bounds:
    """The qualities that a video codec accepts: CRF, or the quantizer of MPEG-4."""
    return MPEG4_QUANTIZER if codec == "mpeg4" else CRF
