"""Passing pictures and tensors to the network and back."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from escsr.images import Picture, PixelFile, fill_transparent, resize_with_alpha
from escsr.inference.bands import Write
from escsr.inference.sources import FileRows, PixelRows, resized_bands
from escsr.inference.transfers import samples_of
from escsr.layers import Band, RowSource
from escsr.resize import imresize

Array = NDArray[Any]

Enlarge = Callable[[RowSource, Write], None]
"""Enlarges (B, 3, H, W) float32 in [0, 1] and passes on the rows of the result; see `Enlarger`."""


def upscale_picture(picture: Picture, size: tuple[int, int], enlarge: Enlarge | None) -> Picture:
    """Enlarge colours with the network, including transparency.

    Args:
        picture: The input.
        size: (H_out, W_out) to make.
        enlarge: The network; None resizes by an antialiasing filter.

    Returns:
        The enlarged picture, with the metadata of the input.
    """
    pixels, alpha = picture.pixels, picture.alpha
    if enlarge is None:
        pixels, alpha = _resized(pixels, alpha, size)
        return dataclasses.replace(picture, pixels=pixels, alpha=alpha, jpeg_quality=None)
    if alpha is not None:
        # Colours under full transparency are invisible and must not bleed into visible ones.
        pixels = fill_transparent(pixels, alpha)
        alpha = _enlarged_alpha(alpha, size, enlarge)
    made = np.empty((*size, 3), pixels.dtype)

    def write(top: int, sr: Tensor) -> None:
        planes = sr[0].mean(dim=0, keepdim=True) if picture.gray else sr[0]
        made[top : top + planes.shape[1]] = samples_of(planes, picture.depth)

    enlarge(PixelRows(pixels), write)
    return dataclasses.replace(picture, pixels=made, alpha=alpha, jpeg_quality=None)


def is_uniform(alpha: Array | None) -> bool:
    """Whether alpha has no edges that a network could sharpen."""
    return alpha is None or bool((alpha == alpha.flat[0]).all())


def _resized(
    pixels: Array, alpha: Array | None, size: tuple[int, int]
) -> tuple[Array, Array | None]:
    if alpha is not None:
        return resize_with_alpha(pixels, alpha, size=size)
    return imresize(pixels, size=size, round_between=False), None


def _enlarged_alpha(alpha: Array, size: tuple[int, int], enlarge: Enlarge) -> Array:
    """Enlarge alpha with the network, as gray, so that outlines are as sharp as the picture.

    Uniform areas keep their exact value: the network's faint ripples would appear as a veil in
    clear areas and as holes in opaque ones.
    """
    if is_uniform(alpha):
        return np.full(size, alpha.flat[0], alpha.dtype)
    import cv2

    made = np.empty(size, alpha.dtype)

    def write(top: int, sr: Tensor) -> None:
        gray = samples_of(sr[0].mean(dim=0, keepdim=True), 8 * alpha.dtype.itemsize)
        made[top : top + len(gray)] = gray[..., 0]

    enlarge(PixelRows(alpha), write)
    around = np.ones((5, 5), np.uint8)
    flat = cv2.dilate(alpha, around) == cv2.erode(alpha, around)
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new)
        for new, old in zip(size, alpha.shape, strict=True)
    )
    nearest = np.ix_(rows, columns)
    return np.where(flat[nearest], alpha[nearest], made)


def upscale_file(file: PixelFile, size: tuple[int, int], enlarge: Enlarge | None) -> PixelFile:
    """Enlarge a picture whose pixels are in a file, into another file.

    Args:
        file: The input.
        size: (H_out, W_out) to make.
        enlarge: The network; None resizes by an antialiasing filter.

    Returns:
        The enlarged picture, in the same folder.
    """
    made = file.empty_like(size)
    source = FileRows(file)

    def write(_top: int, sr: Tensor) -> None:
        planes = sr[0].mean(dim=0, keepdim=True) if file.gray else sr[0]
        made.append(samples_of(planes, file.depth))

    if enlarge is not None:
        enlarge(source, write)
        return made

    for top, rows in resized_bands(source, size):
        write(top, rows)
    return made


def upscale_batch(
    batch: Tensor, size: tuple[int, int], enlarge: Enlarge | None, *, together: int
) -> Tensor:
    """Enlarge tensors.

    Args:
        batch: (B, 3, H, W), floating point in [0, 1].
        size: (H_out, W_out) to make.
        enlarge: The network; None resizes by an antialiasing filter.
        together: Number of pictures that go through it at once.

    Returns:
        (B, 3, H_out, W_out) float32 in [0, 1], on the CPU.
    """
    result = torch.empty(len(batch), 3, *size)
    parts = torch.split(batch.float().cpu(), together)
    for part, made in zip(parts, torch.split(result, together), strict=True):
        if enlarge is None:
            for one, smaller in zip(part, made, strict=True):
                resized = imresize(one.permute(1, 2, 0).numpy(), size=size)
                smaller.copy_(torch.from_numpy(resized).permute(2, 0, 1).clamp_(0, 1))
            continue

        def write(top: int, sr: Tensor, made: Tensor = made) -> None:
            made[:, :, top : top + sr.shape[2]] = sr

        enlarge(Band.whole(part), write)
    return result
