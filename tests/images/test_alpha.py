"""Colour under transparency. Oracles: pictures of one colour, compositing, and a plain loop."""

import numpy as np
import pytest

from escsr.images import fill_transparent, resize_with_alpha
from escsr.resize import imresize

SHAPES = [(1, 1), (1, 9), (8, 1), (5, 3), (37, 50), (64, 64)]


def blob(height: int, width: int, dtype: type) -> np.ndarray:
    """Alpha of a soft disc."""
    y, x = np.mgrid[:height, :width]
    far = np.hypot(y - height / 2, x - width / 2)
    return np.rint(np.clip(min(height, width) / 3 - far, 0, 1) * np.iinfo(dtype).max).astype(dtype)


def over(pixels: np.ndarray, alpha: np.ndarray, ground: float) -> np.ndarray:
    """Laid on a gray ground, in [0, 1]."""
    top = np.iinfo(pixels.dtype).max
    cover = alpha[..., None] / top
    return pixels / top * cover + ground * (1 - cover)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", SHAPES)
def test_one_visible_colour_is_spread_everywhere(shape, dtype):
    rng = np.random.default_rng(3)
    top = np.iinfo(dtype).max
    for share in (0.02, 0.3, 0.9):
        alpha = (rng.random(shape) < share) * rng.integers(1, top + 1, shape)
        alpha = alpha.astype(dtype)
        alpha[0, 0] = 1  # the least that is visible
        colour = rng.integers(0, top + 1, 3).astype(dtype)
        pixels = np.where(alpha[..., None] > 0, colour, 0).astype(dtype)
        assert (fill_transparent(pixels, alpha) == colour).all()


def test_what_is_visible_stays_and_the_input_too():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (41, 30, 3), dtype=np.uint8)
    alpha = blob(41, 30, np.uint8)
    before = pixels.copy()
    filled = fill_transparent(pixels, alpha)
    assert np.array_equal(filled[alpha > 0], before[alpha > 0])
    assert np.array_equal(pixels, before)
    # The hidden colours have no say.
    other = np.where(alpha[..., None] > 0, pixels, 255 - pixels)
    assert np.array_equal(fill_transparent(other, alpha), filled)


def test_nothing_to_fill_and_nothing_to_fill_from():
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    for alpha in (np.zeros((4, 5), np.uint8), np.full((4, 5), 7, np.uint8)):
        assert np.array_equal(fill_transparent(pixels, alpha), pixels)


def test_a_pixel_takes_the_colour_of_its_side():
    """Red on the left, blue on the right, nothing between."""
    pixels = np.zeros((32, 96, 3), np.uint8)
    pixels[:, :16, 0] = pixels[:, 80:, 2] = 255
    alpha = pixels.max(axis=2)
    filled = fill_transparent(pixels, alpha).astype(int)
    assert (filled[:, 16:24, 0] > 200).all()
    assert (filled[:, 72:80, 2] > 200).all()
    steps = np.abs(np.diff(filled, axis=1)).max()
    assert steps < 40  # smooth: no edge that a network would see


def test_wrong_inputs_are_named():
    with pytest.raises(ValueError, match="one size and one dtype"):
        fill_transparent(np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4), np.uint8))
    with pytest.raises(ValueError, match="one size and one dtype"):
        fill_transparent(np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.uint16))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(20, 20), (11, 40), (90, 77)])
def test_a_resized_cut_out_stays_the_colour_it_was(size, dtype):
    top = np.iinfo(dtype).max
    alpha = blob(40, 40, dtype)
    pixels = np.where(alpha[..., None] > 0, [top] * 3, 0).astype(dtype)
    colours, cover = resize_with_alpha(pixels, alpha, size=size)
    assert colours.min() == top
    assert np.array_equal(cover, imresize(alpha, size=size, round_between=False))


def test_resizing_and_laying_down_can_be_swapped():
    """A white sign with a soft black shadow; the oracle is the laid picture, resized."""
    pixels = np.zeros((48, 48, 3), np.uint8)
    alpha = blob(48, 48, np.uint8) // 3
    pixels[17:32, 17:32], alpha[17:32, 17:32] = 255, 255
    for size in ((24, 24), (13, 31), (77, 96)):
        colours, cover = resize_with_alpha(pixels, alpha, size=size)
        apart = imresize(pixels, size=size), imresize(alpha, size=size)
        for ground in (0.5, 1.0):
            expected = np.clip(imresize(over(pixels, alpha, ground), size=size), 0, 1)
            # What is left is the filter's overshoot, which colours and alpha clip by themselves.
            off = np.abs(over(colours, cover, ground) - expected)
            assert off.max() < 0.1
            assert off.mean() < 0.6 * np.abs(over(*apart, ground) - expected).mean()
