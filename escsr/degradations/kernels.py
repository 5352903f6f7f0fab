"""Blur kernels: the effect of a lens, a moving hand or a sharpening filter on a point of light.

The Gaussian, generalized, plateau and sinc kernels are those of Real-ESRGAN (arXiv 2107.10833) and
BSRGAN (arXiv 2103.14006). All are float64, correlate with the picture (no flip), and sum to 1.
"""

import math
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from escsr.degradations.bounds import (
    ANGLE,
    BLUR_BETA,
    BLUR_SIGMA,
    CUTOFF,
    DEFOCUS_RADIUS,
    KERNEL_SIDE,
    MOTION_LENGTH,
    Choice,
)

Kernel = npt.NDArray[np.float64]
BlurKind = Literal[
    "gaussian_iso",
    "gaussian_aniso",
    "generalized_iso",
    "generalized_aniso",
    "plateau_iso",
    "plateau_aniso",
    "sinc",
]
BLUR_KINDS: tuple[BlurKind, ...] = get_args(BlurKind)
"""Kinds of kernels that `blur_kernel` makes."""

_FINE = 16  # least number of integration points per pixel and side for motion and defocus


def blur_kernel(
    kind: BlurKind,
    size: int,
    *,
    sigma_x: float = 1.0,
    sigma_y: float | None = None,
    theta: float = 0.0,
    beta: float = 1.0,
    cutoff: float = math.pi,
) -> Kernel:
    """Make one of the kernels that Real-ESRGAN draws from.

    With x the column, y the row, Σ = R(θ) diag(σx², σy²) R(θ)ᵀ and q = vᵀ Σ⁻¹ v: Gaussian
    exp(-q/2), generalized exp(-q^β/2), plateau 1/(1 + q^β).

    Args:
        kind: One of `BLUR_KINDS`. The iso kinds use ``sigma_x`` for both axes.
        size: Side of the kernel in pixels, odd.
        sigma_x: Standard deviation along the kernel's first axis, in pixels, above 0.
        sigma_y: Along its second axis; ``sigma_x`` if None.
        theta: Angle of the first axis against the columns' direction, in radians.
        beta: Shape of the generalized (1 is Gaussian) and plateau kernels, above 0.
        cutoff: Cut-off angular frequency of a sinc kernel, in radians per pixel, (0, π].

    Returns:
        (size, size) float64 with sum 1.

    Raises:
        ValueError: An unknown kind, an even size, or a number out of range.

    Example:
        >>> blur_kernel("gaussian_iso", 3, sigma_x=1.0).round(3)
        array([[0.075, 0.124, 0.075],
               [0.124, 0.204, 0.124],
               [0.075, 0.124, 0.075]])

    Source: arXiv 2107.10833, appendix A.
    """
    Choice(BLUR_KINDS).check("kind", kind)
    if kind == "sinc":
        return sinc_kernel(size, cutoff)
    KERNEL_SIDE.check("size", size)
    BLUR_SIGMA.check("sigma_x", sigma_x)
    if kind.endswith("_iso") or sigma_y is None:
        sigma_y = sigma_x
    BLUR_SIGMA.check("sigma_y", sigma_y)
    BLUR_BETA.check("beta", beta)
    x, y = _grid(size)
    ANGLE.check("theta", theta)
    cos, sin = math.cos(theta), math.sin(theta)
    # Σ⁻¹ is diagonal in the kernel's own axes, so rotate the grid instead of the matrix.
    q = ((cos * x + sin * y) / sigma_x) ** 2 + ((cos * y - sin * x) / sigma_y) ** 2
    if kind.startswith("gaussian"):
        kernel = np.exp(-0.5 * q)
    elif kind.startswith("generalized"):
        kernel = np.exp(-0.5 * q**beta)
    else:
        kernel = 1 / (1 + q**beta)
    return _normalized(kernel)


