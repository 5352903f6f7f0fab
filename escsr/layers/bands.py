"""Bands: maps that are read a few rows at a time because the whole may not fit in memory."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class RowSource(Protocol):
    """A map (B, C, H, W) whose rows can be read: from memory, or from a file."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(B, C, H, W) of the whole map."""

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the rows that are read."""

    @property
    def device(self) -> torch.device:
        """Device of the rows that are read."""

    def read(self, top: int, bottom: int) -> Tensor:
        """Rows from ``top`` up to but not ``bottom``, (B, C, bottom - top, W).

        The caller must not write to the tensor, which may be part of the map itself.
        """


@dataclass(frozen=True)
class Band:
    """Some rows of a map in memory, and their position in it.

    Attributes:
        values: (B, C, rows, W).
        top: Index of the first of these rows in the whole map.
        height: Rows of the whole map.

    Example:
        >>> band = Band(torch.rand(1, 64, 20, 50), top=100, height=300)
        >>> band.read(110, 112).shape
        torch.Size([1, 64, 2, 50])
    """

    values: Tensor
    top: int
    height: int

    @classmethod
    def whole(cls, values: Tensor) -> "Band":
        """All rows of a map."""
        return cls(values, 0, values.shape[2])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(B, C, H, W) of the whole map."""
        batch, channels, _, width = self.values.shape
        return batch, channels, self.height, width

    @property
    def dtype(self) -> torch.dtype:
        """Number type."""
        return self.values.dtype

    @property
    def device(self) -> torch.device:
        """Where the rows lie."""
        return self.values.device

    def read(self, top: int, bottom: int) -> Tensor:
        """See `RowSource.read`.

        Raises:
            ValueError: If some rows are not in the band.
        """
        end = self.top + self.values.shape[2]
        if not self.top <= top <= bottom <= end:
            raise ValueError(
                f"rows {top} to {bottom} are needed, but the band holds rows {self.top} to {end} "
                f"of {self.height}"
            )
        return self.values[:, :, top - self.top : bottom - self.top]


class Overlap(NamedTuple):
    """Rows of a band that are needed only because its outer rows depend on them.

    A network's result for a band is correct except near cuts inside the picture. There, as many
    rows are wrong as the network looks beyond its own, and they are cut off.

    Attributes:
        above: Rows above those to compute.
        below: Rows below them.

    Example:
        >>> band = torch.rand(1, 64, 20, 50)
        >>> Overlap(3, 2).cut(band).shape
        torch.Size([1, 64, 15, 50])
    """

    above: int = 0
    below: int = 0

    def keep(self, rows: int) -> "Overlap":
        """The overlap left if at most so many rows are kept on either side."""
        return Overlap(min(self.above, rows), min(self.below, rows))

    def cut(self, values: Tensor, keep: int = 0) -> Tensor:
        """Cut (B, C, rows, W) to the rows to compute and at most ``keep`` beyond them."""
        above, below = max(self.above - keep, 0), max(self.below - keep, 0)
        if not above and not below:
            return values
        return values[:, :, above : values.shape[2] - below]


WHOLE = Overlap()
"""The overlap of a band that is the whole picture."""


def as_rows(values: Tensor | RowSource) -> RowSource:
    """A tensor as a source of rows; a source of rows is returned unchanged."""
    return Band.whole(values) if isinstance(values, Tensor) else values


def as_tensor(values: Tensor | RowSource) -> Tensor:
    """The whole map, read if it is not yet a tensor."""
    return values if isinstance(values, Tensor) else values.read(0, values.shape[2])
