"""Oracles: the definitions as loops, MATLAB's documented colours, invariants."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from escsr.evaluation import (
    colour_shift,
    find_metric,
    mean_of_finite,
    ms_ssim,
    psnr,
    psnr_y,
    rgb_to_y,
    ssim,
    ssim_y,
)

PHOTO = Path(__file__).parents[1] / "data" / "photo.png"


def pair(height: int = 30, width: int = 26) -> tuple[np.ndarray, np.ndarray]:
    gt = cv2.imread(str(PHOTO), cv2.IMREAD_COLOR_RGB)[:height, :width]
    noise = np.random.default_rng(0).normal(0, 9, gt.shape)
    sr = np.clip(np.rint(cv2.GaussianBlur(gt, (0, 0), 1.2) + noise), 0, 255).astype(np.uint8)
    return sr, gt.copy()


def loop_y(image: np.ndarray) -> np.ndarray:
    result = np.zeros(image.shape[:2])
    for y, x in np.ndindex(result.shape):
        r, g, b = (float(v) for v in image[y, x])
        result[y, x] = 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255
    return result


def loop_ssim(a: np.ndarray, b: np.ndarray, peak: float = 255.0) -> float:
    """Every window by itself, weighted moments straight from their definitions."""
    axis = np.arange(11) - 5
    window = np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    values = []
    for y in range(a.shape[0] - 10):
        for x in range(a.shape[1] - 10):
            p, q = a[y : y + 11, x : x + 11], b[y : y + 11, x : x + 11]
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
            cov = (window * (p - mp) * (q - mq)).sum()
            values.append(
                (2 * mp * mq + c1) * (2 * cov + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2))
            )
    return math.fsum(values) / len(values)


def test_luma_of_documented_colours():
    # MATLAB: rgb2ycbcr of black, white, red, green, blue, before its rounding to 8 bits.
    colours = np.array(
        [[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8
    )
    np.testing.assert_allclose(rgb_to_y(colours)[0], [16, 235, 81.481, 144.553, 40.966], atol=1e-9)
    np.testing.assert_allclose(rgb_to_y(pair()[0]), loop_y(pair()[0]), atol=1e-9)


@pytest.mark.parametrize("crop", [0, 1, 4])
def test_psnr_equals_loop(crop):
    sr, gt = pair()
    inner = (slice(crop, 30 - crop), slice(crop, 26 - crop))
    error = np.mean((loop_y(sr) - loop_y(gt))[inner] ** 2)
    assert psnr_y(sr, gt, crop=crop) == pytest.approx(20 * math.log10(255) - 10 * math.log10(error))
    error = np.mean((sr.astype(float) - gt)[inner] ** 2)
    assert psnr(sr, gt, crop=crop) == pytest.approx(20 * math.log10(255) - 10 * math.log10(error))


@pytest.mark.parametrize("crop", [0, 3])
def test_ssim_equals_loop(crop):
    sr, gt = pair()
    inner = (slice(crop, 30 - crop), slice(crop, 26 - crop))
    expected = loop_ssim(loop_y(sr)[inner], loop_y(gt)[inner])
    assert 0.2 < expected < 0.95
    assert ssim_y(sr, gt, crop=crop) == pytest.approx(expected, abs=1e-10)


def test_ssim_of_colour_is_the_mean_over_channels():
    sr, gt = pair()
    each = [loop_ssim(sr[..., c].astype(float), gt[..., c].astype(float)) for c in range(3)]
    assert ssim(sr, gt) == pytest.approx(np.mean(each), abs=1e-10)


def test_ms_ssim_by_its_parts():
    """Five resolutions by hand; structure and light as loops would be the same as for SSIM."""
    rng = np.random.default_rng(2)
    gt = cv2.GaussianBlur(rng.uniform(0, 255, (177, 190)), (0, 0), 2)  # odd: one row is left out
    gt = (gt - gt.min()) * 3
    sr = gt + cv2.GaussianBlur(rng.normal(0, 20, gt.shape), (0, 0), 1)
    assert ms_ssim(sr, gt, peak=255) == pytest.approx(pyramid(sr, gt), abs=1e-9)
    shifted = ms_ssim(sr + 30, gt)
    assert 0 < shifted < ms_ssim(sr, gt) < 1
    with pytest.raises(ValueError, match="176 x 176"):
        ms_ssim(sr, gt, crop=1)


def pyramid(sr: np.ndarray, gt: np.ndarray) -> float:
    """Two-dimensional windows by OpenCV, in place of passes by SciPy."""
    axis = np.exp(-((np.arange(11) - 5) ** 2) / 4.5)
    window = np.outer(axis, axis) / np.outer(axis, axis).sum()

    def mean(image: np.ndarray) -> np.ndarray:
        return cv2.filter2D(image, cv2.CV_64F, window)[5:-5, 5:-5]

    product = 1.0
    for level, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        ms, mg = mean(sr), mean(gt)
        cov = mean(sr * gt) - ms * mg
        both = mean(sr * sr) - ms**2 + mean(gt * gt) - mg**2
        value = (2 * cov + 58.5225) / (both + 58.5225)
        if level == 4:
            value *= (2 * ms * mg + 6.5025) / (ms**2 + mg**2 + 6.5025)
        product *= value.mean() ** weight
        sr, gt = (x[: len(x) // 2 * 2, : x.shape[1] // 2 * 2] for x in (sr, gt))
        sr, gt = ((x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4 for x in (sr, gt))
    return product


def test_range_of_floats():
    sr, gt = (image / 255.0 for image in pair())
    assert psnr(sr, gt, peak=1) == pytest.approx(psnr(*pair()))
    assert ssim(sr, gt, peak=1) == pytest.approx(ssim(*pair()))


def test_equal_pictures():
    gt = pair()[1]
    assert psnr_y(gt, gt, crop=2) == math.inf
    assert ssim_y(gt, gt, crop=2) == pytest.approx(1, abs=1e-12)


def test_what_lies_in_the_crop_does_not_count():
    sr, gt = pair()
    framed = sr.copy()
    framed[:3], framed[-3:], framed[:, :3], framed[:, -3:] = 0, 255, 9, 77
    assert psnr_y(framed, gt, crop=3) == psnr_y(sr, gt, crop=3)
    assert ssim_y(framed, gt, crop=3) == ssim_y(sr, gt, crop=3)
    assert psnr_y(framed, gt, crop=2) != psnr_y(sr, gt, crop=2)


def test_unsigned_differences_do_not_wrap():
    dark, bright = np.zeros((12, 12, 3), np.uint8), np.full((12, 12, 3), 255, np.uint8)
    assert psnr(dark, bright) == 0
    assert psnr(dark, bright) == psnr(bright, dark)


def test_metrics_by_name_are_the_functions():
    sr, gt = pair()
    assert find_metric("psnr_y")(sr, gt, crop=2) == psnr_y(sr, gt, crop=2)
    assert find_metric("SSIM-Y")(sr, gt, crop=1) == ssim_y(sr, gt, crop=1)
    shift = find_metric("colour_shift_lq")
    assert shift(sr, lq=gt) == colour_shift(sr, gt)
    for metric, needed in ((find_metric("ssim_y"), "gt"), (shift, "lq")):
        with pytest.raises(ValueError, match=f"needs {needed}"):
            metric(sr)
    with pytest.raises(ValueError, match="Did you mean 'psnr_y'"):
        find_metric("psnr_z")


def test_metrics_that_cannot_be_had_are_refused(monkeypatch):
    monkeypatch.setattr("escsr.evaluation.perceptual.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"'lpips' is unavailable.*escsr\[metrics\]"):
        find_metric("lpips")


def test_means_without_what_is_not_finite():
    assert mean_of_finite([30.0, math.inf, 33.0]) == 31.5
    assert mean_of_finite([30.0, math.nan]) == 30.0
    assert mean_of_finite([math.inf, math.inf]) == math.inf
    assert math.isnan(mean_of_finite([math.inf, math.nan]))
    assert math.isnan(mean_of_finite([]))


def test_errors():
    sr, gt = pair()
    with pytest.raises(TypeError, match="round and clip"):
        psnr_y(sr / 255.0, gt / 255.0, crop=0)
    with pytest.raises(TypeError, match="round and clip"):
        ssim_y(sr / 255.0, gt, crop=0)
    with pytest.raises(TypeError, match="type and range"):
        psnr(sr / 255.0, gt)
    with pytest.raises(ValueError, match=r"\(29, 26, 3\)"):
        psnr(sr[1:], gt)
    with pytest.raises(ValueError, match=r"\(H, W, 3\)"):
        psnr_y(sr[..., 0], gt[..., 0], crop=0)
    with pytest.raises(ValueError, match="11 x 11"):
        ssim_y(sr, gt, crop=8)
    with pytest.raises(ValueError, match="crop=13"):
        psnr(sr, gt, crop=13)
    with pytest.raises(ValueError, match="crop=-1"):
        psnr(sr, gt, crop=-1)
