"""Oracles: benchmark files made with MATLAB, a brute-force loop, invariants."""

import math
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from escsr.resize import imresize

SHARED = os.environ.get("ESCSR_SHARED")
PHOTO = Path(__file__).parent / "data" / "photo.png"


def photo() -> np.ndarray:
    return cv2.imread(str(PHOTO), cv2.IMREAD_COLOR_RGB)


def cubic(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


def loop_1d(line: np.ndarray, out: int, scale: float, border: str, antialias: bool) -> np.ndarray:
    """The definition, sample by sample, over every tap that could matter."""
    shrink = min(scale, 1.0) if antialias else 1.0
    result = []
    for i in range(out):
        centre = (i + 0.5) / scale - 0.5
        total = weight_sum = 0.0
        for j in range(math.floor(centre - 3 / shrink), math.ceil(centre + 3 / shrink) + 1):
            weight = cubic(shrink * (centre - j))
            k = j
            if border == "clamp":
                k = min(max(k, 0), len(line) - 1)
            while not 0 <= k < len(line):
                k = -1 - k if k < 0 else 2 * len(line) - 1 - k
            total += weight * float(line[k])
            weight_sum += weight
        result.append(total / weight_sum)
    return np.array(result)


def loop_2d(image, out, scales, border, antialias=True, between=False, order=(0, 1)):
    current = image.astype(np.float64)
    for nth, axis in enumerate(order):
        current = np.apply_along_axis(
            loop_1d, axis, current, out[axis], scales[axis], border, antialias
        )
        if nth == 0 and between:
            current = np.clip(np.floor(current + 0.5), 0, 255)
    return current


@pytest.mark.skipif(not SHARED, reason="ESCSR_SHARED is not set")
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("dataset", ["Set5", "Set14"])
def test_benchmark_files_bit_for_bit(dataset, scale):
    root = Path(SHARED) / "data" / "bench" / dataset
    files = sorted((root / "HR").glob("*.png"))
    assert len(files) == {"Set5": 5, "Set14": 14}[dataset]
    for file in files:
        hr = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        given = root / "LR_bicubic" / f"X{scale}" / f"{file.stem}x{scale}.png"
        lq = cv2.imread(str(given), cv2.IMREAD_UNCHANGED)
        height, width = (side // scale * scale for side in hr.shape[:2])
        hr = hr[:height, :width]
        np.testing.assert_array_equal(imresize(hr, scale=1 / scale, border="clamp"), lq, str(file))
        # Today's border rule differs in the outermost pixels only.
        margin = 1 if scale < 4 else 2
        inner = (slice(margin, -margin), slice(margin, -margin))
        np.testing.assert_array_equal(imresize(hr, scale=1 / scale)[inner], lq[inner], str(file))


@pytest.mark.parametrize("border", ["clamp", "symmetric"])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("scale", [1 / 2, 1 / 3, 1 / 4, 0.37, 0.9, 1.7, 2.0, 3.5])
def test_float_equals_loop(scale, antialias, border):
    image = photo()[:19, :23].astype(np.float64)
    result = imresize(image, scale=scale, border=border, antialias=antialias)
    out = [math.ceil(side * scale) for side in image.shape[:2]]
    expected = loop_2d(image, out, (scale, scale), border, antialias)
    np.testing.assert_allclose(result, expected, atol=1e-9)


@pytest.mark.parametrize("border", ["clamp", "symmetric"])
@pytest.mark.parametrize("size", [(11, 40), (40, 11), (7, 7), (1, 1), (1, 50), (23, 19)])
def test_size_gives_each_axis_its_factor(size, border):
    image = photo()[:19, :23, 0].astype(np.float64)
    scales = (size[0] / 19, size[1] / 23)
    result = imresize(image, size=size, border=border)
    assert result.shape == size
    np.testing.assert_allclose(result, loop_2d(image, size, scales, border), atol=1e-9)


@pytest.mark.parametrize("between", [True, False])
@pytest.mark.parametrize("size", [(10, 12), (12, 46), (38, 12), (5, 30)])
def test_uint8_rounds_half_up_between_the_passes(size, between):
    image = photo()[:20, :24]
    scales = (size[0] / 20, size[1] / 24)
    order = (0, 1) if scales[0] <= scales[1] else (1, 0)
    expected = loop_2d(image, size, scales, "symmetric", between=between, order=order)
    result = imresize(image, size=size, round_between=between)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, np.clip(np.floor(expected + 0.5), 0, 255))


def test_half_is_rounded_up():
    # Symmetric border on two pixels: every output is the mean of 0 and 1, so exactly 0.5.
    image = np.array([[0, 1], [0, 1]], np.uint8)
    assert imresize(image, scale=0.5).tolist() == [[1]]


def test_rounding_between_changes_something():
    image = photo() // 2 + 64  # far from 0 and 255: between the passes nothing is clipped
    both = [imresize(image, scale=0.5, round_between=flag) for flag in (True, False)]
    difference = np.abs(both[0].astype(int) - both[1])
    assert difference.max() == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("scale", [0.3, 0.5, 1.0, 2.4])
def test_constants_stay_and_dtype_too(dtype, scale):
    image = np.full((13, 9, 3), 201, dtype)
    result = imresize(image, scale=scale)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, 201, rtol=1e-6)


