"""Lossless augmentation: the eight flips and rotations of the square."""

from typing import TypeVar

import numpy as np

D4_VARIANTS = 8
"""Number of elements of the dihedral group D4."""

_Scalar = TypeVar("_Scalar", bound=np.generic)


def d4(
    image: np.ndarray[tuple[int, ...], np.dtype[_Scalar]], variant: int
) -> np.ndarray[tuple[int, ...], np.dtype[_Scalar]]:
    """Apply one of the eight flips and rotations of the square to an image.

    The bits of ``variant`` are independent: 1 flips left-right, 2 flips top-bottom and
    4 exchanges rows and columns (after the flips). All eight are distinct, and 0 is the
    identity. Shrinking with a symmetric kernel commutes with all of them (except for the order
    in which 8-bit passes are rounded), so a pair stays aligned if both pictures get the same
    variant.

    Args:
        image: Array of shape (H, W) or (H, W, C), any type.
        variant: Which of the variants, 0 to 7.

    Returns:
        A view of the input, of shape (W, H, ...) where bit 4 is set.

    Raises:
        ValueError: If ``variant`` is not in 0 to 7.

    Example:
        >>> d4(np.array([[1, 2], [3, 4]]), 1)
        array([[2, 1],
               [4, 3]])
    """
    if not 0 <= variant < D4_VARIANTS:
        raise ValueError(f"variant must be in 0..{D4_VARIANTS - 1}, got {variant}")
    if variant & 1:
        image = image[:, ::-1]
    if variant & 2:
        image = image[::-1]
    if variant & 4:
        image = image.swapaxes(0, 1)
    return image
