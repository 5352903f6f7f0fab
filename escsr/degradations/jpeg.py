"""JPEG as a function on tensors: no entropy coding, so it runs anywhere and has gradients."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from escsr.degradations._checks import check_images, check_one_each, per_image
from escsr.degradations.bounds import JPEG_QUALITY, Choice
from escsr.degradations.color import rgb_to_ycbcr, ycbcr_to_rgb
from escsr.images.jpeg_tables import LUMA_TABLE

JpegTables = Literal["real-esrgan", "standard"]
JPEG_TABLES: tuple[JpegTables, ...] = get_args(JpegTables)
"""Quantization tables that `jpeg_differentiable` knows."""

# ITU-T T.81, annex K.2: rows are vertical frequencies.
CHROMA_TABLE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *[(99,) * 8] * 4,
)


def jpeg_differentiable(
    images: Tensor, qualities: Sequence[float], *, tables: JpegTables = "standard"
) -> Tensor:
    """Compress and decompress as JPEG does, 4:2:0, without a codec.

    The picture is padded with black to multiples of 16; tables are neither rounded nor clipped,
    and chroma is enlarged by repetition: a real decoder (`escsr.degradations.encode_decode`)
    differs by a few steps. Rounding has gradient 1.

    Args:
        images: (B, 3, H, W) float in [0, 1]; clipped to that.
        qualities: For each picture, above 0 to 100, as libjpeg counts.
        tables: "standard", or "real-esrgan": with the luma table transposed, a quirk of the
            pipeline that published models were trained with.

    Returns:
        (B, 3, H, W) in [0, 1].

    Raises:
        TypeError: Pictures that are no floats.
        ValueError: Another shape, a quality out of range, or unknown tables.

    Example:
        >>> jpeg_differentiable(torch.rand(2, 3, 20, 20), [30, 95.5]).shape
        torch.Size([2, 3, 20, 20])

    Source: ITU-T T.81; R. Shin and D. Song, "JPEG-resistant adversarial images", 2017.
    """
    check_images(images)
    check_one_each("qualities", qualities, images)
    Choice(JPEG_TABLES).check("tables", tables)
    for quality in qualities:
        JPEG_QUALITY.check("quality", quality)
    height, width = images.shape[-2:]
    padded = F.pad(images.clamp(0, 1), (0, -width % 16, 0, -height % 16))
    ycbcr = rgb_to_ycbcr(padded) * 255
    factor = per_image([_factor(quality) for quality in qualities], images)
    luma_table, chroma_table = _table(tables).to(images)[:, None, :, :, None]
    luma = _code(ycbcr[:, :1] - 128, luma_table * factor) + 128
    chroma = _code(_halve(ycbcr[:, 1:]), chroma_table * factor)
    chroma = chroma.repeat_interleave(2, -2).repeat_interleave(2, -1)
    rgb = ycbcr_to_rgb(torch.cat([luma, chroma], dim=1))
    return (rgb[..., :height, :width] / 255).clamp(0, 1)


def _factor(quality: float) -> float:
    """The factor by which libjpeg multiplies its tables."""
    return (5000 / quality if quality < 50 else 200 - 2 * quality) / 100


def _code(planes: Tensor, steps: Tensor) -> Tensor:
    """Round the coefficients of 8 × 8 blocks to multiples of ``steps`` (B, 8, 8, 1)."""
    transform = _dct(planes)
    coefficients = _both_axes(_to_blocks(planes), transform)
    some = torch.where(steps > 0, steps, 1)  # at quality 100 they are 0, and nothing is rounded
    rounded = torch.where(steps > 0, _round(coefficients / some) * some, coefficients)
    blocks = _both_axes(rounded, transform.T)
    return _from_blocks(blocks, *planes.shape[1:])


def _halve(planes: Tensor) -> Tensor:
    """Means of 2 × 2."""
    rows = planes[..., ::2, :] + planes[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def _to_blocks(planes: Tensor) -> Tensor:
    """(B, C, H, W) to (B, 8, 8, C · H/8 · W/8): row and column in the block, then the block."""
    batch, channels, height, width = planes.shape
    cut = planes.reshape(batch, channels, height // 8, 8, width // 8, 8)
    return cut.permute(0, 3, 5, 1, 2, 4).reshape(batch, 8, 8, -1)


def _from_blocks(blocks: Tensor, channels: int, height: int, width: int) -> Tensor:
    """Undo `_to_blocks`."""
    cut = blocks.reshape(len(blocks), 8, 8, channels, height // 8, width // 8)
    return cut.permute(0, 3, 4, 1, 5, 2).reshape(len(blocks), channels, height, width)


def _both_axes(blocks: Tensor, matrix: Tensor) -> Tensor:
    """Apply an 8 × 8 matrix to the rows' and the columns' axis of (B, 8, 8, N).

    Sums are taken in a fixed order, not as a matrix product: a last bit that depended on the number
    of threads would occasionally round a coefficient to its neighbour.
    """
    down = matrix.reshape(8, 8, 1, 1)
    half = blocks[:, :1] * down[:, 0]
    for row in range(1, 8):
        half = half + blocks[:, row : row + 1] * down[:, row]
    along = matrix[..., None]
    total = half[:, :, :1] * along[:, 0]
    for column in range(1, 8):
        total = total + half[:, :, column : column + 1] * along[:, column]
    return total


def _dct(like: Tensor) -> Tensor:
    """(8, 8): the orthonormal DCT-II as a matrix."""
    k = np.arange(8)
    matrix = np.cos(np.pi * (2 * k[None] + 1) * k[:, None] / 16) / 2
    matrix[0] /= math.sqrt(2)
    return torch.from_numpy(matrix).to(like)


@lru_cache(maxsize=4)
def _table(tables: JpegTables) -> Tensor:
    luma = np.array(LUMA_TABLE, np.float64)
    return torch.from_numpy(np.stack([luma.T if tables == "real-esrgan" else luma, CHROMA_TABLE]))


class _RoundStraight(torch.autograd.Function):
    """Rounding whose gradient is 1."""

    @staticmethod
    def forward(_context: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(_context: Any, *gradients: Any) -> Any:
        return gradients[0]


def _round(x: Tensor) -> Tensor:
    if not x.requires_grad:
        return x.round()
    result: Tensor = _RoundStraight.apply(x)
    return result
