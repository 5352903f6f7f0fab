"""Kernels. Oracles: the definitions as plain loops, SciPy's Bessel function, dense integration."""

import math

import numpy as np
import pytest
from scipy.special import j1

from escsr.degradations import (
    BLUR_KINDS,
    blur_kernel,
    defocus_kernel,
    motion_kernel,
    sinc_kernel,
)


def by_definition(kind, size, sx, sy, theta, beta):
    """q = vᵀ Σ⁻¹ v with Σ = R diag(σx², σy²) Rᵀ, pixel by pixel."""
    if kind.endswith("_iso"):
        sy = sx
    rotation = np.array([[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]])
    inverse = np.linalg.inv(rotation @ np.diag([sx**2, sy**2]) @ rotation.T)
    kernel = np.zeros((size, size))
    for row in range(size):
        for column in range(size):
            v = np.array([column - size // 2, row - size // 2])
            q = v @ inverse @ v
            if kind.startswith("gaussian"):
                kernel[row, column] = math.exp(-q / 2)
            elif kind.startswith("generalized"):
                kernel[row, column] = math.exp(-(q**beta) / 2)
            else:
                kernel[row, column] = 1 / (1 + q**beta)
    return kernel / kernel.sum()


@pytest.mark.parametrize("kind", [kind for kind in BLUR_KINDS if kind != "sinc"])
@pytest.mark.parametrize(
    ("size", "sx", "sy", "theta", "beta"),
    [(9, 0.2, 2.9, 0.3, 0.5), (15, 1.1, 0.4, -2.7, 3.9), (21, 2.9, 1.3, 1.9, 1.7)],
)
def test_kernels_are_as_defined(kind, size, sx, sy, theta, beta):
    found = blur_kernel(kind, size, sigma_x=sx, sigma_y=sy, theta=theta, beta=beta)
    assert np.abs(found - by_definition(kind, size, sx, sy, theta, beta)).max() < 1e-12


@pytest.mark.parametrize(("size", "cutoff"), [(7, 1.05), (15, 0.63), (19, 3.1)])
def test_sinc_is_as_defined(size, cutoff):
    expected = np.zeros((size, size))
    for row in range(size):
        for column in range(size):
            r = math.hypot(row - size // 2, column - size // 2)
            expected[row, column] = (
                cutoff * j1(cutoff * r) / (2 * math.pi * r) if r else cutoff**2 / (4 * math.pi)
            )
    expected /= expected.sum()
    assert np.abs(sinc_kernel(size, cutoff) - expected).max() < 1e-12
    padded = sinc_kernel(size, cutoff, pad_to=25)
    edge = (25 - size) // 2
    assert np.array_equal(padded[edge:-edge, edge:-edge], sinc_kernel(size, cutoff))
    assert np.count_nonzero(padded) <= size**2


def test_sinc_cuts_off():
    """Oracle: the transform of a good low-pass is about 1 below the cut-off and 0 above."""
    response = np.abs(np.fft.fft2(sinc_kernel(151, 1.5), (512, 512)))[0]
    frequency = 2 * np.pi * np.arange(512) / 512
    assert np.all(np.abs(response[frequency < 1.3] - 1) < 0.1)
    assert np.all(response[(frequency > 1.7) & (frequency < np.pi)] < 0.1)


@pytest.mark.parametrize(("length", "angle"), [(3.0, 0.0), (7.3, 0.8), (11.0, 2.5), (5.0, 4.0)])
def test_motion_is_a_straight_path(length, angle):
    """Oracle: the moments of a uniform segment; a shared pixel adds at most 1/4 to a variance."""
    kernel = motion_kernel(length, angle)
    assert kernel.sum() == pytest.approx(1)
    line = np.arange(len(kernel)) - len(kernel) // 2
    x, y = line[None], line[:, None]
    assert (kernel * x).sum() == pytest.approx(0, abs=1e-9)
    assert (kernel * y).sum() == pytest.approx(0, abs=1e-9)
    along = math.cos(angle) * x + math.sin(angle) * y
    across = math.cos(angle) * y - math.sin(angle) * x
    assert length**2 / 12 - 0.02 < (kernel * along**2).sum() < length**2 / 12 + 0.27
    assert (kernel * across**2).sum() < 0.27


def test_no_motion_is_no_blur():
    assert np.array_equal(motion_kernel(0.0, 1.0), [[1.0]])


@pytest.mark.parametrize("radius", [0.3, 0.6, 1.0, 2.4, 5.1])
def test_defocus_is_the_share_that_a_disk_covers(radius):
    """Oracle: random points in the disk."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-radius, radius, (400_000, 2))
    points = points[(points**2).sum(axis=1) <= radius**2]
    kernel = defocus_kernel(radius)
    edges = np.arange(len(kernel) + 1) - len(kernel) / 2
    counts, *_ = np.histogram2d(*points.T, bins=(edges, edges))
    assert counts.sum() == len(points)  # the kernel is large enough
    assert np.abs(kernel - counts / len(points)).max() < 0.004
    assert kernel.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: blur_kernel("gauss", 7), "one of gaussian_iso"),
        (lambda: blur_kernel("gaussian_iso", 8), "odd"),
        (lambda: blur_kernel("gaussian_iso", 7, sigma_x=0), "sigma_x"),
        (lambda: blur_kernel("gaussian_aniso", 7, sigma_y=-1.0), "sigma_y"),
        (lambda: blur_kernel("plateau_iso", 7, beta=math.nan), "beta"),
        (lambda: sinc_kernel(7, 4.0), "cutoff"),
        (lambda: sinc_kernel(7, 1.0, pad_to=5), "pad_to"),
        (lambda: motion_kernel(-1, 0), "length"),
        (lambda: defocus_kernel(1e9), "radius"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
