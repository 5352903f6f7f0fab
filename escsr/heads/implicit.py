"""The common base of heads for any scale: neighbours, blocks of rows, and the blend.

The answer at a point is a blend of what up to four pixels of the features predict for it. The
blend is linear and its weights add up to one, so it goes before the last layer; on a regular
grid indices, distances and weights come from whole numbers, one axis at a time, and rows are
made in blocks, so that neither all coordinates nor all predictions ever exist at once.
"""

import abc
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from escsr.heads.base import QueryHead
from escsr.layers.bands import Band, RowSource
from escsr.layers.coords import (
    Tap,
    bilinear_at,
    make_cells,
    point_taps,
)
from escsr.layers.derived import being_recorded
from escsr.layers.eager import never_compiled
from escsr.layers.grid_tables import PlacedTaps, placed_taps
from escsr.layers.interpolation import interpolate_rows, interpolation_rows
from escsr.layers.linear import linear
from escsr.layers.planning import planned_steps
from escsr.layers.precision import own_precision

ImageSkip = Literal["bilinear"] | None
# Rows are made in blocks that stay in the cache of a CPU; a GPU wants larger ones.
_CPU_BLOCK = 2 << 20
_GPU_BLOCK = 128 << 20


@dataclass(frozen=True)
class Places:
    """Queries answered by one neighbour each: which one, and its distance.

    Shapes broadcast to (B, rows, columns, 1) on a grid and to (B, Q, 1) for free coordinates.

    Attributes:
        y: 2 · (query - centre of the neighbour), in rows of the features.
        x: Likewise in columns.
        cell: (…, 2) height and width of a query's pixel, in the same units.
        rows: On a grid, indices into the rows of the maps; otherwise None.
        columns: On a grid, indices into their columns; otherwise indices into all their pixels.
    """

    y: Tensor
    x: Tensor
    cell: Tensor
    rows: Tensor | None
    columns: Tensor

    def take(self, features: Tensor) -> Tensor:
        """The neighbours' vectors from a (B, h, w, C) map, as a new tensor."""
        if self.rows is not None:
            return features.index_select(1, self.rows).index_select(2, self.columns)
        flat = features.reshape(-1, features.shape[-1])
        taken = flat.index_select(0, self.columns.flatten())
        return taken.reshape(*self.columns.shape, -1)


