"""PSNR, SSIM and MS-SSIM as the super-resolution literature computes them, in float64."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["mean_of_finite", "ms_ssim", "psnr", "psnr_y", "rgb_to_y", "ssim", "ssim_y"]

Array = npt.NDArray[Any]
Plane = npt.NDArray[np.float64]

_WINDOW = 11
_SIGMA = 1.5
# Weights of the resolutions of MS-SSIM, finest first.
_LEVELS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def rgb_to_y(image: Array) -> Plane:
    """Luma of BT.601 in studio range, as MATLAB's ``rgb2ycbcr`` gives it, but not rounded.

    Args:
        image: (H, W, 3) RGB on 0 to 255, uint8 or float.

    Returns:
        (H, W) float64 from 16 (black) to 235 (white).

    Raises:
        ValueError: Another shape.

    Example:
        >>> float(rgb_to_y(np.zeros((1, 1, 3), np.uint8))[0, 0])
        16.0
    """
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be (H, W, 3), got {image.shape}")
    luma: Plane = 16 + image.astype(np.float64) @ (np.array([65.481, 128.553, 24.966]) / 255)
    return luma


def psnr(sr: Array, gt: Array, *, crop: int = 0, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio over all channels together.

    Args:
        sr: (H, W) or (H, W, C), on 0 to ``peak``.
        gt: The truth, of the same shape and dtype.
        crop: Pixels left out on each side.
        peak: The value of white.

    Returns:
        Decibels; infinity for equal pictures.

    Raises:
        TypeError: Different dtypes.
        ValueError: Different shapes, or nothing left after the crop.

    Example:
        >>> round(psnr(np.zeros((8, 8)), np.ones((8, 8))), 2)
        48.13
    """
    sr, gt = _cropped(sr, gt, crop, 1)
    error = np.mean(np.square(sr - gt))
    return float("inf") if error == 0 else float(10 * np.log10(peak * peak / error))


def psnr_y(sr: Array, gt: Array, *, crop: int) -> float:
    """PSNR of the luma, as in the classic benchmarks.

    Args:
        sr: (H, W, 3) RGB uint8, rounded and clipped.
        gt: The truth, likewise.
        crop: Pixels left out on each side; the classic benchmarks leave out ``scale``.

    Returns:
        Decibels; infinity for equal pictures.

    Raises:
        TypeError: Not uint8.
        ValueError: Other or different shapes, or nothing left after the crop.

    Example:
        >>> psnr_y(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8), crop=2)
        inf
    """
    _check_uint8(sr, gt)
    return psnr(rgb_to_y(sr), rgb_to_y(gt), crop=crop)


def ssim(sr: Array, gt: Array, *, crop: int = 0, peak: float = 255.0) -> float:
    """Structural similarity, the mean over channels.

    Gaussian window 11 x 11 with sigma 1.5, only where it fits entirely; K1 = 0.01, K2 = 0.03.
    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity",
    2004.

    Args:
        sr: (H, W) or (H, W, C), on 0 to ``peak``.
        gt: The truth, of the same shape and dtype.
        crop: Pixels left out on each side.
        peak: The value of white.

    Returns:
        From -1 to 1; 1 for equal pictures.

    Raises:
        TypeError: Different dtypes.
        ValueError: Different shapes, or less than 11 x 11 pixels left after the crop.

    Example:
        >>> ssim(np.ones((16, 16)), np.ones((16, 16)))
        1.0
    """
    light, structure = _similarity(*_cropped(sr, gt, crop, _WINDOW), peak)
    return float(np.mean(light * structure))


def ssim_y(sr: Array, gt: Array, *, crop: int) -> float:
    """SSIM of the luma, as in the classic benchmarks.

    Args:
        sr: (H, W, 3) RGB uint8, rounded and clipped.
        gt: The truth, likewise.
        crop: Pixels left out on each side; the classic benchmarks leave out ``scale``.

    Returns:
        From -1 to 1.

    Raises:
        TypeError: Not uint8.
        ValueError: Other or different shapes, or less than 11 x 11 pixels left after the crop.

    Example:
        >>> ssim_y(np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16, 3), np.uint8), crop=2)
        1.0
    """
    _check_uint8(sr, gt)
    return ssim(rgb_to_y(sr), rgb_to_y(gt), crop=crop)


