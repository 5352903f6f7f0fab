"""From pictures and tensors to the network and back."""

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from escsr.images import Picture, from_float, to_float
from escsr.resize import imresize

Enlarge = Callable[[Tensor], Tensor]
"""(B, 3, H, W) float32 in [0, 1] to the network's result (B, 3, H', W'), clipped, on the CPU."""


def upscale_picture(picture: Picture, size: tuple[int, int], enlarge: Enlarge) -> Picture:
    """Enlarge colours by the network, and transparency with them.

    Args:
        picture: What was given.
        size: (H_out, W_out) to make.
        enlarge: The network.

    Returns:
        The picture of that size, with all else that the given one carries.
    """
    sr = enlarge(torch.from_numpy(to_float(picture.pixels))[None])[0].numpy()
    if picture.gray:
        sr = np.repeat(sr.mean(axis=0, keepdims=True), 3, axis=0)
    alpha = picture.alpha
    if alpha is not None:
        # Coverage is no photograph: enlarged smoothly, nothing invented at its edges.
        alpha = imresize(alpha, size=size, round_between=False)
    pixels = from_float(fit(sr, size), depth=picture.depth)
    return dataclasses.replace(picture, pixels=pixels, alpha=alpha)


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
