"""Revealing parts of pictures, kept for the report page."""

import re
import zlib
from pathlib import Path

import numpy as np

from escsr.evaluation.catalogue import Array, Rgb
from escsr.images import Picture, write_image
from escsr.resize import imresize

__all__ = ["Region", "choose_region", "cut", "enlarge_by_repeating", "save_picture", "slug"]

Region = tuple[int, int, int, int]
"""(top, left, height, width) in pixels of the result."""


def choose_region(lq: Rgb, gt: Rgb | None, size: tuple[int, int], side: int) -> Region:
    """The square where bicubic enlargement errs most, and so where models differ most.

    Without a ground truth it is the square with the most contrast. It depends on no model.

    Args:
        lq: (h, w, 3).
        gt: (H, W, 3), or None.
        size: (H, W) of the result.
        side: Side of the square; a smaller picture is used at its full width or height.

    Returns:
        The region; of equal ones the first, counting from the top left.
    """
    bicubic = imresize(lq, size=size, round_between=False).astype(np.float64)
    off = bicubic - (bicubic.mean(axis=(0, 1)) if gt is None else gt)
    energy = np.square(off).sum(axis=2)
    height, width = min(side, size[0]), min(side, size[1])
    sums = np.pad(energy, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    total = (sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width]) + sums[
        :-height, :-width
    ]
    top, left = np.unravel_index(int(np.argmax(total)), total.shape)
    return int(top), int(left), height, width


def cut(image: Array, region: Region) -> Rgb:
    """The region of a picture from 0 to 255, as uint8."""
    top, left, height, width = region
    part = image[top : top + height, left : left + width]
    if part.dtype == np.uint8:
        return np.ascontiguousarray(part)
    rounded: Rgb = np.floor(np.clip(part, 0, 255) + 0.5).astype(np.uint8)
    return rounded


def enlarge_by_repeating(lq: Rgb, size: tuple[int, int]) -> Rgb:
    """The model's input at the size of the result, every pixel as a block."""
    rows, columns = (
        ((np.arange(out) + 0.5) * (given / out)).astype(np.intp)
        for out, given in zip(size, lq.shape[:2], strict=True)
    )
    repeated: Rgb = lq[rows[:, None], columns]
    return repeated


def save_picture(path: Path, pixels: Rgb) -> None:
    """Write a picture file, creating its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, Picture(pixels=pixels))


def slug(text: str) -> str:
    """A file name for any text; different texts give different names."""
    plain = re.sub(r"[^\w.+-]+", "_", text).strip("._") or "_"
    return plain if plain == text else f"{plain}-{zlib.crc32(text.encode()):08x}"