def ms_ssim(sr: Array, gt: Array, *, crop: int = 0, peak: float = 255.0) -> float:
    """Structural similarity at five resolutions, the mean over channels.

    Contrast and structure at every resolution, light at the coarsest only; each is halved by
    averaging 2 x 2 pixels, dropping an odd last row or column. Values below zero count as zero.
    Source: Wang et al., "Multiscale structural similarity for image quality assessment", 2003.

    Args:
        sr: (H, W) or (H, W, C), on 0 to ``peak``.
        gt: The truth, of the same shape and dtype.
        crop: Pixels left out on each side.
        peak: The value of white.

    Returns:
        From 0 to 1; 1 for equal pictures.

    Raises:
        TypeError: Different dtypes.
        ValueError: Different shapes, or less than 176 x 176 pixels left after the crop.

    Example:
        >>> ms_ssim(np.ones((180, 180)), np.ones((180, 180)))
        1.0
    """
    sr, gt = (np.atleast_3d(x) for x in _cropped(sr, gt, crop, _WINDOW << len(_LEVELS) - 1))
    total = np.ones(sr.shape[2])
    for level, weight in enumerate(_LEVELS):
        if level:
            sr, gt = _halved(sr), _halved(gt)
        light, structure = _similarity(sr, gt, peak)
        last = level == len(_LEVELS) - 1
        means = np.mean(light * structure if last else structure, axis=(0, 1))
        total *= np.maximum(means, 0) ** weight
    return float(np.mean(total))


def mean_of_finite(values: Iterable[float]) -> float:
    """Average over pictures, leaving out infinite and NaN values.

    A flat picture that is reproduced exactly has an infinite PSNR, which would make the mean of
    a whole set infinite. Report the number of pictures left out along with the mean.

    Args:
        values: Values of one metric, one per picture, at least one.

    Returns:
        The mean of the finite values. Where none is finite: infinity if all are infinite, else
        NaN.

    Example:
        >>> mean_of_finite([30.0, math.inf, 32.0])
        31.0
    """
    given = list(values)
    finite = [value for value in given if math.isfinite(value)]
    if finite:
        return math.fsum(finite) / len(finite)
    return math.fsum(given) if given else math.nan


def _check_uint8(sr: Array, gt: Array) -> None:
    if sr.dtype != np.uint8 or gt.dtype != np.uint8:
        raise TypeError(
            f"sr is {sr.dtype} and gt {gt.dtype}; these metrics are for uint8: round and clip"
        )


def _cropped(sr: Array, gt: Array, crop: int, least: int) -> tuple[Plane, Plane]:
    """Both as float64 without their border; each side must be at least ``least`` pixels."""
    if sr.dtype != gt.dtype:
        raise TypeError(f"sr is {sr.dtype}, gt is {gt.dtype}; both must be of one type and range")
    if sr.shape != gt.shape or sr.ndim not in (2, 3):
        raise ValueError(
            f"sr is {sr.shape}, gt is {gt.shape}; both must be the same (H, W) or (H, W, C)"
        )
    if crop < 0 or min(sr.shape[:2]) - 2 * crop < least:
        raise ValueError(
            f"crop={crop} on {sr.shape[0]} x {sr.shape[1]} pixels; at least {least} x {least} "
            "must remain"
        )
    inner = (slice(crop, sr.shape[0] - crop), slice(crop, sr.shape[1] - crop))
    return sr[inner].astype(np.float64), gt[inner].astype(np.float64)


def _similarity(sr: Plane, gt: Plane, peak: float) -> tuple[Plane, Plane]:
    """Maps of the two factors of SSIM: light, and contrast with structure."""
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_sr, mean_gt = _blur(sr), _blur(gt)
    # Moments about the middle of the range: E[x^2] - E[x]^2 of large x loses digits.
    middle = peak / 2
    low_sr, low_gt = sr - middle, gt - middle
    off_sr, off_gt = mean_sr - middle, mean_gt - middle
    var_sr = _blur(low_sr * low_sr) - off_sr * off_sr
    var_gt = _blur(low_gt * low_gt) - off_gt * off_gt
    covariance = _blur(low_sr * low_gt) - off_sr * off_gt
    light = (2 * mean_sr * mean_gt + c1) / (mean_sr**2 + mean_gt**2 + c1)
    structure = (2 * covariance + c2) / (var_sr + var_gt + c2)
    return light, structure


def _halved(image: Plane) -> Plane:
    """Means of 2 x 2 pixels of (H, W, C)."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    blocks = image[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1)
    means: Plane = blocks.mean(axis=(1, 3))
    return means


def _blur(image: Plane) -> Plane:
    """Gaussian window as two passes, valid region only."""
    from scipy.ndimage import correlate1d

    half = _WINDOW // 2
    window = np.exp(-0.5 * (np.arange(-half, half + 1) / _SIGMA) ** 2)
    window /= window.sum()
    rows = correlate1d(image, window, axis=0)[half : image.shape[0] - half]
    columns: Plane = correlate1d(rows, window, axis=1)[:, half : image.shape[1] - half]
    return columns
