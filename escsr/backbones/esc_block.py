"""One block of ESC, and the skip from the picture in its variant for damaged photos.

Source: arXiv 2503.06671.
"""

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.backbones.stages import Made, Maps, Stage
from escsr.layers import (
    ConvAttention,
    ConvFFN,
    DecomposedConvAttention,
    LayerNorm2d,
    Overlap,
    WindowAttention,
    add,
    reflect_pad,
)
from escsr.layers.pointwise import Pointwise


class ESCBlock(nn.Module):
    """One window attention followed by several convolutional attentions.

    Args:
        dim: Channels.
        partial_dim: Channels that convolutional attention mixes.
        conv_blocks: Number of convolutional attentions.
        window_size: Side of an attention window, in pixels.
        num_heads: Attention heads.
        ffn_ratio: Expansion of the feed-forward network before each convolutional attention.
        attention_ffn_ratio: Expansion of the one before the window attention.
        conv_norm: Normalise before each convolutional attention.
        decomposed: Use the decomposed convolutional attention of ESC-FP.
        attention: More arguments of `WindowAttention`.

    Shape:
        (B, dim, H, W) and the shared kernels, to (B, dim, H, W).
    """

    def __init__(
        self,
        *,
        dim: int,
        partial_dim: int,
        conv_blocks: int,
        window_size: int,
        num_heads: int,
        ffn_ratio: float,
        attention_ffn_ratio: float,
        conv_norm: bool,
        decomposed: bool,
        attention: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.conv_norm = conv_norm
        self.norm_in = LayerNorm2d(dim)
        self.ffn_in = ConvFFN(dim, ratio=attention_ffn_ratio)
        self.norm_attention = LayerNorm2d(dim)
        self.attention = WindowAttention(
            dim, window_size=window_size, num_heads=num_heads, **attention
        )
        self.norms = nn.ModuleList(
            LayerNorm2d(dim) if conv_norm else nn.Identity() for _ in range(conv_blocks)
        )
        self.ffns = nn.ModuleList(ConvFFN(dim, ratio=ffn_ratio) for _ in range(conv_blocks))
        kind = DecomposedConvAttention if decomposed else ConvAttention
        self.conv_attentions = nn.ModuleList(
            kind(dim, partial_dim=partial_dim) for _ in range(conv_blocks)
        )
        self.norm_out = LayerNorm2d(dim)
        self.conv_out = nn.Conv2d(dim, dim, 3, padding=1)

    def stages(self, source: str, result: str, kernels: tuple[Tensor, ...]) -> Iterator[Stage]:
        """The stages that make the map ``result`` of the map ``source``.

        Args:
            source: Name of (B, dim, h, w) features.
            result: Name of the refined ones, of the same shape.
            kernels: The parameters of the shared large kernel.
        """
        reach = 1 + self.attention.reach
        yield Stage(
            "window attention",
            (source,),
            ("x",),
            partial(self._attend, source),
            halo=reach,
            align=self.attention.window_size,
        )
        if not self.ffns:
            finish = partial(self._finish, source, result, kernels)
            yield Stage("last", ("x", source), (result,), finish, halo=1)
            return
        yield Stage("feed-forward", ("x",), ("hidden",), self._prepare, halo=1)
        last = len(self.ffns) - 1
        reach = kernels[-1].shape[-1] // 2 + 1
        for i in range(last):
            mix = partial(self._mix, i, kernels)
            yield Stage(
                "convolutional attention", ("x", "hidden"), ("x", "hidden"), mix, halo=reach
            )
        yield Stage(
            "last convolutional attention",
            ("x", "hidden", source),
            (result,),
            partial(self._finish, source, result, kernels),
            halo=reach,
        )

    def _attend(self, source: str, maps: Maps, overlap: Overlap, _statistic: Tensor | None) -> Made:
        x = self.ffn_in(self.norm_in(maps[source]))
        reach = self.attention.reach
        attended = self.attention(self.norm_attention(overlap.cut(x, reach)), overlap.keep(reach))
        return Made({"x": add(attended, overlap.cut(x))})

    def _prepare(self, maps: Maps, overlap: Overlap, _statistic: Tensor | None) -> Made:
        """The input of the first convolutional attention."""
        with self._wide_range(maps["x"]) as x:
            hidden, pooled = self._hidden(0, x, overlap)
        return Made({"hidden": hidden}, pooled)

    def _mix(
        self,
        i: int,
        kernels: tuple[Tensor, ...],
        maps: Maps,
        overlap: Overlap,
        pooled: Tensor | None,
    ) -> Made:
        """A convolutional attention, and the input of the next one."""
        with self._wide_range(maps.pop("x")) as x:
            x = self._mixed(i, kernels, x, maps.pop("hidden"), overlap, pooled)
            hidden, pooled = self._hidden(i + 1, x, overlap.keep(1))
        return Made({"x": overlap.keep(1).cut(x), "hidden": hidden}, pooled)

    def _finish(
        self,
        source: str,
        result: str,
        kernels: tuple[Tensor, ...],
        maps: Maps,
        overlap: Overlap,
        pooled: Tensor | None,
    ) -> Made:
        """The last convolutional attention, and the skip around the block."""
        x = maps.pop("x")
        if self.ffns:
            with self._wide_range(x) as x:
                hidden = maps.pop("hidden")
                x = self._mixed(len(self.ffns) - 1, kernels, x, hidden, overlap, pooled)
        refined = overlap.keep(1).cut(self.conv_out(self.norm_out(x)))
        return Made({result: add(refined, overlap.cut(maps[source]))})

    def _mixed(
        self,
        i: int,
        kernels: tuple[Tensor, ...],
        x: Tensor,
        hidden: Tensor,
        overlap: Overlap,
        pooled: Tensor | None,
    ) -> Tensor:
        """The i-th convolutional attention around ``x``; with one row of the overlap left."""
        mixed = self.conv_attentions[i](hidden, kernels, pooled)
        return add(overlap.cut(mixed, keep=1), overlap.cut(x, keep=1))

    def _hidden(self, i: int, x: Tensor, overlap: Overlap) -> tuple[Tensor, Tensor]:
        """The input of the i-th convolutional attention, and its mean."""
        hidden = overlap.cut(self.ffns[i](self.norms[i](x)))
        attention = cast(ConvAttention, self.conv_attentions[i])
        return hidden, attention.pool(hidden)

    @contextlib.contextmanager
    def _wide_range(self, x: Tensor) -> Iterator[Tensor]:
        """Leave float16 autocast where numbers may overflow; yields ``x``, as float32 there.

        A dynamic kernel multiplies features by features. Without a norm in between, five
        such layers square their way past 65504; bfloat16 and float32 have room for that.
        """
        device = x.device.type
        half = torch.is_autocast_enabled(device) and (
            torch.get_autocast_dtype(device) == torch.float16
        )
        if self.conv_norm or not half:
            yield x
        else:
            with torch.autocast(device, enabled=False):
                yield x.float()


class ImageSkip(nn.Module):
    """A shallow path from the picture straight to the last features (ESC-Real).

    Args:
        in_channels: Channels of the (unshuffled) picture.
        dim: Channels of the features.
    """

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.expand = Pointwise(in_channels, 2 * dim)
        self.depthwise = nn.Conv2d(2 * dim, 2 * dim, 7, groups=2 * dim)
        self.project = Pointwise(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, dim, H, W)."""
        x = reflect_pad(self.expand(x), left=3, right=3, top=3, bottom=3)
        out: Tensor = self.project(F.leaky_relu(self.depthwise(x), 0.2))
        return out