@pytest.mark.parametrize("border", ["clamp", "symmetric"])
def test_scale_one_is_the_identity(border):
    image = photo()
    np.testing.assert_array_equal(imresize(image, scale=1, border=border), image)
    np.testing.assert_array_equal(imresize(image, size=image.shape[:2], border=border), image)


def test_uint16_equals_loop():
    image = photo()[:12, :10].astype(np.uint16) * 257
    expected = loop_2d(image, (6, 5), (0.5, 0.5), "symmetric")
    result = imresize(image, scale=0.5, round_between=False)
    np.testing.assert_array_equal(result, np.floor(expected + 0.5))


def test_large_pictures_are_cut_into_blocks_without_a_seam():
    image = np.random.default_rng(0).integers(0, 256, (700, 40, 3), dtype=np.uint8)
    wide = np.tile(image, (1, 30, 1))
    single = np.stack([imresize(wide[..., c], scale=0.5) for c in range(3)], axis=2)
    np.testing.assert_array_equal(imresize(wide, scale=0.5), single)
    tall = np.ascontiguousarray(wide.swapaxes(0, 1))
    float_result = imresize(wide.astype(np.float64), scale=0.5)
    np.testing.assert_allclose(
        imresize(tall.astype(np.float64), scale=0.5), float_result.swapaxes(0, 1), atol=1e-9
    )


def test_nominal_scale_is_kept_when_it_does_not_divide():
    # MATLAB: imresize(ones(7, 5), 1/2) is 4 x 3.
    assert imresize(np.ones((7, 5)), scale=0.5).shape == (4, 3)
    for side in range(1, 400):
        assert imresize(np.ones((side, 1), np.uint8), scale=1 / 3).shape[0] == -(-side // 3)


def test_input_is_untouched_and_views_are_welcome():
    image = photo()
    before = image.copy()
    turned = image[::-1, ::-1].swapaxes(0, 1)
    np.testing.assert_array_equal(
        imresize(turned, scale=0.5), imresize(np.ascontiguousarray(turned), scale=0.5)
    )
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either scale or size"),
        ({"scale": 2, "size": (4, 4)}, "not both"),
        ({"scale": 0}, "positive"),
        ({"scale": -1.5}, "positive"),
        ({"scale": math.nan}, "positive"),
        ({"scale": math.inf}, "positive"),
        ({"size": (0, 4)}, "at least 1"),
        ({"size": (4,)}, r"\(H, W\)"),
        ({"size": (4, 2.5)}, "whole pixels"),
        ({"scale": 2, "border": "wrap"}, "clamp, symmetric"),
    ],
)
def test_errors_say_what_is_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        imresize(np.zeros((4, 4), np.uint8), **arguments)


def test_wrong_images_are_refused():
    with pytest.raises(TypeError, match="int32"):
        imresize(np.zeros((4, 4), np.int32), scale=2)
    with pytest.raises(TypeError, match="list"):
        imresize([[1, 2]], scale=2)
    with pytest.raises(ValueError, match="empty"):
        imresize(np.zeros((0, 4), np.uint8), scale=2)
    with pytest.raises(ValueError, match="shape"):
        imresize(np.zeros((1, 4, 4, 3), np.uint8), scale=2)
    with pytest.raises(ValueError, match="uint8 or uint16"):
        imresize(np.zeros((4, 4)), scale=2, round_between=True)
