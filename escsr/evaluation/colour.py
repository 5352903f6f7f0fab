"""How far colours drift: a figure for what PSNR hides and users see first."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["colour_shift"]

Array = npt.NDArray[Any]
Plane = npt.NDArray[np.float64]

_CELL = 32

# IEC 61966-2-1 (sRGB, D65) to XYZ, each row divided by the white point.
_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_TO_XYZ /= _TO_XYZ.sum(axis=1, keepdims=True)


def colour_shift(sr: Array, reference: Array, *, cell: int = _CELL) -> float:
    """Mean colour difference of the coarse picture: drift of tint and brightness.

    Both pictures are divided into the same grid of about ``cell`` x ``cell`` pixels of ``sr``. The
    stored values of each cell are averaged, both averages become CIELAB, and their distances
    (delta E, CIE 1976) are averaged over the cells. Averages of stored values are what linear
    filters keep, so a picture that is only sharper or softer has no shift. A delta E of about 1 is
    just visible side by side; 2.3 is noticeable.

    The reference may be of another size, e.g. the low-quality picture that ``sr`` was made from:
    a cell then covers the same part of the scene.

    Args:
        sr: (H, W, 3) RGB on 0 to 255, uint8 or float, taken as sRGB.
        reference: (H', W', 3), likewise.
        cell: Side of a cell in pixels of ``sr``, at least 1.

    Returns:
        Delta E, from 0.

    Raises:
        ValueError: Another shape, or a cell below 1.

    Example:
        >>> dark, bright = np.full((64, 64, 3), 100), np.full((16, 16, 3), 105)
        >>> round(colour_shift(dark, bright), 2)
        2.04
    """
    for name, image in (("sr", sr), ("reference", reference)):
        if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise ValueError(f"{name} must be (H, W, 3), got {image.shape}")
    if cell < 1:
        raise ValueError(f"cell must be at least 1 pixel, got {cell}")
    grid = (max(1, round(sr.shape[0] / cell)), max(1, round(sr.shape[1] / cell)))
    difference = _to_lab(_averages(sr, grid)) - _to_lab(_averages(reference, grid))
    return float(np.mean(np.sqrt(np.sum(difference**2, axis=-1))))


def _averages(image: Array, grid: tuple[int, int]) -> Plane:
    """(H, W, 3) to the mean of each cell; pixels on a border count with the part inside."""
    rows, columns = (_shares(n, cells) for n, cells in zip(image.shape[:2], grid, strict=True))
    lines = rows @ image.astype(np.float64).reshape(len(image), -1)
    means: Plane = np.matmul(columns, lines.reshape(grid[0], *image.shape[1:]))
    return means


def _shares(length: int, cells: int) -> Plane:
    """(cells, length): the share of each cell that each pixel makes up."""
    edges = np.arange(cells + 1) * (length / cells)
    pixels = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    overlap = np.clip(overlap, 0, None)
    shares: Plane = overlap / overlap.sum(axis=1, keepdims=True)
    return shares


def _to_lab(rgb: Plane) -> Plane:
    """To CIELAB under D65, from sRGB on 0 to 255."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T
    cut = (6 / 29) ** 3
    f = np.where(xyz > cut, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
