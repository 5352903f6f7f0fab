"""The contracts of heads, and their registry."""

import abc
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from torch import Tensor, nn

from escsr.layers.bands import Band, RowSource, as_tensor
from escsr.registry import Registry, unwrap


class Head(nn.Module, abc.ABC):
    """From features to the enlarged picture.

    A factory in `HEADS` takes ``in_channels`` and keyword arguments. ``forward`` gets the
    features (B, in_channels, h, w), the picture they were made from, ``lq`` (B, 3, H, W), and the
    ``size`` (H_out, W_out) to make, and returns a new tensor (B, 3, H_out, W_out). Nothing is kept
    between calls, and inputs are never written to.

    Large pictures are made by ``rows``, some rows at a time. A head that only implements
    ``forward`` makes the whole picture for that and crops it; one that needs only a few rows of the
    features implements ``rows``, ``source_rows`` and ``picture_rows`` as well.

    Attributes:
        pixel_range: The network's values of black and white, for input and output. `SuperResolver`
            maps the picture from [0, 1] to it before the backbone, and the answer back.
    """

    pixel_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Use the default bands for a head that overrides only ``forward``."""
        super().__init_subclass__(**kwargs)
        if "forward" in vars(cls) and "rows" not in vars(cls):
            cls.rows = Head.rows  # type: ignore[method-assign]
            cls.source_rows = Head.source_rows  # type: ignore[method-assign]
            cls.picture_rows = Head.picture_rows  # type: ignore[method-assign]

    @abc.abstractmethod
    def forward(self, features: Tensor, lq: Tensor, size: tuple[int, int]) -> Tensor:
        """Make the picture."""

    def rows(
        self, features: RowSource, lq: RowSource, size: tuple[int, int], rows: tuple[int, int]
    ) -> Tensor:
        """Make some rows of the picture.

        Args:
            features: (B, in_channels, h, w); the rows of `source_rows` are read, or fewer.
            lq: (B, 3, H, W), the picture they were made from; those of `picture_rows` are read.
            size: (H_out, W_out) of the whole picture.
            rows: The first row to make, and the one after the last.

        Returns:
            (B, 3, rows, W_out), up to rounding the same rows that ``forward`` makes.
        """
        sr: Tensor = self(as_tensor(features), as_tensor(lq), size)
        return sr[:, :, rows[0] : rows[1]]

    def source_rows(
        self, rows: tuple[int, int], *, size: tuple[int, int], height: int
    ) -> tuple[int, int]:
        """The rows of the features that ``rows`` may read, including those used only as context.

        Args:
            rows: The first row of the picture to make, and the one after the last.
            size: (H_out, W_out) of the whole picture.
            height: Rows of the whole features.

        Returns:
            The first row, and the one after the last; all rows if that depends on the features.
        """
        return 0, height

    def picture_rows(
        self, rows: tuple[int, int], *, size: tuple[int, int], height: int
    ) -> tuple[int, int]:
        """The rows of the picture ``lq`` that ``rows`` may read; arguments as `source_rows`."""
        return 0, height


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
            cells: (B, Q, 2) or (B, 1, 2), height and width of the requested pixel, in the same
                units: 2 / H_out and 2 / W_out.

        Returns:
            (B, Q, 3).
        """

    @staticmethod
    def check_queries(features: Tensor, coords: Tensor, cells: Tensor) -> None:
        """Check that shapes fit.

        Raises:
            ValueError: If not; the message gives the allowed shapes.
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
        reach: How many rows of the features beyond its own a row of the picture depends on; None if
            that is unknown, and rows are cut from the whole picture. A subclass that overrides
            ``enlarge`` must set it again.

    Raises:
        ValueError: If ``scale`` is not an integer of at least 1.
    """

    enlarges: ClassVar[bool] = True
    reach: int | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Drop the parent's reach if ``enlarge`` is overridden."""
        super().__init_subclass__(**kwargs)
        if "enlarge" in vars(cls) and "reach" not in vars(cls):
            cls.reach = None

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
        return self._rows(Band.whole(features), Band.whole(lq), size, (0, size[0]))

    def rows(
        self, features: RowSource, lq: RowSource, size: tuple[int, int], rows: tuple[int, int]
    ) -> Tensor:
        """See `Head.rows`.

        Raises:
            ValueError: If ``size`` is larger than what the scale gives.
        """
        return self._rows(features, lq, size, rows)

    def _rows(
        self, features: RowSource, lq: RowSource, size: tuple[int, int], rows: tuple[int, int]
    ) -> Tensor:
        """The common part of ``forward`` and ``rows``."""
        self._check_size(features, size)
        top, bottom = self.source_rows(rows, size=size, height=features.shape[2])
        # Beyond the rows that are read everything counts as zero, which is right at the borders of
        # the features; elsewhere it affects only rows that are cut off here.
        sr = self.enlarge(features.read(top, bottom))
        first = rows[0] - top * self.scale
        return sr[..., first : first + rows[1] - rows[0], : size[1]]

    def source_rows(
        self, rows: tuple[int, int], *, size: tuple[int, int], height: int
    ) -> tuple[int, int]:
        """See `Head.source_rows`."""
        if self.reach is None or (rows[0] == 0 and rows[1] == size[0]):
            return 0, height
        top = rows[0] // self.scale - self.reach
        bottom = -(-rows[1] // self.scale) + self.reach
        return max(top, 0), min(bottom, height)

    def picture_rows(
        self, rows: tuple[int, int], *, size: tuple[int, int], height: int
    ) -> tuple[int, int]:
        """See `Head.picture_rows`: none, as ``enlarge`` does not look at the picture."""
        return 0, 0

    def _check_size(self, features: RowSource, size: tuple[int, int]) -> None:
        height, width = features.shape[2:]
        if size[0] > self.scale * height or size[1] > self.scale * width:
            raise ValueError(
                f"{type(self).__name__} with scale {self.scale} makes at most "
                f"{self.scale * height}×{self.scale * width} of {height}×{width} features, not "
                f"{size[0]}×{size[1]}"
            )


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


def reach_of_convolutions(enlargements: Iterable[int]) -> int:
    """Rows of the features that a chain of 3×3 convolutions looks beyond its own.

    Args:
        enlargements: How many times the size of the features each of them works at; divisors of
            the largest.

    Returns:
        The sum of their reaches in rows of the features, rounded up.

    Example:
        >>> reach_of_convolutions([1, 2, 4, 4])
        2
    """
    enlargements = list(enlargements)
    largest = max(enlargements)
    return -(-sum(largest // each for each in enlargements) // largest)
