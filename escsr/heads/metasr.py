"""Convolution kernels made for the place that is asked for."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.heads.base import HEADS
from escsr.heads.implicit import ImageSkip, ImplicitHead, Places, check_positive, exact_type, plain
from escsr.layers.coords import GridPhases, bilinear_rows, grid_phases
from escsr.layers.inplace import add, relu
from escsr.layers.linear import linear


@HEADS.register("metasr")
class MetaSR(ImplicitHead):
    """A small perceptron turns a place inside a pixel of the features into a 3×3 kernel.

    Colour = features around the nearest pixel times a kernel of its own, which depends on where
    in that pixel the place is (-1 to 1 along each axis) and on 1 / scale. On a regular grid only
    few places differ: their kernels are made once and all of them are one convolution, at whole
    scales followed by a plain pixel shuffle. Elsewhere the perceptron's last layer, which is
    linear, is applied to the features first.

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
        inverse_scale = cell.prod(-1, keepdim=True).sqrt() / 2
        from_y, from_x, from_scale = self.first.weight.unbind(1)
        constant = inverse_scale * from_scale + self.first.bias
        return relu(y * from_y + (x * from_x + constant))

    def _to_rgb(self, blend: Tensor) -> Tensor:
        return blend

    # ------------------------------------------------------------------ regular grid

    def forward(self, features: Tensor, lq: Tensor, size: tuple[int, int]) -> Tensor:
        """Make the whole picture, (B, 3, H_out, W_out)."""
        size, own = plain(size), plain(features.shape[-2:])
        rows, columns = (grid_phases(*sides) for sides in zip(size, own, strict=True))
        if len(rows.offsets) * len(columns.offsets) > self.first.out_features:
            return super().forward(features, lq, size)
        if features.device.type == "cpu":
            features = features.contiguous(memory_format=torch.channels_last)
        kernels = self._kernels(rows.offsets, columns.offsets, size, features)
        if rows.repeats and columns.repeats:
            sr = self._shuffled(features, kernels)
        else:
            sr = self._picked(features, kernels, rows, columns)
        if self.image_skip is not None:
            for start, stop in self._blocks(features, size, 0, size[0]):
                part = sr[:, :, start:stop]
                sr[:, :, start:stop] = add(part, bilinear_rows(lq, size, start, stop))
        return sr

    def _kernels(
        self, offsets_y: Any, offsets_x: Any, size: tuple[int, int], features: Tensor
    ) -> Tensor:
        """Kernels of all places that differ, (rows, columns, 3, in_channels, 3, 3)."""
        exact = exact_type(features)
        y, x = (
            torch.from_numpy(offsets).to(exact).to(features.device)
            for offsets in (offsets_y, offsets_x)
        )
        weights = self._hidden_weights(
            y[:, None, None], x[:, None], self.grid_cell(features, size)[0]
        )
        kernels = linear(weights, self.last.weight, self.last.bias)
        shape = (*kernels.shape[:-1], 3, self.in_channels, 3, 3)
        return torch.as_tensor(kernels.reshape(shape), dtype=features.dtype)

    def _shuffled(self, features: Tensor, kernels: Tensor) -> Tensor:
        """Each pixel of the features becomes the same block of pixels."""
        down, across = kernels.shape[:2]
        answers = F.conv2d(features, kernels.flatten(0, 2), padding=1)
        batch, _, height, width = answers.shape
        # Channels stay last, so that runs of 3·across numbers are moved instead of single ones.
        blocks = answers.permute(0, 2, 3, 1).reshape(batch, height, width, down, across * 3)
        rows = blocks.transpose(2, 3).reshape(batch, height * down, width * across, 3)
        return rows.permute(0, 3, 1, 2)

    def _picked(
        self, features: Tensor, kernels: Tensor, rows: GridPhases, columns: GridPhases
    ) -> Tensor:
        """All kernels everywhere; each place takes the answer of its own."""
        down, across = kernels.shape[:2]
        flat = kernels.reshape(-1, *kernels.shape[3:])
        size, width = (len(rows.pixels), len(columns.pixels)), features.shape[3]
        column = torch.from_numpy(columns.pixels * (down * across) + columns.indices)
        sr = features.new_empty(len(features), 3, *size)
        for start, stop in self._bands(features, size, len(flat)):
            top, bottom = int(rows.pixels[start]), int(rows.pixels[stop - 1]) + 1
            first, last = max(top - 1, 0), min(bottom + 1, features.shape[2])
            answers = F.conv2d(features[:, :, first:last], flat, padding=1)
            answers = answers[:, :, top - first : bottom - first].permute(0, 2, 3, 1)
            row = (rows.pixels - top) * width * (down * across) + rows.indices * across
            index = (torch.from_numpy(row[start:stop])[:, None] + column).to(sr.device)
            found = answers.reshape(len(sr), -1, 3).index_select(1, index.flatten())
            sr[:, :, start:stop] = found.reshape(len(sr), -1, size[1], 3).permute(0, 3, 1, 2)
        return sr
