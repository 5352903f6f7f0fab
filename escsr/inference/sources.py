"""Pictures as sources of rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from escsr.images import PixelFile
from escsr.inference.transfers import floats_on, rows_on
from escsr.layers import RowSource
from escsr.pixels import to_tensor
from escsr.resize import resized_rows

# Rows that a filter computes at once.
_RESIZED_ROWS = 256


@dataclass(frozen=True)
class PixelRows:
    """Integer pixels as a source of rows of floats.

    Attributes:
        pixels: (H, W, 3) uint8 or uint16, or (H, W) for gray.
    """

    pixels: NDArray[Any]
    dtype = torch.float32
    device = torch.device("cpu")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(1, 3, H, W)."""
        return (1, 3, *np.shape(self.pixels)[:2])

    def read(self, top: int, bottom: int) -> Tensor:
        """See `RowSource.read`; in [0, 1]."""
        return to_tensor(self.pixels[top:bottom])[None].expand(-1, 3, -1, -1)

    def read_on(self, top: int, bottom: int, device: torch.device) -> Tensor:
        """See `ReadsOn`."""
        return floats_on(self.pixels[top:bottom], device).expand(-1, 3, -1, -1)


@dataclass(frozen=True)
class FileRows:
    """Pixels in a file as a source of rows of floats.

    Attributes:
        file: The picture.
    """

    file: PixelFile
    dtype = torch.float32
    device = torch.device("cpu")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(1, 3, H, W)."""
        return (1, 3, *self.file.size)

    def read(self, top: int, bottom: int) -> Tensor:
        """See `RowSource.read`; in [0, 1]."""
        return to_tensor(self.file.read(top, bottom))[None].expand(-1, 3, -1, -1)

    def read_on(self, top: int, bottom: int, device: torch.device) -> Tensor:
        """See `ReadsOn`."""
        return floats_on(self.file.read(top, bottom), device).expand(-1, 3, -1, -1)


@dataclass(frozen=True)
class InRange:
    """A picture in the range that a head expects.

    Attributes:
        source: (B, 3, H, W) in [0, 1].
        low: Value of black.
        high: Value of white.
    """

    source: RowSource
    low: float
    high: float

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(B, 3, H, W)."""
        return self.source.shape

    @property
    def dtype(self) -> torch.dtype:
        """Number type."""
        return self.source.dtype

    @property
    def device(self) -> torch.device:
        """Where rows are put."""
        return self.source.device

    def read(self, top: int, bottom: int) -> Tensor:
        """See `RowSource.read`."""
        return self._ranged(self.source.read(top, bottom))

    def read_on(self, top: int, bottom: int, device: torch.device) -> Tensor:
        """See `ReadsOn`."""
        return self._ranged(rows_on(self.source, top, bottom, device))

    def _ranged(self, rows: Tensor) -> Tensor:
        if (self.low, self.high) == (0, 1):
            return rows
        return rows * (self.high - self.low) + self.low


@dataclass(frozen=True)
class OnDevice:
    """A source of rows that copies them to the network's device.

    Attributes:
        source: Source of the rows.
        device: Device of the network.
    """

    source: RowSource
    device: torch.device

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(B, C, H, W)."""
        return self.source.shape

    @property
    def dtype(self) -> torch.dtype:
        """Number type."""
        return self.source.dtype

    def read(self, top: int, bottom: int) -> Tensor:
        """See `RowSource.read`."""
        return rows_on(self.source, top, bottom, self.device)


def resized_bands(source: RowSource, size: tuple[int, int]) -> Iterator[tuple[int, Tensor]]:
    """Resize a picture with an antialiasing filter, a few rows at a time.

    Args:
        source: (1, 3, H, W).
        size: (H_out, W_out) to make.

    Yields:
        The first row of a band, and the band, (1, 3, rows, W_out) float32; a cubic may overshoot.
    """

    def read(top: int, bottom: int) -> NDArray[np.float32]:
        rows: NDArray[np.float32] = source.read(top, bottom)[0].permute(1, 2, 0).numpy()
        return rows

    _, _, height, width = source.shape
    for top in range(0, size[0], _RESIZED_ROWS):
        rows = (top, min(top + _RESIZED_ROWS, size[0]))
        made = resized_rows(read, (height, width), rows, out_size=size)
        yield top, torch.from_numpy(made).permute(2, 0, 1)[None]
