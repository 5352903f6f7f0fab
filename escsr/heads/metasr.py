"""Convolution kernels made for the place that is asked for."""

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
    check_positive,
    counted,
    exact_type,
    plain,
)
from escsr.layers.coords import GridPhases, bilinear_rows, grid_phases
from escsr.layers.derived import being_recorded
from escsr.layers.inplace import add, relu
from escsr.layers.linear import linear

# A convolution of its own for so many places costs less than its call, about 0.2 ms on a CPU.
_LEAST_PLACES = 512
# So many kernels are made in any case.
_KERNELS = 1024
# Bytes of neighbourhoods that are copied out at once.
_NEIGHBOURHOODS = 8 << 20
# Places at once that are worked on pixel by pixel: on a CPU their hidden channels stay in the
# cache, a GPU wants more.
_PLACES = 1024
_GPU_PLACES = 1 << 17


@HEADS.register("metasr")
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

    # ------------------------------------------------------------------ regular grid

    def forward(self, features: Tensor, lq: Tensor, size: tuple[int, int]) -> Tensor:
        """Make the whole picture, (B, 3, H_out, W_out)."""
        size, own = plain(size), plain(features.shape[-2:])
        rows, columns = (grid_phases(*sides) for sides in zip(size, own, strict=True))
        way = self._way(rows, columns)
        if way is None:
            return super().forward(features, lq, size)
        if features.device.type == "cpu":
            features = features.contiguous(memory_format=torch.channels_last)
        sr = way(features, rows, columns)
        if self.image_skip is not None:
            for start, stop in self._blocks(features, size, 0, size[0]):
                part = sr[:, :, start:stop]
                sr[:, :, start:stop] = add(part, bilinear_rows(lq, size, start, stop))
        return sr

    def _way(
        self, rows: GridPhases, columns: GridPhases
    ) -> Callable[[Tensor, GridPhases, GridPhases], Tensor] | None:
        """The quickest way to the colours of a regular grid; None: as other heads make them."""
        kernels = len(rows.offsets) * len(columns.offsets)
        calls = rows.period * columns.period
        pixels = calls * rows.repetitions * columns.repetitions
        # As many kernels as pixels cost what the maps of all hidden channels do.
        few = kernels <= max(pixels, _KERNELS)
        if calls == 1 and few:
            return self._shuffled
        if torch.is_grad_enabled() or being_recorded():  # few large steps
            return self._picked if kernels <= self.first.out_features else None
        if few and len(rows.pixels) * len(columns.pixels) >= _LEAST_PLACES * calls:
            return self._strided
        return self._pixel_by_pixel

    def _kernels(
        self, features: Tensor, rows: GridPhases, columns: GridPhases, down: slice, across: slice
    ) -> Tensor:
        """Kernels of all places of some rows and columns, (rows, columns, 3, in_channels, 3, 3)."""
        y = _offsets(rows, features, down)[:, None, None]
        x = _offsets(columns, features, across)[:, None]
        cell = self.grid_cell(features, (len(rows.pixels), len(columns.pixels)))[0]
        kernels = linear(self._hidden_weights(y, x, cell), self.last.weight, self.last.bias)
        shape = (*kernels.shape[:-1], 3, self.in_channels, 3, 3)
        return torch.as_tensor(kernels.reshape(shape), dtype=features.dtype)

    def _shuffled(self, features: Tensor, rows: GridPhases, columns: GridPhases) -> Tensor:
        """Each pixel of the features becomes the same block of pixels."""
        down, across = len(rows.offsets), len(columns.offsets)
        kernels = self._kernels(features, rows, columns, slice(down), slice(across))
        answers = F.conv2d(features, kernels.flatten(0, 2), padding=1)
        batch, _, height, width = answers.shape
        # Channels stay last, so that runs of 3·across numbers are moved instead of single ones.
        blocks = answers.permute(0, 2, 3, 1).reshape(batch, height, width, down, across * 3)
        lines = blocks.transpose(2, 3).reshape(batch, height * down, width * across, 3)
        return lines.permute(0, 3, 1, 2)

    def _picked(self, features: Tensor, rows: GridPhases, columns: GridPhases) -> Tensor:
        """All kernels of a period everywhere; each place takes the answer of its own."""
        down, across = len(rows.offsets), len(columns.offsets)
        kernels = self._kernels(features, rows, columns, slice(down), slice(across))
        answers = F.conv2d(features, kernels.flatten(0, 2), padding=1).permute(0, 2, 3, 1)
        row = rows.pixels * (features.shape[3] * down) + np.arange(len(rows.pixels)) % down
        column = columns.pixels * (down * across) + np.arange(len(columns.pixels)) % across
        index = torch.from_numpy(row[:, None] * across + column).to(features.device)
        found = answers.reshape(len(features), -1, 3).index_select(1, index.flatten())
        return found.reshape(len(features), *index.shape, 3).permute(0, 3, 1, 2)

    def _strided(self, features: Tensor, rows: GridPhases, columns: GridPhases) -> Tensor:
        """The grid repeats itself after a period of pixels: convolutions with that stride.

        One for each pixel of the period, with the kernels of all places that it is the nearest of.
        """
        # Neighbourhoods are copied out: a convolution would lay out the whole map for each call.
        padded = F.pad(features.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        around = padded.unfold(1, 3, 1).unfold(2, 3, 1).permute(0, 1, 2, 4, 5, 3)
        sr = features.new_empty(len(features), 3, len(rows.pixels), len(columns.pixels))
        # Along each axis: repetition, place in the period.
        split = [side for axis in (rows, columns) for side in (axis.repetitions, len(axis.offsets))]
        places = sr.view(len(sr), 3, *split)
        one_row = len(sr) * columns.repetitions * 9 * self.in_channels * features.element_size()
        step = max(1, _NEIGHBOURHOODS // one_row)
        calls = itertools.product(rows.groups(), columns.groups())
        for (top, down), (left, across) in counted(calls, features):
            kernels = self._kernels(features, rows, columns, down, across)
            table = kernels.permute(0, 1, 2, 4, 5, 3).flatten(3).flatten(0, 2)
            seen = around[:, top :: rows.period, left :: columns.period]
            for start in range(0, rows.repetitions, step):
                here = seen[:, start : start + step]
                answers = linear(here.reshape(*here.shape[:3], -1), table, None)
                answers = answers.reshape(*here.shape[:3], *kernels.shape[:3])
                answers = answers.permute(0, 5, 1, 3, 2, 4)
                places[:, :, start : start + step, down, :, across] = answers
        return sr

    def _pixel_by_pixel(self, features: Tensor, rows: GridPhases, columns: GridPhases) -> Tensor:
        """Nearly every place has a kernel of its own: small products of matrices.

        One for each pixel of the features, with the places that it is the nearest of.
        """
        size = (len(rows.pixels), len(columns.pixels))
        cell = self.grid_cell(features, size)
        from_y, from_x, constant = self._terms(cell[0])
        y_terms = _offsets(rows, features)[:, None] * from_y
        row_starts, starts = rows.starts, columns.starts
        most = int(np.diff(starts).max())
        # Every pixel gets as many places as the one with the most; those too many are left out.
        slots = starts[:-1, None] + np.arange(most)
        used = slots < starts[1:, None]
        x_terms = _offsets(columns, features)[torch.from_numpy(slots.clip(0, size[1] - 1))]
        x_terms = x_terms[..., None] * from_x + constant
        places = _PLACES if features.device.type == "cpu" else _GPU_PLACES
        step = max(1, places // (most * int(np.diff(row_starts).max())))
        sr = features.new_empty(len(features), 3, *size)
        for start, stop in self._bands(features, size, self.widths[0]):
            top, bottom = int(rows.pixels[start]), int(rows.pixels[stop - 1]) + 1
            maps = self._prepare_rows(features, cell, top, bottom)
            steps = itertools.product(range(top, bottom), range(0, len(slots), step))
            for pixel, left in counted(steps, features):
                down = slice(*(int(i) for i in row_starts[pixel : pixel + 2].clip(start, stop)))
                part = slice(left, min(left + step, len(slots)))
                across = slice(int(starts[part.start]), int(starts[part.stop]))
                weights = relu(y_terms[down, None] + x_terms[part, None])
                answers, always = (m[:, pixel - top, part].to(weights.dtype) for m in maps)
                kept = torch.from_numpy(used[part].ravel().nonzero()[0]).to(weights.device)
                for number, picture in enumerate(sr):
                    found = answers[number].reshape(len(weights), 3, -1)
                    rgb = torch.baddbmm(always[number, :, None], weights.flatten(1, 2), found.mT)
                    rgb = rgb.reshape(*weights.shape[:3], 3).transpose(1, 2).flatten(0, 1)
                    picture[:, down, across] = rgb.index_select(0, kept).permute(2, 1, 0)
        return sr


def _offsets(axis: GridPhases, features: Tensor, part: slice = slice(None)) -> Tensor:
    """Of places along an axis, in the type of distances."""
    offsets = torch.from_numpy(axis.offsets[axis.indices[part]])
    return offsets.to(exact_type(features)).to(features.device)
