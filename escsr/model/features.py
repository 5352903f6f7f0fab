"""What networks know of pictures before they enlarge them."""

from dataclasses import dataclass

from torch import Tensor

from escsr.layers.bands import RowSource


@dataclass(frozen=True)
class Features:
    """What a network knows of pictures before it enlarges them: see `SuperResolver.encode`.

    Both parts are tensors, or other sources of rows where pictures are larger than memory.

    Attributes:
        map: (B, C, h, w) features.
        picture: (B, 3, H, W) they were made from, in the range that the head asks for.
    """

    map: Tensor | RowSource
    picture: Tensor | RowSource

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the picture."""
        return self.picture.shape[2], self.picture.shape[3]
