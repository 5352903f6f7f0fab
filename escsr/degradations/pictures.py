"""Degrading whole pictures with a pipeline, for ``escsr degrade`` and the app."""

import math
import zlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from escsr.degradations.pipeline import Draw, Pipeline, degrade
from escsr.degradations.sheet import contact_sheet
from escsr.images import from_float, to_float

Pixels = npt.NDArray[np.uint8]

_CELL = 256  # side of a picture's cell in a sheet


def draw_for(
    pipeline: Pipeline, size: tuple[int, ...], scale: float, seeds: tuple[int, ...]
) -> Draw:
    """Draw for a picture; for a whole scale it is cropped at the bottom and right to multiples.

    Args:
        pipeline: The pipeline to draw from.
        size: (H, W) of the picture.
        scale: Reduction factor, at least 1.
        seeds: Whole numbers of at least 0.

    Raises:
        ValueError: If the scale or a seed is out of its range.
    """
    if not (math.isfinite(scale) and scale >= 1):
        raise ValueError(f"the scale must be at least 1, not {scale:g}")
    if min(seeds) < 0:
        raise ValueError(f"the seed must be a whole number of at least 0, not {min(seeds)}")
    height, width = size
    lq_size = max(1, int(height / scale + 1e-9)), max(1, int(width / scale + 1e-9))
    if scale == int(scale) and min(height, width) >= scale:
        height, width = lq_size[0] * int(scale), lq_size[1] * int(scale)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seeds)))
    return pipeline.draw(rng, size=(height, width), lq_size=lq_size)


def stream_of(name: bytes) -> int:
    """The second seed of a file, so that each file has its own draws.

    Args:
        name: Name of the file, within its folder.
    """
    return zlib.crc32(name)


def apply_draw(pixels: Pixels, draw: Draw) -> Pixels:
    """Make the low-quality picture of a draw.

    Args:
        pixels: (H, W, 3) RGB; cropped to the draw's size.
        draw: From `draw_for`.

    Raises:
        ValueError: If the picture is smaller than the draw's.
    """
    height, width = draw.size
    if pixels.shape[0] < height or pixels.shape[1] < width:
        raise ValueError(
            f"the draw is for {width}×{height} and the picture has "
            f"{pixels.shape[1]}×{pixels.shape[0]}"
        )
    image = torch.from_numpy(to_float(pixels[:height, :width]))[None]
    lq: Pixels = from_float(degrade(image, [draw])[0].numpy())
    return lq


def sheet_of_draws(
    pipeline: Pipeline, read: Callable[[int], Pixels], *, scale: float, seed: int, count: int
) -> Pixels:
    """Several draws side by side, each with its steps below.

    Args:
        pipeline: The pipeline to draw from.
        read: Returns the picture for a draw, by the draw's number.
        scale: See `draw_for`.
        seed: Seed of the draws.
        count: Number of draws.
    """
    pictures, captions = [], []
    for number in range(count):
        pixels = _middle(read(number), _CELL)
        draw = draw_for(pipeline, pixels.shape[:2], scale, (seed, number, 1))
        pictures.append(apply_draw(pixels, draw))
        captions.append(draw.describe())
    return contact_sheet(pictures, captions)


def _middle(pixels: Pixels, side: int) -> Pixels:
    top, left = max(0, pixels.shape[0] - side) // 2, max(0, pixels.shape[1] - side) // 2
    return pixels[top : top + side, left : left + side]