class ImplicitHead(QueryHead, abc.ABC):
    """A head that answers at points, from the nearest pixels of the features.

    Subclasses give ``prepare`` (what can be computed once per pixel of the features), ``hidden``
    (a neighbour's prediction up to the last layer) and ``last``, the linear layer to RGB.

    Args:
        local_ensemble: Blend the predictions of the four nearest pixels of the features
            instead of taking the nearest one's.
        cell_max_scale: Above this enlargement the network receives the cell of this one, for
            networks that saw none larger in training; None passes the true cell.
        image_skip: "bilinear" adds the picture, enlarged bilinearly.
        memory_mib: Memory limit in MiB for the maps prepared for each block of rows.

    Raises:
        ValueError: If an argument is impossible.
    """

    pixel_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    # Pixels of the features that ``prepare`` looks around itself.
    reach: ClassVar[int] = 1
    last: nn.Linear | nn.Conv2d

    def __init__(
        self,
        *,
        local_ensemble: bool,
        cell_max_scale: float | None,
        image_skip: ImageSkip,
        memory_mib: float,
    ) -> None:
        super().__init__()
        if cell_max_scale is not None and not cell_max_scale >= 1:
            raise ValueError(f"cell_max_scale must be at least 1 or None, not {cell_max_scale}")
        if image_skip not in ("bilinear", None):
            raise ValueError(f"image_skip is 'bilinear' or None, not {image_skip!r}")
        if not memory_mib > 0:
            raise ValueError(f"memory_mib must be more than 0, not {memory_mib}")
        self.local_ensemble = local_ensemble
        self.cell_max_scale = cell_max_scale
        self.image_skip = image_skip
        self.memory_mib = memory_mib

    @abc.abstractmethod
    def prepare(self, features: Tensor, cell: Tensor) -> tuple[Tensor, ...]:
        """Maps of the pixels of the features, channels last.

        Args:
            features: (B, in_channels, h, w), zero beyond its borders.
            cell: (B or 1, Q or 1, 2), see `Places`.

        Returns:
            Tensors (B, h, w, …) that `hidden` takes from.
        """

    @abc.abstractmethod
    def hidden(self, maps: tuple[Tensor, ...], places: Places) -> Tensor:
        """Predictions up to the last layer, (B, …, hidden channels), freshly made."""

    @property
    @abc.abstractmethod
    def widths(self) -> tuple[int, int]:
        """Numbers per pixel of the features in all maps, and channels of `hidden`."""

    # ------------------------------------------------------------------ points

    def query(self, features: Tensor, lq: Tensor, coords: Tensor, cells: Tensor) -> Tensor:
        """Colours at free coordinates; see `QueryHead.query`."""
        self.check_queries(features, coords, cells)
        height, width = features.shape[-2:]
        # Half precision could not even resolve which pixel a coordinate refers to.
        exact = exact_type(features)
        coords = coords.to(torch.promote_types(coords.dtype, exact))
        cell = self._relative_cell(cells.to(exact), features)
        maps = self.prepare(features, cell)
        first = torch.arange(len(features), device=coords.device)[:, None] * (height * width)
        rows = point_taps(coords[..., 0], height, ensemble=self.local_ensemble)
        columns = point_taps(coords[..., 1], width, ensemble=self.local_ensemble)
        blend: Tensor | None = None
        for row, column in itertools.product(rows, columns):
            places = Places(
                y=row.offsets[..., None].to(exact),
                x=column.offsets[..., None].to(exact),
                cell=cell,
                rows=None,
                columns=first + row.pixels * width + column.pixels,
            )
            weights = (row.weights * column.weights)[..., None].to(exact)
            blend = _accumulate(blend, self.hidden(maps, places), weights)
        assert blend is not None
        rgb = self._to_rgb(blend)
        return rgb if self.image_skip is None else rgb + bilinear_at(lq, coords)

    # ------------------------------------------------------------------ regular grid

    def forward(self, features: Tensor, lq: Tensor, size: tuple[int, int]) -> Tensor:
        """Make the whole picture, (B, 3, H_out, W_out)."""
        size = as_ints(size)
        return self._rows(Band.whole(features), Band.whole(lq), size, (0, size[0]))

    def rows(
        self, features: RowSource, lq: RowSource, size: tuple[int, int], rows: tuple[int, int]
    ) -> Tensor:
        """See `Head.rows`."""
        return self._rows(features, lq, size, rows)

    @never_compiled
    def _rows(
        self, features: RowSource, lq: RowSource, size: tuple[int, int], rows: tuple[int, int]
    ) -> Tensor:
        """The common part of ``forward`` and ``rows``, block by block."""
        sr = self._without_skip(features, lq, size, rows)
        if self.image_skip is not None:
            for start, stop in self._blocks(lq, size, rows, 3):
                part = sr[:, :, start - rows[0] : stop - rows[0]]
                part += interpolate_rows(lq, size, (start, stop), mode=self.image_skip)
        return sr

    def source_rows(
        self, rows: tuple[int, int], *, size: tuple[int, int], height: int
    ) -> tuple[int, int]:
        """See `Head.source_rows`."""
        top, bottom = interpolation_rows(rows, size[0], height, mode="bilinear")
        return max(top - self.reach, 0), min(bottom + self.reach, height)

    def picture_rows(
        self, rows: tuple[int, int], *, size: tuple[int, int], height: int
    ) -> tuple[int, int]:
        """See `Head.picture_rows`."""
        if self.image_skip is None:
            return 0, 0
        return interpolation_rows(rows, size[0], height, mode=self.image_skip)

    def _without_skip(
        self, features: RowSource, lq: RowSource, size: tuple[int, int], rows: tuple[int, int]
    ) -> Tensor:
        """Some rows of the picture without the enlarged one that is added."""
        height, width = as_ints(features.shape[2:])
        exact = exact_type(features)
        cell = self.grid_cell(features, size)
        place = partial(
            placed_taps, ensemble=self.local_ensemble, dtype=exact, device=features.device
        )
        of_rows = place(size[0], height, rows)
        columns = place(size[1], width, (0, size[1]))
        sr = torch.empty(
            features.shape[0],
            3,
            rows[1] - rows[0],
            size[1],
            dtype=lq.dtype,
            device=lq.device,
        )
        for start, stop in self._bands(features, size, rows, self.widths[0]):
            band = [group.between(start, stop) for group in of_rows]
            band = [group for group in band if len(group.numbers.places)]
            top = min(int(group.numbers.pixels.min()) for group in band)
            bottom = max(int(group.numbers.pixels.max()) for group in band) + 1
            maps = self._prepare_rows(features, cell, top, bottom)
            for first, last in self._blocks(features, size, (start, stop), self.widths[1]):
                block = sr[:, :, first - rows[0] : last - rows[0]]
                for group in band:
                    self._fill(block, maps, group.between(first, last), (first, top), columns, cell)
            del maps  # before the next band's are made
        return sr

    def _fill(
        self,
        sr: Tensor,
        maps: tuple[Tensor, ...],
        rows: PlacedTaps,
        begins: tuple[int, int],
        columns: Sequence[PlacedTaps],
        cell: Tensor,
    ) -> None:
        """Write the pixels of some rows into ``sr``; it and ``maps`` begin at the rows given."""
        if not len(rows.numbers.places):
            return
        first, top = begins
        row_places = (rows.places - first)[:, None]
        row_taps = [Tap(t.pixels - top, t.offsets, t.weights) for t in rows.taps]
        for group in columns:
            blend: Tensor | None = None
            for row, column in itertools.product(row_taps, group.taps):
                places = Places(
                    y=row.offsets[:, None, None],
                    x=column.offsets[:, None],
                    cell=cell[:, :, None],
                    rows=row.pixels,
                    columns=column.pixels,
                )
                weights = (row.weights[:, None] * column.weights)[..., None]
                alone = len(row_taps) == len(group.taps) == 1
                found = self.hidden(maps, places)
                blend = found if alone else _accumulate(blend, found, weights)
            assert blend is not None
            rgb = self._to_rgb(blend).to(sr.dtype).permute(0, 3, 1, 2)
            sr[:, :, row_places, group.places] = rgb

    def _prepare_rows(
        self, features: RowSource, cell: Tensor, top: int, bottom: int
    ) -> tuple[Tensor, ...]:
        """Prepare the rows from ``top`` up to but not ``bottom``, as if of the whole map."""
        read, start = self._read_around(features, top, bottom)
        return tuple(m[:, top - start : bottom - start] for m in self.prepare(read, cell))

    def _read_around(self, features: RowSource, top: int, bottom: int) -> tuple[Tensor, int]:
        """Rows of the features with the context that `prepare` needs, and the first row's index."""
        start = max(top - self.reach, 0)
        read = features.read(start, min(bottom + self.reach, features.shape[2]))
        if read.device.type == "cpu" and read.stride(1) != 1:
            read = read.contiguous(memory_format=torch.channels_last)
        return read, start

    def _bands(
        self, features: RowSource, size: tuple[int, int], rows: tuple[int, int], numbers: int
    ) -> Iterator[tuple[int, int]]:
        """Rows of the result whose maps, of so many numbers a pixel, fit the memory."""
        if torch.is_grad_enabled() or being_recorded():
            yield rows
            return
        batch, _, height, width = features.shape
        row_bytes = batch * width * numbers * features.dtype.itemsize
        # Below 16 rows too much would be prepared twice, at the seams.
        count = max(16, int(self.memory_mib * 2**20 / row_bytes))
        yield from _cuts(rows, max(1, count * size[0] // height))

    @staticmethod
    def _blocks(
        source: RowSource, size: tuple[int, int], rows: tuple[int, int], numbers: int
    ) -> Iterator[tuple[int, int]]:
        """Rows of the result processed at once, for a given number of values per pixel."""
        if torch.is_grad_enabled() or being_recorded():
            yield rows
            return
        limit = _CPU_BLOCK if source.device.type == "cpu" else _GPU_BLOCK
        row_bytes = source.shape[0] * size[1] * numbers * source.dtype.itemsize
        yield from _cuts(rows, max(1, limit // row_bytes))

    def grid_cell(self, features: RowSource, size: tuple[int, int]) -> Tensor:
        """The cell of all pixels of a picture, as `prepare` takes it, (1, 1, 2)."""
        cells = make_cells(size, dtype=exact_type(features), device=features.device)
        return self._relative_cell(cells, features)

    def _relative_cell(self, cells: Tensor, features: RowSource | Tensor) -> Tensor:
        """Cells in pixels of the features times two, clipped; (B or 1, Q or 1, 2)."""
        of_rows, of_columns = cells.unbind(-1)
        height, width = features.shape[-2:]
        relative = torch.stack([of_rows * height, of_columns * width], dim=-1)
        if self.cell_max_scale is not None:
            relative = relative.clamp(min=2 / self.cell_max_scale)
        return relative

    def _to_rgb(self, blend: Tensor) -> Tensor:
        weight = self.last.weight.flatten(1)
        with own_precision(blend.device):
            return linear(blend.to(weight.dtype), weight, self.last.bias)


def _accumulate(blend: Tensor | None, found: Tensor, weights: Tensor) -> Tensor:
    if torch.is_grad_enabled() or found.dtype != weights.dtype:
        found = found * weights
        return found if blend is None else blend + found
    found.mul_(weights)
    return found if blend is None else blend.add_(found)


def _cuts(rows: tuple[int, int], step: int) -> Iterator[tuple[int, int]]:
    yield from planned_steps((first, min(first + step, rows[1])) for first in range(*rows, step))


def exact_type(features: RowSource | Tensor) -> torch.dtype:
    """The type of distances: that of the features, but at least single precision."""
    return torch.promote_types(features.dtype, torch.float32)


def perceptron(x: Tensor, layers: Iterable[nn.Module]) -> Tensor:
    """Linear layers, or 1×1 convolutions, each followed by a ReLU, over the last dimension."""
    for layer in layers:
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        x = linear(x, layer.weight.flatten(1), layer.bias, relu=True)
    return x


def as_ints(size: Sequence[int]) -> tuple[int, int]:
    """Sides as plain numbers, also where a network is traced and they come as tensors."""
    return int(size[0]), int(size[1])


def check_positive(**sizes: int) -> None:
    """Check that sizes are whole numbers of at least 1.

    Raises:
        ValueError: If one is not.
    """
    for name, size in sizes.items():
        if isinstance(size, bool) or size != int(size) or size < 1:
            raise ValueError(f"{name} must be a whole number from 1, not {size}")
