"""Head that resamples features at learned places."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.heads.base import HEADS, FixedScaleHead
from escsr.layers.bands import Band, RowSource
from escsr.layers.planning import is_planning
from escsr.layers.pointwise import Pointwise
from escsr.layers.precision import apply_in_own_precision


@HEADS.register(
    "dysample",
    about="One whole scale, by sampling at learned offsets: no checkerboards under a GAN.",
)
class DySample(FixedScaleHead):
    """Upsampling by bilinear sampling at learned offsets, then a pointwise layer to RGB.

    Only tensors of four dimensions and standard operations, so it exports and runs on any
    device.

    Args:
        in_channels: Channels of the features.
        scale: Any integer from 1.
        groups: Groups of channels, each with its own offsets.
        mid_dim: If given and different from ``in_channels``, a convolution brings the features
            to this width first (ESC-RealM).

    Raises:
        ValueError: If the channels do not divide into the groups.

    Source:
        Learning to Upsample by Learning to Sample, arXiv 2308.15085.
    """

    start: Tensor

    def __init__(
        self, in_channels: int, *, scale: int, groups: int = 4, mid_dim: int | None = None
    ) -> None:
        super().__init__(scale=scale)
        dim = in_channels if mid_dim is None else mid_dim
        if dim % groups:
            raise ValueError(f"{dim} channels do not divide into {groups} groups")
        self.groups = groups
        self.reduce = None if dim == in_channels else nn.Conv2d(in_channels, dim, 3, padding=1)
        # Channels of both: axis (x, then y), group, row and column inside the pixel.
        self.offset = Pointwise(dim, 2 * groups * self.scale**2)
        self.scope = Pointwise(dim, 2 * groups * self.scale**2, bias=False)
        self.to_rgb = Pointwise(dim, 3)
        nn.init.normal_(self.offset.weight, std=1e-3)
        nn.init.zeros_(self.offset.bias)  # type: ignore[arg-type]
        nn.init.normal_(self.scope.weight, std=1e-3)
        self.register_buffer("start", self._regular_offsets(), persistent=False)

    def _regular_offsets(self) -> Tensor:
        """Offsets of the regular grid, (1, 2·groups·scale², 1, 1), in pixels of the features."""
        steps = (torch.arange(self.scale) - (self.scale - 1) / 2) / self.scale
        x = steps.repeat(self.scale)
        y = steps.repeat_interleave(self.scale)
        axes = torch.cat([x.repeat(self.groups), y.repeat(self.groups)])
        return axes.reshape(1, -1, 1, 1)

    def enlarge(self, features: Tensor) -> Tensor:
        """(B, in_channels, h, w) to (B, 3, scale·h, scale·w)."""
        source, height = Band.whole(features), features.shape[2]
        return self._enlarge_rows(source, 0, height)

    def _rows(
        self, features: RowSource, lq: RowSource, size: tuple[int, int], rows: tuple[int, int]
    ) -> Tensor:
        """See `FixedScaleHead`. Which rows are read depends on the learned offsets."""
        self._check_size(features, size)
        whole = rows[0] == 0 and rows[1] == size[0]
        top = 0 if whole else rows[0] // self.scale
        bottom = features.shape[2] if whole else -(-rows[1] // self.scale)
        sr = self._enlarge_rows(features, top, bottom)
        first = rows[0] - top * self.scale
        return sr[..., first : first + rows[1] - rows[0], : size[1]]

    def _enlarge_rows(self, source: RowSource, top: int, bottom: int) -> Tensor:
        """The result for some rows of the features."""
        features = self._reduced(source, top, bottom)
        offset = self.offset(features) * self.scope(features).sigmoid() * 0.5
        # Coordinates need more than the 11 bits of half precision.
        exact = torch.promote_types(features.dtype, torch.float32)
        offset = offset.to(exact) + self.start.to(exact)
        x, y = offset.chunk(2, dim=1)
        height, width = source.shape[2:]
        x = x + _pixel_centres(0, width, x)
        y = y + _pixel_centres(top, bottom, y)[:, None]
        first, last = 0, height
        if (top, bottom) != (0, height):
            # Beyond the borders the outermost row counts; within, the two around a place.
            around = (top - 1, bottom + 1) if is_planning() else _rows_around(y, height)
            first, last = (min(max(row, 0), height) for row in around)
            features = self._reduced(source, first, last)
        batch, channels, _, _ = features.shape
        beyond = "border"
        if not _repeats_borders(x.device):  # clamp the places instead
            beyond = "zeros"
            x, y = x.clamp(0.5, width - 0.5), y.clamp(first + 0.5, last - 0.5)
        x, y = 2 * x / width - 1, 2 * (y - first) / (last - first) - 1
        # (B, groups, s·rows, s·w) per axis, then one picture per sample and group.
        size = (batch * self.groups, (bottom - top) * self.scale, width * self.scale)
        places = torch.stack(
            [F.pixel_shuffle(axis, self.scale).reshape(size) for axis in (x, y)], dim=-1
        )
        grouped = features.reshape(batch * self.groups, -1, last - first, width).to(exact)
        sampled = F.grid_sample(
            grouped, places, mode="bilinear", padding_mode=beyond, align_corners=False
        )
        return apply_in_own_precision(self.to_rgb, sampled.reshape(batch, channels, *size[1:]))

    def _reduced(self, source: RowSource, top: int, bottom: int) -> Tensor:
        """Some rows of the features that are sampled, (B, dim, bottom - top, w)."""
        if self.reduce is None:
            return source.read(top, bottom)
        start, stop = max(top - 1, 0), min(bottom + 1, source.shape[2])
        reduced = F.leaky_relu(self.reduce(source.read(start, stop)), 0.01)
        return reduced[:, :, top - start : bottom - start]


def _repeats_borders(device: torch.device) -> bool:
    """Whether sampling goes on with the outermost pixels; on Apple's GPUs there are only zeros."""
    return device.type in ("cpu", "cuda")


def _pixel_centres(start: int, stop: int, like: Tensor) -> Tensor:
    return torch.arange(start, stop, device=like.device, dtype=like.dtype) + 0.5


def _rows_around(y: Tensor, height: int) -> tuple[int, int]:
    """The rows that bilinear sampling at places ``y`` reads, in pixels from the upper edge."""
    inside = y.detach().clamp(0, height).nan_to_num(0)
    lowest, highest = (math.floor(bound - 0.5) for bound in torch.stack(inside.aminmax()).tolist())
    # One row more on both sides, for places that rounding moves over a pixel's centre.
    return lowest - 1, highest + 3
