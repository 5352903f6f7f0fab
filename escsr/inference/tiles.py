"""Features in overlapping tiles: faster than exact bands if memory is short, nearly the same.

Tiles start on the grid of the attention windows, so each window sees the same pixels as in the
whole picture, and neighbours are blended over half of their overlap. The results differ only
because means over the whole picture become means over a tile.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from escsr.inference.attempts import Attempts
from escsr.inference.bands import Progress, Write
from escsr.inference.stores import RowStore, Stores
from escsr.layers import RowSource
from escsr.model import SuperResolver

TILE = 512
"""Side of a tile, without its halo, in pixels of the features."""
_HALO = 32
# For backbones without information on windows.
_ALIGN = 64


def tile_grid(network: SuperResolver) -> tuple[int, int]:
    """The grid of a network's tiles, and how far they look beyond their own area.

    Args:
        network: Any network.

    Returns:
        ``(align, halo)`` in pixels of the features, the second a multiple of the first.
    """
    stages = network.backbone.stages()
    align = max(stage.align for stage in stages) if stages else _ALIGN
    return align, -(-_HALO // align) * align


class TiledMap:
    """Computes a map of one picture tile by tile.

    Args:
        make: Computes the map of a part of the picture, (B, 3, h, w) to
            (B, C, factor · h / stride, factor · w / stride).
        picture: (B, 3, H, W).
        align: The grid of the tiles, in units of ``stride`` pixels of the picture.
        halo: How far tiles look beyond their own area, in the same units; a multiple of ``align``.
        stride: See ``align``.
        factor: Pixels of the map per pixel of the grid.
        tile: Side of a tile, in pixels of the grid; rounded to ``align``.
    """

    def __init__(
        self,
        make: Callable[[Tensor], Tensor],
        picture: RowSource,
        *,
        align: int,
        halo: int,
        stride: int = 1,
        factor: int = 1,
        tile: int = TILE,
    ) -> None:
        self._make, self._picture = make, picture
        self._stride, self._factor, self._halo = stride, factor, halo
        self._tile = max(tile // align, 1) * align
        self._fade = min(self._halo, self._tile) // 2
        self._height, self._width = (-(-side // stride) for side in picture.shape[2:])

    def run(self, write: Write, progress: Progress) -> None:
        """Make the map.

        Args:
            write: Called with its rows in order.
            progress: See `Progress`.
        """
        factor = self._factor
        carried: Tensor | None = None  # rows that are blended with the next row of tiles
        for top, bottom in self._spans(self._height):
            start = max(top - self._fade, 0)
            stop = min(bottom + self._fade, self._height)
            with torch.inference_mode():
                band = self._row_of_tiles(top, bottom, start, stop)
                if carried is not None:
                    band[:, :, : carried.shape[2]] += carried
            done = stop if bottom == self._height else bottom - self._fade
            write(start * factor, band[:, :, : (done - start) * factor])
            carried = band[:, :, (done - start) * factor :]
            progress(bottom / self._height)

    def _spans(self, length: int) -> Iterator[tuple[int, int]]:
        """Starts and ends of the tiles along a side."""
        for first in range(0, length, self._tile):
            yield first, min(first + self._tile, length)

    def _row_of_tiles(self, top: int, bottom: int, start: int, stop: int) -> Tensor:
        """The weighted sum of a row of tiles from ``start`` to ``stop``."""
        above, below = max(top - self._halo, 0), min(bottom + self._halo, self._height)
        rows = self._picture.read(
            above * self._stride, min(below * self._stride, self._picture.shape[2])
        )
        fade_rows = self._fading(top, bottom, start, stop, self._height)
        inside = self._pixels(start - above, stop - above)
        band: Tensor | None = None
        for left, right in self._spans(self._width):
            first, last = max(left - self._halo, 0), min(right + self._halo, self._width)
            tile = self._make(rows[..., first * self._stride : last * self._stride])
            begin, end = max(left - self._fade, 0), min(right + self._fade, self._width)
            part = tile[:, :, inside, self._pixels(begin - first, end - first)].float()
            if band is None:
                sides = part.shape[2], self._width * self._factor
                band = part.new_zeros(*part.shape[:2], *sides)
            fade_columns = self._fading(left, right, begin, end, self._width)
            weights = (fade_rows[:, None] * fade_columns).to(part.device)
            band[..., self._pixels(begin, end)] += part * weights
        assert band is not None
        return band

    def _pixels(self, start: int, stop: int) -> slice:
        """Those of the map."""
        return slice(start * self._factor, stop * self._factor)

    def _fading(self, first: int, last: int, start: int, stop: int, length: int) -> Tensor:
        """Weights of pixels ``start`` to ``stop`` of a tile; over all tiles they add up to 1."""
        fade, inside = self._fade * self._factor, self._pixels(first, last)
        places = torch.arange(start * self._factor, stop * self._factor) + 0.5
        weights = torch.ones(len(places))
        if first > 0:
            weights = torch.minimum(weights, (places - inside.start + fade) / (2 * fade))
        if last < length:
            weights = torch.minimum(weights, (inside.stop + fade - places) / (2 * fade))
        return weights


class TileEncoder:
    """Computes the features of one picture tile by tile.

    Args:
        network: In evaluation mode, on the device of ``attempts``.
        picture: (1, 3, H, W) in the range that the head expects.
        stores: Makes the store for the features.
        attempts: Runs each tile, more precisely if needed.
        progress: See `Progress`.
        tile: Side of a tile, in pixels of the features; rounded to the grid.
    """

    def __init__(
        self,
        network: SuperResolver,
        picture: RowSource,
        *,
        stores: Stores,
        attempts: Attempts,
        progress: Progress,
        tile: int = TILE,
    ) -> None:
        self._network = network
        self._stores, self._attempts, self._progress = stores, attempts, progress
        align, halo = tile_grid(network)
        stride = network.backbone.stride
        self._height, self._width = (-(-side // stride) for side in picture.shape[2:])
        self._tiles = TiledMap(
            self._features, picture, align=align, halo=halo, stride=stride, tile=tile
        )

    def run(self) -> RowStore:
        """Make the features.

        Returns:
            (1, out_channels, h, w).
        """
        features: RowStore | None = None

        def write(top: int, rows: Tensor) -> None:
            nonlocal features
            if features is None:
                features = self._stores.make(rows.shape[1], self._height, self._width, rows.dtype)
            features.write(top, rows)

        self._tiles.run(write, self._progress)
        assert features is not None
        return features

    def _features(self, picture: Tensor) -> Tensor:
        def make() -> Tensor:
            features: Tensor = self._network.backbone(picture.to(self._attempts.device))
            return features

        return self._attempts.run("tile", make, lambda features: (features,))
