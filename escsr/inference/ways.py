"""How a picture goes through a network: whole, in exact bands, or in tiles."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import psutil
import torch

from escsr.inference.band_memory import band_costs, tile_costs
from escsr.inference.tiles import TILE, tile_grid
from escsr.model import SuperResolver

Tiles = Literal["exact", "fast"]
"""Options: exactly the result of the whole picture, or nearly the same result faster."""

# Exact bands recompute their overlap, which is noticeable below this number of rows.
_GOOD_ROWS = 128
# On a CPU, bands of 64 to 128 rows stay in the caches: compared with the whole picture at once,
# 512×512 takes 0.73 to 0.84 of the time, 1024×1024 0.93, and 256×256 1.1 (`escsr bench --bands`).
_CPU_ROWS, _CPU_PIXELS = 128, 1 << 16
_QUICKER_FROM = 1 << 18
# Most rows that the head computes at once: more are no faster.
_RESULT_ROWS = 512
# Share of the host memory beside an accelerator; the rest is for other programs.
_SHARE_OF_HOST = 0.7
_UNBOUND = 1 << 60


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a picture goes through a network.

    Attributes:
        kind: "whole" at once; "bands", with the same result; or "tiles", with nearly the same.
        memory: Peak bytes on the network's device, including picture and result.
        rows: Rows of the features in a band, or the side of a tile; 0 for the whole picture.
        result_rows: Rows of the result that the head computes at once; 0 likewise.
        stored: Bytes of the maps that are kept between stages.
        spooled: Whether they are on disk.
    """

    kind: Literal["whole", "bands", "tiles"]
    memory: int
    rows: int = 0
    result_rows: int = 0
    stored: int = 0
    spooled: bool = False

    def __str__(self) -> str:
        """In words."""
        if self.kind == "whole":
            return "the whole picture at once"
        where = "on the disk" if self.spooled else "in memory"
        kept = f"{self.stored / 2**30:.2f} GiB {where} between its stages"
        if self.kind == "bands":
            return f"exact bands of {self.rows} rows, {kept}"
        tiles = f"tiles of {self.rows}×{self.rows}"
        return f"{tiles}, {kept}" if self.stored else tiles


def check_tiles(tiles: str) -> None:
    """Check that a word is one of `Tiles`.

    Raises:
        ValueError: If not.
    """
    if tiles not in get_args(Tiles):
        raise ValueError(f"tiles must be one of {', '.join(get_args(Tiles))}, not {tiles!r}")


