"""JPEG quantisation tables and the quality they correspond to."""

import numpy as np
from numpy.typing import NDArray

LUMA_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""ITU-T T.81, annex K.1: rows are vertical frequencies."""


def luma_table(quality: int) -> NDArray[np.int64]:
    """The table that libjpeg uses at a quality from 1 to 100, (8, 8)."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    table: NDArray[np.int64] = np.clip((np.array(LUMA_TABLE) * percent + 50) // 100, 1, 255)
    return table


def quality_of(total: int) -> float:
    """The quality at which libjpeg's luma table has this sum.

    The tables of other programs differ; they are rated by how coarse they are.
    """
    percent = 100 * total / np.sum(LUMA_TABLE)
    return float(100 - percent / 2 if percent <= 100 else 5000 / percent)
