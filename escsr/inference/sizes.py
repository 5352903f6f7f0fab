"""Target sizes: all the ways to give one, and the resulting size."""

import numbers
from collections.abc import Sequence
from dataclasses import dataclass, fields

from escsr.model import MAX_SCALE


@dataclass(frozen=True, kw_only=True)
class SizeRequest:
    """A requested size, given in one of six ways, independent of a picture.

    Attributes:
        scale: Factor of both sides, above 0 and up to 30; below 1 shrinks.
        size: (H_out, W_out) in pixels; each side has its own scale.
        width: Output width in pixels; the height follows from the picture's shape.
        height: Output height in pixels; the width follows.
        min_side: Length of the shorter side in pixels; the longer follows.
        max_side: Length of the longer side in pixels; the shorter follows.

    Raises:
        ValueError: If more than one is given, or a value is out of its range.
        TypeError: If a value is not a number, or ``size`` not a pair of whole numbers.

    Example:
        >>> SizeRequest(width=3840).of(1000, 1500)
        (2560, 3840)
        >>> SizeRequest(scale=2.5).of(17, 31)
        (42, 78)
    """

    scale: float | None = None
    size: tuple[int, int] | None = None
    width: int | None = None
    height: int | None = None
    min_side: int | None = None
    max_side: int | None = None

    def __post_init__(self) -> None:
        """Check everything that can be checked without a picture."""
        names = [field.name for field in fields(self)]
        given = [f"{name}={value}" for name in names if (value := getattr(self, name)) is not None]
        if len(given) > 1:
            raise ValueError(
                f"give one of {', '.join(names[:-1])} and {names[-1]}, not {' and '.join(given)}"
            )
        if self.scale is not None:
            _check_scale(self.scale)
        if self.size is not None:
            _check_size(self.size)
        for name in ("width", "height", "min_side", "max_side"):
            if (pixels := getattr(self, name)) is not None:
                _check_pixels(name, pixels)

    @property
    def is_open(self) -> bool:
        """Whether no size was requested, so that the network's own scale applies."""
        return all(getattr(self, field.name) is None for field in fields(self))

    def of(self, height: int, width: int) -> tuple[int, int]:
        """The resulting size for a picture.

        A side that follows is rounded to the nearest pixel and is at least one.

        Args:
            height: Rows of the picture.
            width: Its columns.

        Returns:
            (H_out, W_out).

        Raises:
            ValueError: If no size was requested, or a side would grow more than 30 times.
        """
        made = self._of(height, width)
        if made[0] > MAX_SCALE * height or made[1] > MAX_SCALE * width:
            largest = max(made[0] / height, made[1] / width)
            raise ValueError(
                f"{made[1]}×{made[0]} pixels (W×H) of a picture of {width}×{height} is an "
                f"enlargement of {largest:.4g} times; at most {MAX_SCALE:g} times are made"
            )
        return made

    def _of(self, height: int, width: int) -> tuple[int, int]:
        if self.scale is not None:
            # Python's rounding, as in `SuperResolver`, so that both give the same size for a scale.
            return max(1, round(height * self.scale)), max(1, round(width * self.scale))
        if self.size is not None:
            return int(self.size[0]), int(self.size[1])
        if self.width is not None:
            return _followed(height, self.width, width), int(self.width)
        if self.height is not None:
            return int(self.height), _followed(width, self.height, height)
        if self.min_side is None and self.max_side is None:
            raise ValueError("no size was asked: give a scale, a size, a width or a height")
        by_height = (height <= width) == (self.min_side is not None)
        side = self.min_side if self.min_side is not None else self.max_side
        same = SizeRequest(height=side) if by_height else SizeRequest(width=side)
        return same._of(height, width)


def _followed(side: int, made: int, of: int) -> int:
    """``side`` times ``made / of`` in whole pixels, computed exactly; halves are rounded up."""
    return max(1, (2 * side * int(made) + of) // (2 * of))


def _check_scale(scale: object) -> None:
    if isinstance(scale, bool) or not isinstance(scale, numbers.Real):
        raise TypeError(f"scale must be a number above 0 and up to {MAX_SCALE:g}, not {scale!r}")
    if not 0 < float(scale) <= MAX_SCALE:
        raise ValueError(f"scale must be a number above 0 and up to {MAX_SCALE:g}, not {scale}")


def _check_size(size: object) -> None:
    pair = isinstance(size, Sequence) and not isinstance(size, str) and len(size) == 2
    if not pair or not all(_is_whole(side) for side in size):  # type: ignore[attr-defined]
        raise TypeError(f"size must be two whole numbers (H, W), not {size!r}")
    if min(size) < 1:  # type: ignore[call-overload]
        raise ValueError(f"both sides of size (H, W) must be at least 1, not {size!r}")


def _check_pixels(name: str, pixels: object) -> None:
    if not _is_whole(pixels):
        raise TypeError(f"{name} must be a whole number of pixels, not {pixels!r}")
    if pixels < 1:  # type: ignore[operator]
        raise ValueError(f"{name} must be at least 1 pixel, not {pixels}")


def _is_whole(number: object) -> bool:
    return isinstance(number, numbers.Integral) and not isinstance(number, bool)
