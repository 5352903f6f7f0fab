"""Features of pictures."""

from dataclasses import dataclass

from torch import Tensor

from escsr.layers.bands import RowSource


@dataclass(frozen=True)
class Features:
    """Features of pictures, from which they are enlarged; see `SuperResolver.encode`.

    Both parts are tensors, or other sources of rows for pictures larger than memory.

    Attributes:
        map: (B, C, h, w) features.
        picture: (B, 3, H, W) they were computed from, in the range that the head expects.
    """

    map: Tensor | RowSource
    picture: Tensor | RowSource

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the picture."""
        return self.picture.shape[2], self.picture.shape[3]