def sinc_kernel(size: int, cutoff: float, *, pad_to: int | None = None) -> Kernel:
    """Make the circular low-pass that leaves rings around edges, as careless resampling does.

    Args:
        size: Side in pixels, odd.
        cutoff: Cut-off angular frequency in radians per pixel, in (0, π].
        pad_to: Side to pad to with zeros, odd, at least ``size``.

    Returns:
        (size, size) float64 with sum 1, or (pad_to, pad_to).

    Raises:
        ValueError: An even size, or a number out of range.

    Source: arXiv 2107.10833, section 3.3: ω J₁(ω r) / (2 π r).
    """
    from scipy.special import j1

    KERNEL_SIDE.check("size", size)
    CUTOFF.check("cutoff", cutoff)
    x, y = _grid(size)
    radius = np.hypot(x, y)
    centre = size // 2
    radius[centre, centre] = 1.0  # its own value is the limit, below
    kernel: Kernel = cutoff * j1(cutoff * radius) / (2 * math.pi * radius)
    kernel[centre, centre] = cutoff**2 / (4 * math.pi)
    kernel = _normalized(kernel)
    if pad_to is None:
        return kernel
    KERNEL_SIDE.check("pad_to", pad_to)
    if pad_to < size:
        raise ValueError(f"pad_to must be at least the size of the kernel, {size}, got {pad_to}")
    return pad_kernel(kernel, pad_to)


def motion_kernel(length: float, angle: float) -> Kernel:
    """Make the trace of a camera that moves uniformly along a straight line.

    Args:
        length: Length of the path in pixels, 0 to 200.
        angle: Its direction in radians; 0 is along the rows, π/2 downwards.

    Returns:
        (size, size) float64 with sum 1, size odd and large enough for the path.

    Raises:
        ValueError: A length out of range.

    Example:
        >>> motion_kernel(2.0, 0.0).round(2)[1]
        array([0.25, 0.5 , 0.25])
    """
    MOTION_LENGTH.check("length", length)
    ANGLE.check("angle", angle)
    half = math.ceil(length / 2)
    size = 2 * half + 1
    points = max(1, math.ceil(_FINE * length))
    along = ((np.arange(points) + 0.5) / points - 0.5) * length
    kernel = np.zeros((size, size))
    # Each point of the path is shared bilinearly by the four pixels around it.
    weights = [
        np.maximum(0, 1 - np.abs(along[:, None] * part - np.arange(-half, half + 1)))
        for part in (math.sin(angle), math.cos(angle))
    ]
    np.einsum("pi,pj->ij", *weights, out=kernel)
    return _normalized(kernel)


def defocus_kernel(radius: float) -> Kernel:
    """Make the disk that a point becomes through an out-of-focus lens.

    Args:
        radius: Radius of the disk in pixels, 0 to 100; below 0.5 it fits into one pixel.

    Returns:
        (size, size) float64 with sum 1: the share of each pixel that the disk covers.

    Raises:
        ValueError: A radius out of range.

    Example:
        >>> defocus_kernel(0.4)
        array([[1.]])
    """
    DEFOCUS_RADIUS.check("radius", radius)
    if radius <= 0.5:
        return np.ones((1, 1))
    half = math.ceil(radius - 0.5)
    size = 2 * half + 1
    points = max(_FINE, 256 // size)  # small disks need more points
    fine = (np.arange(size * points) + 0.5) / points - size / 2
    inside = (fine[:, None] ** 2 + fine**2 <= radius**2).astype(np.float64)
    return _normalized(inside.reshape(size, points, size, points).sum(axis=(1, 3)))


def pad_kernel(kernel: Kernel, size: int) -> Kernel:
    """Pad an odd kernel with zeros to (size, size)."""
    return np.pad(kernel, (size - len(kernel)) // 2)


def _grid(size: int) -> tuple[Kernel, Kernel]:
    """(x, y) in pixels from the centre: x along a row, y down a column."""
    line = np.arange(size, dtype=np.float64) - size // 2
    return line[None, :], line[:, None]


def _normalized(kernel: npt.NDArray[np.float64]) -> Kernel:
    normalized: Kernel = kernel / kernel.sum()
    return normalized
