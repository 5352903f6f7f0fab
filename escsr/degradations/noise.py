"""Reproducible noise: each picture's field comes from its own seed.

On a CPU the same seeds give the same bits. A GPU has its own generators: there a seed gives another
field, the same on every run.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from escsr.degradations._checks import check_images, check_one_each, per_image
from escsr.degradations.bounds import CAMERA_NOISE, GRAIN, NOISE_SIGMA, POISSON_SCALE, SEED
from escsr.degradations.color import to_gray
from escsr.degradations.filtering import filter2d
from escsr.degradations.kernels import blur_kernel

_WHITE = 0.1  # pixels: a narrower Gaussian gives the neighbours a share of e^-50 or less
_POWERS = tuple(2.0**power for power in range(9))


def gaussian_noise(
    images: Tensor, sigmas: Sequence[float], *, grays: Sequence[bool], seeds: Sequence[int]
) -> Tensor:
    """Add normally distributed noise.

    Args:
        images: (B, 3, H, W) float in [0, 1].
        sigmas: Standard deviation for each picture, in 8-bit steps, 0 to 255.
        grays: For each picture, whether its channels share one field.
        seeds: Seed of each picture's field, 0 to 2^53.

    Returns:
        (B, 3, H, W), clipped to [0, 1].

    Raises:
        TypeError: Pictures that are no floats.
        ValueError: Another shape, a number out of range, or another number of them.

    Example:
        >>> gaussian_noise(torch.rand(1, 3, 8, 8), [25.0], grays=[False], seeds=[0]).shape
        torch.Size([1, 3, 8, 8])
    """
    check_images(images)
    _check_lists(images, sigmas=sigmas, grays=grays, seeds=seeds)
    for sigma in sigmas:
        NOISE_SIGMA.check("sigma", sigma)
    fields = [
        _normal(1 if gray else 3, images, seed) for gray, seed in zip(grays, seeds, strict=True)
    ]
    noise = torch.cat([field.expand(1, 3, -1, -1) for field in fields])
    return (images + noise * per_image([sigma / 255 for sigma in sigmas], images)).clamp(0, 1)


def poisson_noise(
    images: Tensor, scales: Sequence[float], *, grays: Sequence[bool], seeds: Sequence[int]
) -> Tensor:
    """Add shot noise, with as many photons at white as the picture has levels.

    The picture is rounded to 8 bits and its different values are counted (for colour noise over
    all channels together); that number, raised to a power of two, is the expected count at 1.

    Args:
        images: (B, 3, H, W) float in [0, 1].
        scales: Factor of the noise for each picture, 0 (none) to 10; 1 is a Poisson process.
        grays: For each picture, whether its channels share one field, drawn from its luma.
        seeds: Seed of each picture's field, 0 to 2^53.

    Returns:
        (B, 3, H, W), clipped to [0, 1].

    Raises:
        TypeError: Pictures that are no floats.
        ValueError: Another shape, a number out of range, or another number of them.

    Source: arXiv 2107.10833, section 3.2, as its published pipeline computes it.
    """
    check_images(images)
    _check_lists(images, scales=scales, grays=grays, seeds=seeds)
    for scale in scales:
        POISSON_SCALE.check("scale", scale)
    noises = []
    for image, gray, seed in zip(torch.split(images, 1), grays, seeds, strict=True):
        base = to_gray(image) if gray else image
        steps = (base * 255).round().clamp(0, 255)
        photons = _levels(steps)
        rounded = steps / 255
        counts = torch.poisson(rounded * photons, generator=_generator(images, seed))
        noises.append((counts / photons - rounded).expand(1, 3, -1, -1))
    return (images + torch.cat(noises) * per_image(scales, images)).clamp(0, 1)


def camera_noise(
    images: Tensor,
    shots: Sequence[float],
    reads: Sequence[float],
    *,
    grains: Sequence[float],
    seeds: Sequence[int],
) -> Tensor:
    """Add the noise of a camera at high ISO: in linear light, coarser than a pixel.

    In linear light L the noise has variance shot² L + read², so that dark parts suffer most once
    the picture is encoded again. sRGB's curve is approximated by a square. Demosaicing spreads the
    noise over neighbours: the field is blurred to the grain and its variance is restored.

    Args:
        images: (B, 3, H, W) float in [0, 1].
        shots: Standard deviation of the shot noise at white, in shares of full scale, 0 to 1.
        reads: Standard deviation of the read noise, likewise, 0 to 1.
        grains: Standard deviation of the grain's blur in pixels, 0 (white noise) to 5.
        seeds: Seed of each picture's field, 0 to 2^53.

    Returns:
        (B, 3, H, W), clipped to [0, 1].

    Raises:
        TypeError: Pictures that are no floats.
        ValueError: Another shape, a number out of range, or another number of them.

    Source: A. Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for
        single-image raw-data", 2008 (the variance).
    """
    check_images(images)
    _check_lists(images, shots=shots, reads=reads, grains=grains, seeds=seeds)
    for shot, read, grain in zip(shots, reads, grains, strict=True):
        CAMERA_NOISE.check("shot", shot)
        CAMERA_NOISE.check("read", read)
        GRAIN.check("grain", grain)
    pairs = zip(seeds, grains, strict=True)
    fields = torch.cat([_grained(_normal(3, images, seed), grain) for seed, grain in pairs])
    linear = images * images
    shot_part = per_image([shot * shot for shot in shots], images) * linear
    deviation = (shot_part + per_image([read * read for read in reads], images)).sqrt()
    return (linear + deviation * fields).clamp(0, 1).sqrt()


def _check_lists(images: Tensor, **lists: Sequence[float]) -> None:
    for name, values in lists.items():
        check_one_each(name, values, images)
    for seed in lists["seeds"]:
        SEED.check("seed", seed)


def _generator(images: Tensor, seed: int) -> torch.Generator:
    return torch.Generator(images.device).manual_seed(seed)


def _normal(channels: int, images: Tensor, seed: int) -> Tensor:
    """(1, channels, H, W) standard normal."""
    shape = (1, channels, *images.shape[-2:])
    generator = _generator(images, seed)
    return torch.randn(shape, generator=generator, dtype=images.dtype, device=images.device)


def _grained(field: Tensor, grain: float) -> Tensor:
    """A white field made coarser, keeping its variance."""
    if grain < _WHITE:
        return field
    kernel = blur_kernel("gaussian_iso", 2 * math.ceil(3 * grain) + 1, sigma_x=grain)
    # A field of variance 1 has variance Σ k² after a kernel k.
    return filter2d(field, [kernel]) * float((kernel**2).sum() ** -0.5)


def _levels(steps: Tensor) -> Tensor:
    """Different values among integers 0 to 255, raised to a power of two: a scalar tensor."""
    seen = torch.zeros(256, dtype=steps.dtype, device=steps.device)
    seen[steps.long().flatten()] = 1
    powers = torch.tensor(_POWERS, dtype=steps.dtype, device=steps.device)
    return powers.take(torch.searchsorted(powers, seen.sum()))  # indexing would wait for the device
