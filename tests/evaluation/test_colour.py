"""Oracles: tables of CIELAB, and what a shift of colours must and must not react to."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from escsr.evaluation import colour_shift

PHOTO = cv2.imread(str(Path(__file__).parents[1] / "data" / "photo.png"), cv2.IMREAD_COLOR_RGB)


# CIELAB (D65) of sRGB primaries as colour tables give them, and a gray by the formula of L.
LAB = {
    (255, 0, 0): (53.2408, 80.0925, 67.2032),
    (0, 255, 0): (87.7347, -86.1827, 83.1793),
    (0, 0, 255): (32.2970, 79.1875, -107.8602),
    (255, 255, 255): (100, 0, 0),
    (0, 0, 0): (0, 0, 0),
}


def gray(level: int) -> float:
    """Lightness: 116 * cube root of the linear value - 16."""
    return 116 * (((level / 255 + 0.055) / 1.055) ** 2.4) ** (1 / 3) - 16


@pytest.mark.parametrize("a", LAB)
@pytest.mark.parametrize("b", LAB)
def test_flat_colours_differ_as_tables_say(a, b):
    sr, gt = (np.full((40, 50, 3), colour, np.uint8) for colour in (a, b))
    expected = np.linalg.norm(np.subtract(LAB[a], LAB[b]))
    assert colour_shift(sr, gt) == pytest.approx(expected, abs=0.01)


def test_cells_by_hand():
    # Left half equal, right half of another gray: half the difference, cells of 32 pixels.
    gt = np.full((32, 64, 3), 120, np.uint8)
    sr = gt.copy()
    sr[:, 32:] = 130
    assert colour_shift(sr, gt) == pytest.approx((gray(130) - gray(120)) / 2, abs=1e-3)
    # One cell over everything sees the mean of both halves.
    assert colour_shift(sr, gt, cell=64) == pytest.approx(gray(125) - gray(120), abs=1e-3)


def test_softness_is_no_shift_but_tint_is():
    soft = cv2.GaussianBlur(PHOTO, (0, 0), 1.5, borderType=cv2.BORDER_REFLECT)
    tinted = np.clip(PHOTO.astype(int) + [3, 0, -3], 0, 255).astype(np.uint8)
    assert colour_shift(PHOTO, PHOTO) == 0
    assert colour_shift(soft, PHOTO) < 0.6
    assert colour_shift(tinted, PHOTO) > 2


def test_reference_of_another_size():
    height, width = (n // 4 * 4 for n in PHOTO.shape[:2])
    gt = PHOTO[:height, :width]
    small = gt.reshape(height // 4, 4, width // 4, 4, 3).mean(axis=(1, 3))
    assert colour_shift(gt, small) < 0.5
    assert colour_shift(gt, np.clip(small + 8, 0, 255)) > 2
    # Sides that are no multiples of the cells: shares of pixels, and the mean stays the mean.
    odd = np.full((37, 53, 3), 90.0)
    assert colour_shift(odd, odd[:9, :11]) == pytest.approx(0, abs=1e-12)


def test_errors():
    with pytest.raises(ValueError, match="sr must be"):
        colour_shift(np.zeros((4, 4)), np.zeros((4, 4, 3)))
    with pytest.raises(ValueError, match="cell"):
        colour_shift(np.zeros((4, 4, 3)), np.zeros((4, 4, 3)), cell=0)
