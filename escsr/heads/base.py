"""The contracts of heads, and their registry."""

import abc
from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from escsr.registry import Registry, unwrap


class Head(nn.Module, abc.ABC):
    """From features to the enlarged picture.

    A factory in `HEADS` takes ``in_channels`` and keyword arguments. ``forward`` gets the
    features (B, in_channels, h, w), the picture they were made from, ``lq`` (B, 3, H, W), and
    the ``size`` (H_out, W_out) to make, and gives (B, 3, H_out, W_out). Nothing is kept
    between calls, and inputs are never written to.

    Attributes:
        pixel_range: What the network sees black and white as, and answers in. `SuperResolver`
            maps the picture from [0, 1] to it before the backbone, and the answer back.
    """

    pixel_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @abc.abstractmethod
    def forward(self, features: Tensor, lq: Tensor, size: tuple[int, int]) -> Tensor:
        """Make the picture."""


HEADS: Registry[Callable[..., Head]] = Registry(
    "head", entry_point_group="escsr.heads", contract=Head
)
"""Heads by name, plug-ins included."""


class QueryHead(Head):
    """A head that answers at any point of the picture, and so makes any size.

    Subclasses give ``query``, and a ``forward`` that makes a whole picture and equals
    ``query`` at the centres of its pixels.
    """

    @abc.abstractmethod
    def query(self, features: Tensor, lq: Tensor, coords: Tensor, cells: Tensor) -> Tensor:
        """Find the colours at free coordinates.

        Args:
            features: (B, in_channels, h, w).
            lq: (B, 3, H, W), the picture they were made from.
            coords: (B, Q, 2), order (y, x): -1 and 1 are the outer edges of the picture, so
                pixel i of n has its centre at -1 + (2 i + 1) / n.
            cells: (B, Q, 2) or (B, 1, 2), height and width of the pixel that is asked for, in
                the same units: 2 / H_out and 2 / W_out.

        Returns:
            (B, Q, 3).
        """

    @staticmethod
    def check_queries(features: Tensor, coords: Tensor, cells: Tensor) -> None:
        """See that shapes fit.

        Raises:
            ValueError: If not; with what is allowed.
        """
        batch = len(features)
        if coords.ndim != 3 or coords.shape[0] != batch or coords.shape[2] != 2:
            raise ValueError(
                f"coords must have the shape (B, Q, 2) with B = {batch}, order (y, x), not "
                f"{tuple(coords.shape)}"
            )
        if (
            cells.ndim != 3
            or cells.shape[2] != 2
            or any(
                given not in (1, wanted)
                for given, wanted in zip(cells.shape[:2], coords.shape[:2], strict=True)
            )
        ):
            raise ValueError(
                f"cells must have the shape (B, Q, 2) or (B, 1, 2) with B = {batch} and "
                f"Q = {coords.shape[1]}, not {tuple(cells.shape)}"
            )


def query_heads() -> list[str]:
    """Names of the registered heads that answer queries."""
    found = []
    for name in HEADS:
        factory = unwrap(HEADS.get(name))
        if isinstance(factory, type) and issubclass(factory, QueryHead):
            found.append(name)
    return found


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
