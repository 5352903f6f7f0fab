"""Filtering with a kernel per picture, and two kinds of sharpening based on it."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from escsr.degradations._checks import check_images, check_one_each, per_image
from escsr.degradations.bounds import OVERSHARPEN_SIGMA, SHARPENING, USM_SIDE, USM_THRESHOLD
from escsr.degradations.kernels import Kernel, blur_kernel, pad_kernel
from escsr.layers import reflect_pad


def filter2d(images: Tensor, kernels: Tensor | Sequence[Kernel]) -> Tensor:
    """Correlate each picture with its kernel; borders are reflected without repeating the edge.

    Computed by Fourier transform, in time that hardly depends on the kernel: 1.2 ms for
    3 × 256 × 256 and 21 × 21 on one core, against 6.9 ms for the convolution. On a CPU it is
    SciPy's, whose result, unlike PyTorch's, does not depend on the number of threads; PyTorch's is
    used where gradients are needed and on other devices.

    Args:
        images: (B, C, H, W) float, any range, any size from 1 × 1.
        kernels: (B, k, k) or (1, k, k) for all, k odd; or a list of arrays (k, k), which may
            differ in size.

    Returns:
        (B, C, H, W), not clipped.

    Raises:
        TypeError: Pictures that are no floats.
        ValueError: Another shape, an even kernel, or another number of kernels.

    Example:
        >>> filter2d(torch.rand(2, 3, 8, 8), torch.full((1, 3, 3), 1 / 9)).shape
        torch.Size([2, 3, 8, 8])
    """
    check_images(images, channels=None)
    if isinstance(kernels, Tensor):
        if kernels.ndim != 3 or kernels.shape[1] != kernels.shape[2] or kernels.shape[1] % 2 == 0:
            raise ValueError(f"kernels must be (B, k, k) with k odd, got {tuple(kernels.shape)}")
        each = list(kernels.expand(len(images), -1, -1)) if len(kernels) == 1 else list(kernels)
    else:
        _check_kernels(kernels)
        each = [torch.from_numpy(kernel) for kernel in kernels]
    check_one_each("kernels", each, images)
    wanted = images.requires_grad or any(kernel.requires_grad for kernel in each)
    if images.device.type == "cpu" and not wanted:
        # One by one: the transform's size, and with it the last bit, depends on the picture.
        pairs = zip(torch.split(images, 1), each, strict=True)
        return torch.cat([_filter_numpy(image, kernel) for image, kernel in pairs])
    return _filter_torch(images, kernels if isinstance(kernels, Tensor) else stack_kernels(kernels))


# Correlation is the conjugate in the frequency domain. The padded picture may wrap around, since
# the part kept lies inside it.
def _filter_torch(images: Tensor, kernels: Tensor) -> Tensor:
    padded = _padded(images, kernels.shape[-1])
    kernels = kernels.to(images)[:, None]
    size = padded.shape[-2:]
    spectrum = torch.fft.rfft2(padded) * torch.fft.rfft2(kernels, s=size).conj()
    found: Tensor = torch.fft.irfft2(spectrum, s=size)
    return found[..., : images.shape[-2], : images.shape[-1]]


def _filter_numpy(image: Tensor, kernel: Tensor) -> Tensor:
    import scipy.fft

    padded = _padded(image, kernel.shape[-1])
    size = padded.shape[-2:]
    spectrum = scipy.fft.rfft2(padded.numpy(), workers=1)
    spectrum *= np.conj(scipy.fft.rfft2(kernel.to(image).numpy(), s=size, workers=1))
    found = scipy.fft.irfft2(spectrum, s=size, workers=1, overwrite_x=True)
    return torch.from_numpy(found[..., : image.shape[-2], : image.shape[-1]])


def _padded(images: Tensor, side: int) -> Tensor:
    """Reflected by half a kernel, and further to a size that transforms quickly."""
    from scipy.fft import next_fast_len

    half = side // 2
    height, width = images.shape[-2:]
    bottom = next_fast_len(height + 2 * half, real=True) - height - half
    right = next_fast_len(width + 2 * half, real=True) - width - half
    return reflect_pad(images, left=half, right=right, top=half, bottom=bottom)


def stack_kernels(kernels: Sequence[Kernel]) -> Tensor:
    """Pad kernels to the size of the largest and stack them.

    Args:
        kernels: Arrays (k, k), each k odd.

    Returns:
        (B, k, k) float64, k the largest.

    Raises:
        ValueError: No kernel, or one that is not square and odd.
    """
    _check_kernels(kernels)
    largest = max(len(kernel) for kernel in kernels)
    return torch.from_numpy(np.stack([pad_kernel(kernel, largest) for kernel in kernels]))


def _check_kernels(kernels: Sequence[Kernel]) -> None:
    for kernel in kernels:
        if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or len(kernel) % 2 == 0:
            raise ValueError(f"a kernel must be (k, k) with k odd, got {kernel.shape}")
    if not kernels:
        raise ValueError("there are no kernels")


def usm_sharpen(
    images: Tensor,
    *,
    weight: float | Sequence[float] = 0.5,
    radius: int = 50,
    sigma: float = 0.0,
    threshold: float = 10.0,
) -> Tensor:
    """Sharpen by an unsharp mask, where there is something to sharpen.

    Real-ESRGAN sharpens its ground truth this way, so that the network learns crisp edges: train on
    ``usm_sharpen(gt)`` when the small picture comes from the preset "real".

    Args:
        images: (B, C, H, W) float in [0, 1].
        weight: Strength; one number, or one for each picture, 0 to 10.
        radius: Side of the Gaussian in pixels, made odd (50 becomes 51).
        sigma: Its standard deviation in pixels; 0 takes OpenCV's 0.3 ((k - 1) / 2 - 1) + 0.8.
        threshold: Differences up to this many 8-bit steps are left alone, 0 to 255.

    Returns:
        (B, C, H, W), in [0, 1] if ``images`` are.

    Raises:
        TypeError: Pictures that are no floats.
        ValueError: Another shape, or a number out of range.

    Source: arXiv 2107.10833, section 3.4.
    """
    check_images(images, channels=None)
    weights = [weight] * len(images) if isinstance(weight, int | float) else list(weight)
    check_one_each("weights", weights, images)
    for one in weights:
        SHARPENING.check("weight", one)
    USM_SIDE.check("radius", radius)
    USM_THRESHOLD.check("threshold", threshold)
    kernel = _gaussian(radius + 1 - radius % 2, sigma).to(images)
    residual = images - filter2d(images, kernel)
    mask = (residual.abs() * 255 > threshold).to(images.dtype)
    soft = filter2d(mask, kernel)
    sharp = (images + per_image(weights, images) * residual).clamp(0, 1)
    return soft * sharp + (1 - soft) * images


def oversharpen(images: Tensor, amounts: Sequence[float], sigmas: Sequence[float]) -> Tensor:
    """Sharpen everywhere, causing halos and grain, as cameras and phones do.

    Args:
        images: (B, C, H, W) float in [0, 1].
        amounts: Strength for each picture, 0 (nothing) to 10.
        sigmas: Radius for each picture: standard deviation of the Gaussian, 0.1 to 20 pixels.

    Returns:
        (B, C, H, W) in [0, 1].

    Raises:
        TypeError: Pictures that are no floats.
        ValueError: Another shape, a number out of range, or another number of them.
    """
    check_images(images, channels=None)
    check_one_each("amounts", amounts, images)
    check_one_each("sigmas", sigmas, images)
    for amount, sigma in zip(amounts, sigmas, strict=True):
        SHARPENING.check("amount", amount)
        OVERSHARPEN_SIGMA.check("sigma", sigma)
    kernels = [blur_kernel("gaussian_iso", 2 * math.ceil(3 * s) + 1, sigma_x=s) for s in sigmas]
    residual = images - filter2d(images, kernels)
    return (images + per_image(amounts, images) * residual).clamp(0, 1)


@lru_cache(maxsize=16)
def _gaussian(size: int, sigma: float) -> Tensor:
    """(1, k, k): the same for all pictures, so cached."""
    sigma = sigma if sigma > 0 else 0.3 * ((size - 1) * 0.5 - 1) + 0.8
    return stack_kernels([blur_kernel("gaussian_iso", size, sigma_x=sigma)])