class WayFinder:
    """Chooses the way for the pictures of one network.

    Args:
        network: In evaluation mode, on its device.
        tiles: See `Tiles`.
        dtype: Autocast dtype; None for none.
        banded: Whether to use bands on a CPU where they are faster; not if whole pictures go
            through something other than the network itself.

    Attributes:
        staged: Whether the backbone can work in exact bands.
    """

    def __init__(
        self,
        network: SuperResolver,
        tiles: Tiles,
        dtype: torch.dtype | None,
        *,
        banded: bool = True,
    ) -> None:
        self._network, self._tiles, self._dtype = network, tiles, dtype
        self._banded = banded
        self.staged = network.backbone.stages() is not None
        self._device = next(network.parameters()).device

    @property
    def approximates(self) -> bool:
        """Whether pictures that are not computed as a whole differ slightly."""
        return self._tiles == "fast" or not self.staged

    def _quicker_in_bands(self, image_size: tuple[int, int]) -> bool:
        on_cpu = self._device.type == "cpu" and self._banded
        return on_cpu and not self.approximates and image_size[0] * image_size[1] >= _QUICKER_FROM

    def prefers_whole(self, image_size: tuple[int, int]) -> bool:
        """Whether a picture goes through the network at once if it fits."""
        if self._quicker_in_bands(image_size):
            return False
        side = TILE * self._network.backbone.stride
        return self._tiles == "exact" or max(image_size) <= side

    def find(
        self,
        image_size: tuple[int, int],
        size: tuple[int, int],
        *,
        whole: Callable[[], int],
        around: int,
        limit: int | None,
    ) -> Way:
        """Choose the way for a picture.

        Args:
            image_size: (H, W) of the picture.
            size: (H_out, W_out) of the network's result.
            whole: Returns the bytes that the whole picture needs at once.
            around: Bytes of the result and of everything else besides the network.
            limit: Available bytes; None if unknown.

        Raises:
            MemoryError: If no way fits; the message has the figures.
        """
        if self.prefers_whole(image_size):
            needed = whole()
            if limit is None or needed <= limit:
                return Way(kind="whole", memory=needed)
        free = None if limit is None else limit - around
        if self.approximates:
            return self._in_tiles(image_size, size, around, free)
        return self._in_bands(image_size, size, around, _UNBOUND if free is None else free)

    def _in_bands(
        self, image_size: tuple[int, int], size: tuple[int, int], around: int, free: int
    ) -> Way:
        costs = band_costs(self._network, image_size, size, dtype=self._dtype)
        spooled = costs.stored > self._room_for_maps(free, costs.stages.of(_GOOD_ROWS))
        left = free - (0 if spooled else self._on_device(costs.stored))
        rows = costs.stages.rows_in(left, self._most_rows(image_size)) // costs.align * costs.align
        result_rows = costs.head.rows_in(left, min(size[0], _RESULT_ROWS))
        if not rows or not result_rows:
            least = max(costs.stages.of(costs.align), costs.head.of(1)) + around
            raise too_large(image_size, least, free + around, self._device)
        peak = max(costs.stages.of(rows), costs.head.of(result_rows))
        return Way(
            kind="bands",
            memory=around + free - left + peak,
            rows=rows,
            result_rows=result_rows,
            stored=costs.stored,
            spooled=spooled,
        )

    def _most_rows(self, image_size: tuple[int, int]) -> int:
        """More rows are no faster."""
        height, width = image_size
        if self._device.type != "cpu":
            return height
        return min(height, max(_CPU_ROWS, _CPU_PIXELS // width))

    def _in_tiles(
        self, image_size: tuple[int, int], size: tuple[int, int], around: int, free: int | None
    ) -> Way:
        align, halo = tile_grid(self._network)
        tile = max(TILE // align, 1) * align
        while True:
            costs = tile_costs(
                self._network, image_size, size, tile=tile, halo=halo, dtype=self._dtype
            )
            peak = max(costs.tile, costs.head.of(1))
            if free is None or peak <= free or tile == align:
                break
            tile = max(tile // 2 // align, 1) * align
        if free is not None and peak > free:
            raise too_large(image_size, peak + around, free + around, self._device)
        room = costs.stored if free is None else self._room_for_maps(free, peak)
        spooled = costs.stored > room
        taken = 0 if spooled else self._on_device(costs.stored)
        left = costs.head.of(_RESULT_ROWS) if free is None else free - taken
        result_rows = max(costs.head.rows_in(left, min(size[0], _RESULT_ROWS)), 1)
        return Way(
            kind="tiles",
            memory=around + taken + max(peak, costs.head.of(result_rows)),
            rows=tile,
            result_rows=result_rows,
            stored=costs.stored,
            spooled=spooled,
        )

    def _room_for_maps(self, free: int, beside: int) -> int:
        """Bytes of memory left for maps, beside the work that needs so many."""
        if self._device.type == "cpu":
            return free - beside
        return int(_SHARE_OF_HOST * psutil.virtual_memory().available)

    def _on_device(self, stored: int) -> int:
        """Maps are kept in host memory."""
        return stored if self._device.type == "cpu" else 0


def too_large(
    image_size: tuple[int, int], needed: int, total: int, device: torch.device
) -> MemoryError:
    """The error for a picture that does not fit in any way."""
    height, width = image_size
    return MemoryError(
        f"a picture of {width}×{height} pixels would take about {needed / 2**30:.2f} GiB with this "
        f"network, even in parts, and {total / 2**30:.2f} GiB can be had on {device}. Allow more "
        "memory, use a smaller picture or a smaller network"
    )
