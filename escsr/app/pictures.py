"""Crops to look at, before and after, and pictures as a browser shows them."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from escsr.images import Picture
from escsr.inference import Upscaler
from escsr.resize import imresize

CROP = 160
"""Side of the part that a preview shows, in pixels of the upload."""

_AROUND = 16  # pixels beside the crop, so that its border is computed as inside the picture
_SHOWN = 2048  # longest side of a whole picture on the page


@dataclass(frozen=True, kw_only=True)
class Region:
    """A part of a picture.

    Attributes:
        top: First row; likewise ``left``.
        left: See ``top``.
        height: Rows; likewise ``width``.
        width: See ``height``.
    """

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def around(cls, size: tuple[int, int], x: float, y: float, side: int = CROP) -> "Region":
        """The square around a point, moved into the picture.

        Args:
            size: (H, W) of the picture.
            x: Of the point, from 0 (left) to 1 (right).
            y: From 0 (top) to 1 (bottom).
            side: In pixels; less where the picture is smaller.

        Example:
            >>> Region.around((240, 320), 1, 0.5)
            Region(top=40, left=160, height=160, width=160)
        """
        (top, height), (left, width) = (
            _interval(length, min(max(share, 0.0), 1.0), side)
            for length, share in zip(size, (y, x), strict=True)
        )
        return cls(top=top, left=left, height=height, width=width)

    def widened(self, size: tuple[int, int], by: int = _AROUND) -> "Region":
        """With a border, as far as the picture reaches."""
        top, left = max(0, self.top - by), max(0, self.left - by)
        bottom = min(size[0], self.top + self.height + by)
        right = min(size[1], self.left + self.width + by)
        return Region(top=top, left=left, height=bottom - top, width=right - left)

    def of(self, picture: Picture) -> Picture:
        """The part, as a picture."""
        rows = slice(self.top, self.top + self.height)
        columns = slice(self.left, self.left + self.width)
        alpha = None if picture.alpha is None else picture.alpha[rows, columns].copy()
        pixels = picture.pixels[rows, columns].copy()
        return dataclasses.replace(picture, pixels=pixels, alpha=alpha)


def _interval(length: int, share: float, side: int) -> tuple[int, int]:
    side = min(side, length)
    start = round(share * length - side / 2)
    return min(max(start, 0), length - side), side


def preview(
    session: Upscaler,
    picture: Picture,
    region: Region,
    size: tuple[int, int],
    **call: Any,
) -> tuple[Picture, Picture]:
    """A part of a picture as it will be: enlarged by a plain filter, and by the network.

    Near, not equal to what the whole picture will show there: networks look far.

    Args:
        session: The network.
        picture: The upload.
        region: The part.
        size: (H, W) that the whole picture becomes.
        call: ``cancel`` and ``notify`` of the session's call.

    Returns:
        Before and after, of one size.
    """
    wide = region.widened(picture.size)
    factors = [made / side for made, side in zip(size, picture.size, strict=True)]
    part = wide.of(picture)
    made = (max(1, round(wide.height * factors[0])), max(1, round(wide.width * factors[1])))
    after = session(part, size=made, **call)
    before = resized(part, made)
    inner = Region(
        top=round((region.top - wide.top) * factors[0]),
        left=round((region.left - wide.left) * factors[1]),
        height=max(1, round(region.height * factors[0])),
        width=max(1, round(region.width * factors[1])),
    )
    return inner.of(before), inner.of(after)


def zoomed(picture: Picture, percent: int) -> Picture:
    """The middle of a picture, enlarged without smoothing to the size of the whole.

    Args:
        picture: A preview.
        percent: 100 to 400.
    """
    factor = max(1, round(percent / 100))
    if factor == 1:
        return picture
    height, width = (max(1, side // factor) for side in picture.size)
    top, left = (picture.size[0] - height) // 2, (picture.size[1] - width) // 2
    middle = Region(top=top, left=left, height=height, width=width).of(picture)
    alpha = None if middle.alpha is None else _repeated(middle.alpha, factor)
    return dataclasses.replace(middle, pixels=_repeated(middle.pixels, factor), alpha=alpha)


def _repeated(samples: Any, factor: int) -> Any:
    return samples.repeat(factor, axis=0).repeat(factor, axis=1)


def resized(picture: Picture, size: tuple[int, int]) -> Picture:
    """Bicubic, as viewers do it."""
    alpha = None if picture.alpha is None else imresize(picture.alpha, size=size)
    return dataclasses.replace(picture, pixels=imresize(picture.pixels, size=size), alpha=alpha)


def shown_size(size: tuple[int, int]) -> tuple[int, int]:
    """The size at which a whole picture is shown on the page."""
    factor = min(1.0, _SHOWN / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def for_page(picture: Picture, size: tuple[int, int]) -> Picture:
    """A whole picture quickly resized, to look at."""
    import cv2

    if picture.size == size:
        return picture
    smaller = size[0] <= picture.size[0] and size[1] <= picture.size[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    pixels = cv2.resize(picture.pixels, size[::-1], interpolation=way)
    alpha = picture.alpha
    if alpha is not None:
        alpha = cv2.resize(alpha, size[::-1], interpolation=way)
    return dataclasses.replace(picture, pixels=pixels, alpha=alpha)
