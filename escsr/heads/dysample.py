"""Head that resamples features at learned places."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.heads.base import HEADS, FixedScaleHead


@HEADS.register("dysample")
class DySample(FixedScaleHead):
    """Upsampling by bilinear sampling at learned offsets, then a pointwise layer to RGB.

    Only tensors of four dimensions and standard operations, so it exports and runs on any
    device.

    Args:
        in_channels: Channels of the features.
        scale: Any integer from 1.
        groups: Groups of channels with offsets of their own.
        mid_dim: If given and other than ``in_channels``, a convolution brings the features
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
        self.offset = nn.Conv2d(dim, 2 * groups * self.scale**2, 1)
        self.scope = nn.Conv2d(dim, 2 * groups * self.scale**2, 1, bias=False)
        self.to_rgb = nn.Conv2d(dim, 3, 1)
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
        if self.reduce is not None:
            features = F.leaky_relu(self.reduce(features), 0.01)
        offset = self.offset(features) * self.scope(features).sigmoid() * 0.5
        # Coordinates need more than the 11 bits of half precision.
        exact = torch.promote_types(features.dtype, torch.float32)
        offset = offset.to(exact) + self.start.to(exact)
        batch, channels, height, width = features.shape
        x, y = offset.chunk(2, dim=1)
        x = 2 * (x + _pixel_centres(width, x)) / width - 1
        y = 2 * (y + _pixel_centres(height, y)[:, None]) / height - 1
        # (B, groups, s·h, s·w) per axis, then one picture per sample and group.
        size = (batch * self.groups, height * self.scale, width * self.scale)
        places = torch.stack(
            [F.pixel_shuffle(axis, self.scale).reshape(size) for axis in (x, y)], dim=-1
        )
        grouped = features.reshape(batch * self.groups, -1, height, width).to(exact)
        sampled = F.grid_sample(
            grouped, places, mode="bilinear", padding_mode="border", align_corners=False
        )
        rgb: Tensor = self.to_rgb(sampled.reshape(batch, channels, *size[1:]).to(features.dtype))
        return rgb


def _pixel_centres(length: int, like: Tensor) -> Tensor:
    return torch.arange(length, device=like.device, dtype=like.dtype) + 0.5
