"""Colour: luma and chroma, chroma at a lower resolution, and too few levels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from escsr.degradations._checks import check_images, check_one_each
from escsr.degradations.bounds import CHROMA_FACTOR, LEVELS
from escsr.degradations.resizing import resize
from escsr.layers import reflect_pad


def rgb_to_ycbcr(images: Tensor) -> Tensor:
    """Turn RGB into JFIF's full-range YCbCr (ITU-T T.871).

    Args:
        images: (B, 3, H, W) float in [0, 1].

    Returns:
        (B, 3, H, W): Y in [0, 1], Cb and Cr in [-0.5, 0.5].

    Raises:
        TypeError: Pictures that are no floats.
        ValueError: Another shape.
    """
    check_images(images)
    r, g, b = images.chunk(3, dim=1)
    # Written out: the last bit of a matrix product depends on the number of threads.
    y = 0.299 * r + 0.587 * g + 0.114 * b
    cb = -0.168736 * r - 0.331264 * g + 0.5 * b
    cr = 0.5 * r - 0.418688 * g - 0.081312 * b
    return torch.cat([y, cb, cr], dim=1)


def ycbcr_to_rgb(images: Tensor) -> Tensor:
    """Undo `rgb_to_ycbcr`.

    Args:
        images: (B, 3, H, W) float: Y in [0, 1], Cb and Cr in [-0.5, 0.5].

    Returns:
        (B, 3, H, W) RGB, not clipped.

    Raises:
        TypeError: Pictures that are no floats.
        ValueError: Another shape.
    """
    check_images(images)
    y, cb, cr = images.chunk(3, dim=1)
    return torch.cat([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], dim=1)


def to_gray(images: Tensor) -> Tensor:
    """Luma of RGB pictures, 0.2989 R + 0.587 G + 0.114 B, as (B, 1, H, W)."""
    check_images(images)
    r, g, b = images.chunk(3, dim=1)
    luma: Tensor = 0.2989 * r + 0.587 * g + 0.114 * b
    return luma


def subsample_chroma(images: Tensor, factor: int, *, smooth: bool = True) -> Tensor:
    """Keep colour at a lower resolution than brightness, as video and phones do.

    Args:
        images: (B, 3, H, W) float in [0, 1].
        factor: Chroma pixels are means of factor × factor pixels, 1 (nothing) to 16.
        smooth: Enlarge chroma bilinearly; otherwise by repetition, which leaves jagged edges.

    Returns:
        (B, 3, H, W), clipped to [0, 1].

    Raises:
        TypeError: Pictures that are no floats.
        ValueError: Another shape, or a factor out of range.
    """
    check_images(images)
    CHROMA_FACTOR.check("factor", factor)
    height, width = images.shape[-2:]
    ycbcr = rgb_to_ycbcr(images)
    # Whole cells; beyond the border the picture is mirrored.
    whole = reflect_pad(ycbcr[:, 1:], right=-width % factor, bottom=-height % factor)
    cells = (whole.shape[-2] // factor, whole.shape[-1] // factor)
    chroma = resize(whole, cells, mode="area")
    if smooth:
        chroma = resize(chroma, (cells[0] * factor, cells[1] * factor))
    else:
        chroma = chroma.repeat_interleave(factor, -2).repeat_interleave(factor, -1)
    chroma = chroma[..., :height, :width]
    return ycbcr_to_rgb(torch.cat([ycbcr[:, :1], chroma], dim=1)).clamp(0, 1)


def quantize(images: Tensor, levels: Sequence[int]) -> Tensor:
    """Round to a number of evenly spaced levels: a few levels cause bands in a smooth sky.

    Args:
        images: (B, C, H, W) float in [0, 1].
        levels: Levels per channel for each picture, 2 to 65536; 256 is 8 bits.

    Returns:
        (B, C, H, W) in [0, 1], multiples of 1 / (levels - 1).

    Raises:
        TypeError: Pictures that are no floats.
        ValueError: Another shape, a number out of range, or another number of them.
    """
    check_images(images, channels=None)
    check_one_each("levels", levels, images)
    for count in levels:
        LEVELS.check("levels", count)
    top = torch.tensor(levels, dtype=images.dtype, device=images.device).view(-1, 1, 1, 1) - 1
    return (images.clamp(0, 1) * top).round() / top
