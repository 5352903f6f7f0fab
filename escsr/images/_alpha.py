"""Transparency with colours that are not premultiplied."""

from typing import Any

import numpy as np
import numpy.typing as npt

from escsr.images._picture import Array
from escsr.pixels import to_levels
from escsr.resize import imresize


def fill_transparent(pixels: Array, alpha: Array) -> Array:
    """Give fully transparent pixels the colour of their surroundings.

    Editors leave arbitrary colours, mostly black, in invisible areas. A filter or a network would
    mix them into visible edges as a dark fringe. Here each such pixel takes a mean of nearby
    visible colours, weighted by alpha and smoother with distance (a pyramid: pulled down to one
    pixel, pushed up again). The cost is linear in the number of pixels.

    Args:
        pixels: (H, W, 3) uint8 or uint16.
        alpha: (H, W) of the same dtype; 0 is transparent.

    Returns:
        (H, W, 3) of the same dtype: ``pixels`` itself if there is nothing to fill or nothing
        visible; otherwise a copy that differs only where alpha is 0.

    Raises:
        ValueError: If the shapes or dtypes do not match.

    Example:
        >>> pixels = np.array([[[0, 0, 0], [200, 100, 50]]], np.uint8)
        >>> fill_transparent(pixels, np.array([[0, 255]], np.uint8))[0, 0].tolist()
        [200, 100, 50]

    Source: the pull-push algorithm of Gortler et al., "The Lumigraph", 1996, section 3.5.
    """
    if pixels.shape[:2] != alpha.shape or pixels.dtype != alpha.dtype:
        raise ValueError(
            f"pixels are {pixels.dtype} of {pixels.shape} and alpha is {alpha.dtype} of "
            f"{alpha.shape}: they must have one size and one dtype"
        )
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return pixels
    filled = pixels.copy()
    surroundings = _surroundings(_weighted(pixels, alpha))[hidden]
    filled[hidden] = to_levels(surroundings, depth=8 * pixels.dtype.itemsize)
    return filled


def _weighted(pixels: Array, alpha: Array) -> npt.NDArray[np.float32]:
    """(H, W, 4) float32 in [0, 1]: colours times alpha, and alpha."""
    share = np.float32(1 / np.iinfo(alpha.dtype).max)
    weighted = np.empty((*alpha.shape, 4), np.float32)
    np.multiply(alpha, share, out=weighted[..., 3])
    np.multiply(pixels, share * weighted[..., 3:], out=weighted[..., :3])
    return weighted


def _surroundings(weighted: npt.NDArray[np.float32]) -> Array:
    """Weighted colours (H, W, 4) to the mean colours around each pixel, (H, W, 3)."""
    import cv2

    height, width = weighted.shape[:2]
    even = cv2.copyMakeBorder(weighted, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT, value=0)
    half = ((width + 1) // 2, (height + 1) // 2)
    coarse: Any = cv2.resize(even, half, interpolation=cv2.INTER_AREA)
    weight = coarse[..., 3:]
    colours: Any = coarse[..., :3] / np.where(weight > 0, weight, 1)
    if not weight.all():
        colours = np.where(weight > 0, colours, _surroundings(coarse))
    # The doubled half-size grid aligns with this one at the top left; an odd rest is cut.
    double = (2 * half[0], 2 * half[1])
    spread: Array = cv2.resize(colours, double, interpolation=cv2.INTER_LINEAR)
    return spread[:height, :width]


def on_white(pixels: Array, alpha: Array) -> Array:
    """Composite (H, W, 3) over white by alpha (H, W), rounded."""
    top = int(np.iinfo(pixels.dtype).max)
    cover = alpha[..., None].astype(np.uint64)
    mixed = pixels * cover + top * (top - cover)
    return ((mixed + top // 2) // top).astype(pixels.dtype)


def resize_with_alpha(pixels: Array, alpha: Array, *, size: tuple[int, int]) -> tuple[Array, Array]:
    """Resize colours and alpha by `escsr.resize.imresize`, each colour weighted by its alpha.

    Compositing the result looks the same as resizing the composited picture. Filtering the colours
    alone would mix shadows and garbage under transparency into the edges.

    Args:
        pixels: (H, W, 3) uint8 or uint16.
        alpha: (H, W) of the same dtype.
        size: (H', W').

    Returns:
        (H', W', 3) and (H', W') of the same dtype.

    Example:
        >>> white = np.full((4, 4, 3), 255, np.uint8)
        >>> colours, _ = resize_with_alpha(white, np.eye(4, dtype=np.uint8) * 255, size=(2, 2))
        >>> int(colours.min())
        255
    """
    top = np.iinfo(pixels.dtype).max
    cover = alpha[..., None] / top
    filled = fill_transparent(pixels, alpha) / top
    resized = imresize(np.dstack([filled * cover, filled, cover]), size=size)
    premultiplied, plain, made = resized[..., :3], resized[..., 3:6], resized[..., 6:]
    # Where alpha is almost 0 the quotient is noise, so take the plain mean of the filled colours.
    share = np.clip(255 * made, 0, 1)
    colours = np.clip(premultiplied / np.maximum(made, 1e-12), 0, 1)
    depth = 8 * pixels.dtype.itemsize
    mixed = to_levels(share * colours + (1 - share) * plain, depth=depth)
    return mixed, to_levels(made[..., 0], depth=depth)
