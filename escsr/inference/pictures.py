"""From pictures and tensors to the network and back."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from escsr.images import Picture, fill_transparent, resize_with_alpha
from escsr.pixels import from_float, to_float, to_tensor
from escsr.resize import imresize

Array = NDArray[Any]

Enlarge = Callable[[Tensor], Tensor]
"""(B, 3, H, W) float32 in [0, 1] to the network's result (B, 3, H', W'), clipped, on the CPU."""


def upscale_picture(picture: Picture, size: tuple[int, int], enlarge: Enlarge | None) -> Picture:
    """Enlarge colours by the network, and transparency with them.

    Args:
        picture: What was given.
        size: (H_out, W_out) to make.
        enlarge: The network; None resizes by an antialiasing filter.

    Returns:
        The picture of that size, with all else that the given one carries.
    """
    pixels, alpha = picture.pixels, picture.alpha
    if enlarge is None:
        pixels, alpha = _resized(pixels, alpha, size)
        return dataclasses.replace(picture, pixels=pixels, alpha=alpha)
    if alpha is not None:
        # Nothing is seen of what lies under full transparency, and nothing shall bleed from it.
        pixels = fill_transparent(pixels, alpha)
        alpha = _enlarged_alpha(alpha, size, enlarge)
    sr = enlarge(to_tensor(pixels)[None])[0].numpy()
    if picture.gray:
        sr = np.repeat(sr.mean(axis=0, keepdims=True), 3, axis=0)
    pixels = from_float(fit(sr, size), depth=picture.depth)
    return dataclasses.replace(picture, pixels=pixels, alpha=alpha)


def is_uniform(alpha: Array | None) -> bool:
    """Whether transparency has no edges that a network could sharpen."""
    return alpha is None or bool((alpha == alpha.flat[0]).all())


def _resized(
    pixels: Array, alpha: Array | None, size: tuple[int, int]
) -> tuple[Array, Array | None]:
    if alpha is not None:
        return resize_with_alpha(pixels, alpha, size=size)
    planes = fit(to_float(pixels), size)
    return from_float(planes, depth=8 * pixels.dtype.itemsize), None


def _enlarged_alpha(alpha: Array, size: tuple[int, int], enlarge: Enlarge) -> Array:
    """Transparency by the network, as gray, so that outlines stay as sharp as what they cut out.

    Where it is uniform it stays exactly what it is: a network's faint ripples would show as a
    veil on what is clear, and as holes in what is opaque.
    """
    if is_uniform(alpha):
        return np.full(size, alpha.flat[0], alpha.dtype)
    import cv2

    gray = to_tensor(np.repeat(alpha[..., None], 3, axis=2))
    sr = enlarge(gray[None])[0].mean(dim=0, keepdim=True)
    made = from_float(fit(sr.numpy(), size), depth=8 * alpha.dtype.itemsize)[..., 0]
    around = np.ones((5, 5), np.uint8)
    flat = cv2.dilate(alpha, around) == cv2.erode(alpha, around)
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new)
        for new, old in zip(size, alpha.shape, strict=True)
    )
    nearest = np.ix_(rows, columns)
    return np.where(flat[nearest], alpha[nearest], made)


def upscale_batch(batch: Tensor, size: tuple[int, int], enlarge: Enlarge) -> Tensor:
    """Enlarge tensors.

    Args:
        batch: (B, 3, H, W), floating point in [0, 1].
        size: (H_out, W_out) to make.
        enlarge: The network.

    Returns:
        (B, 3, H_out, W_out) float32 in [0, 1], on the CPU.
    """
    sr = enlarge(batch.float())
    if tuple(sr.shape[-2:]) == size:
        return sr
    fitted = [fit(one.numpy(), size) for one in sr]
    return torch.stack([torch.from_numpy(np.ascontiguousarray(one)) for one in fitted])


def fit(planes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize (3, H', W') in [0, 1] to ``size``, if it is another."""
    if planes.shape[1:] == size:
        return planes
    resized = imresize(planes.transpose(1, 2, 0), size=size)
    return np.clip(resized, 0, 1).transpose(2, 0, 1)
