"""Convolution kernels made for the requested place."""

import itertools
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.heads.base import HEADS
from escsr.heads.implicit import (
    ImageSkip,
    ImplicitHead,
    Places,
    as_ints,
    check_positive,
)
from escsr.layers.bands import RowSource
from escsr.layers.coords import GridPhases, grid_phases
from escsr.layers.derived import being_recorded
from escsr.layers.grid_tables import own_slots, phase_offsets, phase_pixels, slot_places
from escsr.layers.inplace import add, relu
from escsr.layers.linear import linear
from escsr.layers.planning import planned_steps
from escsr.layers.precision import own_precision
from escsr.layers.shuffle import blocks_to_pixels

# A separate convolution for this many places costs less than its call, about 0.2 ms on a CPU.
_LEAST_PLACES = 512
# This many kernels are always made.
_KERNELS = 1024
# Bytes of neighbourhoods copied out at once.
_NEIGHBOURHOODS = 8 << 20
# Places at once that are worked on pixel by pixel: on a CPU their hidden channels stay in the
# cache, a GPU wants more.
_PLACES = 1024
_GPU_PLACES = 1 << 17


@HEADS.register(
    "metasr",
    about="Cheapest at whole scales: a predicted kernel for each pixel.",
)
class MetaSR(ImplicitHead):
    """A small perceptron turns a place inside a pixel of the features into a 3×3 kernel.

    Colour = features around the nearest pixel times a kernel of its own, which depends on where
    in that pixel the place is (-1 to 1 along each axis) and on 1 / scale. On a regular grid places
    repeat themselves: at whole scales in every pixel, and all kernels are one convolution before a
    pixel shuffle; at 5/2 after two pixels, and there are four convolutions with stride 2.
    Elsewhere the perceptron's last layer, which is linear, is applied to the features first.

    Args:
        in_channels: Channels of the features.
        hidden_dim: Width of the perceptron's hidden layer.
        cell_max_scale: See `ImplicitHead`; published without.
        image_skip: See `ImplicitHead`; published without.
        memory_mib: See `ImplicitHead`.

    Raises:
        ValueError: If an argument is impossible.

    Source:
        Meta-SR, arXiv 1903.00875. Places are counted from the centres of pixels here, and the
        scale of a stretched picture is the geometric mean of its two.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        hidden_dim: int = 256,
        cell_max_scale: float | None = None,
        image_skip: ImageSkip = None,
        memory_mib: float = 128,
    ) -> None:
        super().__init__(
            local_ensemble=False,
            cell_max_scale=cell_max_scale,
            image_skip=image_skip,
            memory_mib=memory_mib,
        )
        check_positive(hidden_dim=hidden_dim)
        self.in_channels = in_channels
        self.first = nn.Linear(3, hidden_dim)
        # Kernels: (colour, channel, row, column).
        self.last = nn.Linear(hidden_dim, 27 * in_channels)
        # They begin as those of a convolution would, whatever the perceptron's width.
        spread = (9 * in_channels) ** -0.5
        nn.init.uniform_(self.last.bias, -spread, spread)
        nn.init.uniform_(self.last.weight, -spread * hidden_dim**-0.5, spread * hidden_dim**-0.5)

    @property
    def widths(self) -> tuple[int, int]:
        """See `ImplicitHead`."""
        return 3 * self.first.out_features + 3, 4 * self.first.out_features

    def prepare(self, features: Tensor, cell: Tensor) -> tuple[Tensor, ...]:
        """Answers of each hidden channel, (B, h, w, 3·hidden_dim), and what is added to all."""
        shape = (-1, self.in_channels, 3, 3)
        kernels = self.last.weight.reshape(3, *shape[1:], -1).permute(0, 4, 1, 2, 3).reshape(shape)
        assert self.last.bias is not None
        maps = (
            F.conv2d(features, kernels, padding=1),
            F.conv2d(features, self.last.bias.reshape(shape), padding=1),
        )
        return tuple(m.permute(0, 2, 3, 1).contiguous() for m in maps)

    def hidden(self, maps: tuple[Tensor, ...], places: Places) -> Tensor:
        """The colours themselves, (B, …, 3)."""
        weights = self._hidden_weights(places.y, places.x, places.cell)
        answers = places.take(maps[0])
        answers = answers.reshape(*answers.shape[:-1], 3, -1)
        return add((answers * weights[..., None, :]).sum(-1), places.take(maps[1]))

    def _hidden_weights(self, y: Tensor, x: Tensor, cell: Tensor) -> Tensor:
        """Of places (…, 1): (…, hidden_dim)."""
        from_y, from_x, constant = self._terms(cell)
        return relu(y * from_y + (x * from_x + constant))

    def _terms(self, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What hidden channels are given per unit of y and of x, and in any case."""
        inverse_scale = cell.prod(-1, keepdim=True).sqrt() / 2
        from_y, from_x, from_scale = self.first.weight.unbind(1)
        return from_y, from_x, inverse_scale * from_scale + self.first.bias

    def _to_rgb(self, blend: Tensor) -> Tensor:
        return blend

    def as_convolution(self, scale: int) -> Tensor:
        """The one convolution that the head is at a whole scale, before a pixel shuffle.

        Args:
            scale: Enlargement of the features.

        Returns:
            Its weight (3 · scale², in_channels, 3, 3); it pads with zeros and has no bias.

        Example:
            >>> weight = escsr.load("default").head.as_convolution(2)
            >>> sr = F.pixel_shuffle(F.conv2d(features, weight, padding=1), 2)
        """
        phases = grid_phases(scale, 1)
        cell = self.last.weight.new_full((2,), 2 / scale)
        if self.cell_max_scale is not None:
            cell = cell.clamp(min=2 / self.cell_max_scale)
        kernels = self._kernels(phases, phases, cell, self.last.weight.dtype)
        return kernels.permute(2, 0, 1, 3, 4, 5).flatten(0, 2)

    # ------------------------------------------------------------------ regular grid

    def _without_skip(
        self, features: RowSource, lq: RowSource, size: tuple[int, int], rows: tuple[int, int]
    ) -> Tensor:
        """Some rows of the picture, in the fastest way."""
        own = as_ints(features.shape[2:])
        down, across = (grid_phases(*sides) for sides in zip(size, own, strict=True))
        way = self._way(down, across, rows)
        if way is None:
            return super()._without_skip(features, lq, size, rows)
        # One convolution that makes the colours themselves.
        with own_precision(features.device):
            return way(features, self.grid_cell(features, size)[0], down, across, rows)

    def _read_around(self, features: RowSource, top: int, bottom: int) -> tuple[Tensor, int]:
        """See `ImplicitHead`; in the precision of the weights."""
        read, start = super()._read_around(features, top, bottom)
        return read.to(self.last.weight.dtype), start

    def _way(
        self, rows: GridPhases, columns: GridPhases, wanted: tuple[int, int]
    ) -> Callable[..., Tensor] | None:
        """The fastest way to some rows of a regular grid; None: the way of other heads."""
        kernels = len(rows.offsets) * len(columns.offsets)
        calls = rows.period * columns.period
        pixels = calls * rows.repetitions * columns.repetitions
        # As many kernels as pixels cost what the maps of all hidden channels do.
        few = kernels <= max(pixels, _KERNELS)
        if calls == 1 and few:
            return self._shuffled
        if torch.is_grad_enabled() or being_recorded():  # few large steps
            return self._picked if kernels <= self.first.out_features else None
        if few and (wanted[1] - wanted[0]) * len(columns.pixels) >= _LEAST_PLACES * calls:
            return self._strided
        return self._pixel_by_pixel

    def _kernels(
        self, rows: GridPhases, columns: GridPhases, cell: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """Kernels of all places of some rows and columns, (rows, columns, 3, in_channels, 3, 3)."""
        y = phase_offsets(rows, cell)[:, None, None]
        x = phase_offsets(columns, cell)[:, None]
        kernels = linear(self._hidden_weights(y, x, cell), self.last.weight, self.last.bias)
        shape = (*kernels.shape[:-1], 3, self.in_channels, 3, 3)
        return torch.as_tensor(kernels.reshape(shape), dtype=dtype)

    def _read_nearest(
        self, features: RowSource, rows: GridPhases, wanted: tuple[int, int]
    ) -> tuple[Tensor, int]:
        """The features that some rows need, channels last, and the index of their first row."""
        return self._read_around(
            features, int(rows.pixels[wanted[0]]), int(rows.pixels[wanted[1] - 1]) + 1
        )

    def _shuffled(
        self,
        features: RowSource,
        cell: Tensor,
        rows: GridPhases,
        columns: GridPhases,
        wanted: tuple[int, int],
    ) -> Tensor:
        """Each pixel of the features becomes the same block of pixels."""
        down, across = len(rows.offsets), len(columns.offsets)
        read, start = self._read_nearest(features, rows, wanted)
        top, bottom = wanted[0] // down, -(-wanted[1] // down)
        kernels = self._kernels(rows.cut(slice(down)), columns.cut(slice(across)), cell, read.dtype)
        answers = F.conv2d(read, kernels.flatten(0, 2), padding=1)[:, :, top - start :]
        answers = answers[:, :, : bottom - top]
        sr = blocks_to_pixels(answers, down, across)
        return sr[:, :, wanted[0] - top * down : wanted[1] - top * down]

    def _picked(
        self,
        features: RowSource,
        cell: Tensor,
        rows: GridPhases,
        columns: GridPhases,
        wanted: tuple[int, int],
    ) -> Tensor:
        """All kernels of a period everywhere; each place takes the answer of its own."""
        down, across = len(rows.offsets), len(columns.offsets)
        read, start = self._read_nearest(features, rows, wanted)
        kernels = self._kernels(rows.cut(slice(down)), columns.cut(slice(across)), cell, read.dtype)
        answers = F.conv2d(read, kernels.flatten(0, 2), padding=1).permute(0, 2, 3, 1)
        place, device = torch.arange(rows.sides[0], device=read.device), read.device
        row = (phase_pixels(*rows.sides, device) - start) * (read.shape[3] * down) + place % down
        place = torch.arange(columns.sides[0], device=device)
        column = phase_pixels(*columns.sides, device) * (down * across) + place % across
        index = row[slice(*wanted), None] * across + column
        found = answers.reshape(len(read), -1, 3).index_select(1, index.flatten())
        return found.reshape(len(read), *index.shape, 3).permute(0, 3, 1, 2)

    def _strided(
        self,
        features: RowSource,
        cell: Tensor,
        rows: GridPhases,
        columns: GridPhases,
        wanted: tuple[int, int],
    ) -> Tensor:
        """The grid repeats itself after a period of pixels: convolutions with that stride.

        One for each pixel of the period, with the kernels of all places that it is the nearest of.
        """
        read, start = self._read_nearest(features, rows, wanted)
        count = len(rows.offsets)
        top, bottom = wanted[0] // count, -(-wanted[1] // count)
        rows = rows.periods(top, bottom)
        # Whole periods are made, of zeros where nothing was read, and cut in the end.
        above = top * rows.period - start
        below = start + read.shape[2] - bottom * rows.period
        # Neighbourhoods are copied out: a convolution would lay out the whole map for each call.
        padded = F.pad(read.permute(0, 2, 3, 1), (0, 0, 1, 1, 1 - above, 1 - below))
        around = padded.unfold(1, 3, 1).unfold(2, 3, 1).permute(0, 1, 2, 4, 5, 3)
        sr = read.new_empty(len(read), 3, len(rows.pixels), len(columns.pixels))
        # Along each axis: repetition, place in the period.
        split = [side for axis in (rows, columns) for side in (axis.repetitions, len(axis.offsets))]
        places = sr.view(len(sr), 3, *split)
        one_row = len(sr) * columns.repetitions * 9 * self.in_channels * read.element_size()
        step = max(1, _NEIGHBOURHOODS // one_row)
        calls = itertools.product(rows.groups(), columns.groups())
        for (pixel, down), (left, across) in planned_steps(calls):
            kernels = self._kernels(rows.cut(down), columns.cut(across), cell, read.dtype)
            table = kernels.permute(0, 1, 2, 4, 5, 3).flatten(3).flatten(0, 2)
            seen = around[:, pixel :: rows.period, left :: columns.period]
            for first in range(0, rows.repetitions, step):
                here = seen[:, first : first + step]
                answers = linear(here.reshape(*here.shape[:3], -1), table, None)
                answers = answers.reshape(*here.shape[:3], *kernels.shape[:3])
                answers = answers.permute(0, 5, 1, 3, 2, 4)
                places[:, :, first : first + step, down, :, across] = answers
        return sr[:, :, wanted[0] - top * count : wanted[1] - top * count]

    def _pixel_by_pixel(
        self,
        features: RowSource,
        cell: Tensor,
        rows: GridPhases,
        columns: GridPhases,
        wanted: tuple[int, int],
    ) -> Tensor:
        """Nearly every place has its own kernel: small products of matrices.

        One for each pixel of the features, with the places that it is the nearest of.
        """
        batch = features.shape[0]
        size = (len(rows.pixels), len(columns.pixels))
        from_y, from_x, constant = self._terms(cell)
        y_terms = phase_offsets(rows, cell)[:, None] * from_y
        row_starts, starts = rows.starts, columns.starts
        most = int(np.diff(starts).max())
        # Every pixel gets as many places as the one with the most; those too many are left out.
        slots = slot_places(*columns.sides, cell.device)
        x_terms = phase_offsets(columns, cell)[slots]
        x_terms = x_terms[..., None] * from_x + constant
        places = _PLACES if features.device.type == "cpu" else _GPU_PLACES
        step = max(1, places // (most * int(np.diff(row_starts).max())))
        shape = (batch, 3, wanted[1] - wanted[0], size[1])
        sr = torch.empty(shape, dtype=self.last.weight.dtype, device=features.device)
        for start, stop in self._bands(features, size, wanted, self.widths[0]):
            top, bottom = int(rows.pixels[start]), int(rows.pixels[stop - 1]) + 1
            maps = self._prepare_rows(features, cell[None], top, bottom)
            steps = itertools.product(range(top, bottom), range(0, len(slots), step))
            for pixel, left in planned_steps(steps):
                down = slice(*(int(i) for i in row_starts[pixel : pixel + 2].clip(start, stop)))
                part = slice(left, min(left + step, len(slots)))
                across = slice(int(starts[part.start]), int(starts[part.stop]))
                weights = relu(y_terms[down, None] + x_terms[part, None])
                answers, always = (m[:, pixel - top, part].to(weights.dtype) for m in maps)
                kept = own_slots(*columns.sides, part.start, part.stop, weights.device)
                into = slice(down.start - wanted[0], down.stop - wanted[0])
                for number, picture in enumerate(sr):
                    found = answers[number].reshape(len(weights), 3, -1)
                    rgb = torch.baddbmm(always[number, :, None], weights.flatten(1, 2), found.mT)
                    rgb = rgb.reshape(*weights.shape[:3], 3).transpose(1, 2).flatten(0, 1)
                    picture[:, into, across] = rgb.index_select(0, kept).permute(2, 1, 0)
            del maps, answers, always, found  # before the next band's are made
        return sr
