"""The contracts of heads, and their registry."""

import abc
from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from escsr.registry import Registry

HEADS: Registry[Callable[..., "Head"]] = Registry("head", entry_point_group="escsr.heads")


class Head(nn.Module, abc.ABC):
    """From features to the enlarged picture.

    A factory in `HEADS` takes ``in_channels`` and keyword arguments. ``forward`` gets the
    features (B, in_channels, h, w), the picture they were made from, ``lq`` (B, 3, H, W), and
    the ``size`` (H_out, W_out) to make, and gives (B, 3, H_out, W_out). Nothing is kept
    between calls, and inputs are never written to.
    """

    @abc.abstractmethod
    def forward(self, features: Tensor, lq: Tensor, size: tuple[int, int]) -> Tensor:
        """Make the picture."""


class FixedScaleHead(Head):
    """A head that enlarges features by one integer factor.

    Subclasses give ``enlarge``. The result is cropped to ``size``, for backbones that pad a
    picture before they fold it.

    Args:
        scale: Enlargement of the features.

    Attributes:
        enlarges: False for a head that keeps the size of the features, so that it cannot
            undo the folding of a backbone that unshuffles.

    Raises:
        ValueError: If ``scale`` is not an integer of at least 1.
    """

    enlarges: ClassVar[bool] = True

    def __init__(self, *, scale: int) -> None:
        super().__init__()
        if scale != int(scale) or scale < 1:
            raise ValueError(
                f"{type(self).__name__} enlarges by an integer of at least 1, not {scale}"
            )
        self.scale = int(scale)

    @abc.abstractmethod
    def enlarge(self, features: Tensor) -> Tensor:
        """(B, in_channels, h, w) to (B, 3, scale·h, scale·w)."""

    def forward(self, features: Tensor, lq: Tensor, size: tuple[int, int]) -> Tensor:
        """Enlarge and crop to ``size``.

        Raises:
            ValueError: If ``size`` is larger than what the scale gives.
        """
        sr = self.enlarge(features)
        if size[0] > sr.shape[-2] or size[1] > sr.shape[-1]:
            raise ValueError(
                f"{type(self).__name__} with scale {self.scale} makes at most "
                f"{sr.shape[-2]}×{sr.shape[-1]} of {features.shape[-2]}×{features.shape[-1]} "
                f"features, not {size[0]}×{size[1]}"
            )
        return sr[..., : size[0], : size[1]]


def doublings(scale: int, head: str) -> list[int]:
    """Split a scale into the factors that multi-step heads enlarge by: 2s, or one 3.

    Raises:
        ValueError: If ``scale`` is neither a power of two nor 3.
    """
    if scale == 3:
        return [3]
    steps = scale.bit_length() - 1
    if scale != 1 << steps:
        raise ValueError(
            f"head {head!r} enlarges by a power of two or by 3, not by {scale}; "
            "the head 'pixel_shuffle' takes any integer"
        )
    return [2] * steps
