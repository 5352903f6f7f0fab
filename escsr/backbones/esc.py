"""The ESC family of backbones.

Source: "Emulating Self-attention with Convolution for Efficient Image Super-Resolution",
ICCV 2025, arXiv 2503.06671, and its successor ESC-RIB, arXiv 2603.06738. Written from the
description of the networks; the variants differ only in arguments.
"""

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.backbones.base import BACKBONES, Backbone
from escsr.backbones.stages import FEATURES, PICTURE, Made, Maps, Stage, run_whole
from escsr.choices import choices_for
from escsr.layers import (
    ConvAttention,
    ConvFFN,
    DecomposedConvAttention,
    DecomposedLargeKernel,
    LargeKernel,
    LayerNorm2d,
    Overlap,
    WindowAttention,
    add,
    reflect_pad,
)
from escsr.layers.pointwise import Pointwise

_LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}

# ---------------------------------------------------------------------------- parts


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
            kernels: What the shared large kernel is made of.
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
        """What the first convolutional attention needs."""
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
        """A convolutional attention, and what the next one needs."""
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
        """What the i-th convolutional attention is applied to, and its mean."""
        hidden = overlap.cut(self.ffns[i](self.norms[i](x)))
        attention = cast(ConvAttention, self.conv_attentions[i])
        return hidden, attention.pool(hidden)

    @contextlib.contextmanager
    def _wide_range(self, x: Tensor) -> Iterator[Tensor]:
        """Leave float16 autocast where numbers may outgrow it; gives ``x``, as float32 there.

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


# ---------------------------------------------------------------------------- model


@BACKBONES.register(
    "esc", about="ESC, the paper's standard network: high quality on clean pictures."
)
class ESC(Backbone):
    """ESC and its relatives as one network with knobs; the defaults are ESC itself.

    Args:
        dim: Channels of the features.
        partial_dim: Channels that convolutional attention mixes (pdim in the paper).
        num_blocks: Number of blocks.
        conv_blocks: Convolutional attentions in each.
        window_size: Side of an attention window, in pixels.
        num_heads: Attention heads; ``dim`` is a multiple of it.
        kernel_size: Side of the shared large kernel, odd.
        ffn_ratio: Expansion before each convolutional attention.
        attention_ffn_ratio: Expansion before the window attention.
        conv_norm: Layer norm before each convolutional attention.
        decomposed: Split the large kernel into pointwise and depthwise parts (ESC-FP).
        last_norm: Layer norm before the last convolution (ESC-FP).
        image_skip: Path from the picture to the last features (ESC-Real).
        unshuffle: Fold u×u pixels of the picture into channels first, so that the network
            works at 1/u of its size.
        attention_bias: What window attention adds to its scores: "table", "low_rank" (FlashBias)
            or "implicit" (ESC-RIB).
        bias_rank: Columns of the two factors of a bias that is no table.
        bias_hidden_dim: Width of the network that makes an implicit bias.
        bias_frequencies: Waves per side that it sees positions as.
        attention_gate: Multiply the result of window attention by a gate (ESC-RIB).

    Shape:
        (B, 3, H, W) to (B, dim, ceil(H / unshuffle), ceil(W / unshuffle)).

    Raises:
        ValueError: If arguments do not fit each other.

    Example:
        >>> features = ESC(num_blocks=3)(torch.rand(1, 3, 40, 52))  # ESC-light
        >>> features.shape
        torch.Size([1, 64, 40, 52])

    Source:
        ESC, arXiv 2503.06671; FlashBias, arXiv 2505.12044; ESC-RIB, arXiv 2603.06738.
    """

    def __init__(
        self,
        *,
        dim: int = 64,
        partial_dim: int = 16,
        num_blocks: int = 5,
        conv_blocks: int = 5,
        window_size: int = 32,
        num_heads: int = 4,
        kernel_size: int = 13,
        ffn_ratio: float = 1.25,
        attention_ffn_ratio: float = 2.0,
        conv_norm: bool = False,
        decomposed: bool = False,
        last_norm: bool = False,
        image_skip: bool = False,
        unshuffle: int = 1,
        attention_bias: str = "table",
        bias_rank: int | None = None,
        bias_hidden_dim: int = 32,
        bias_frequencies: int = 10,
        attention_gate: bool = False,
    ) -> None:
        super().__init__()
        if unshuffle < 1:
            raise ValueError(f"unshuffle must be at least 1, not {unshuffle}")
        self.out_channels = dim
        self.stride = unshuffle
        in_channels = 3 * unshuffle**2
        kernel = DecomposedLargeKernel if decomposed else LargeKernel
        self.large_kernel = kernel(partial_dim, kernel_size)
        self.shallow = nn.Conv2d(in_channels, dim, 3, padding=1)
        self.image_skip = ImageSkip(in_channels, dim) if image_skip else None
        self.blocks = nn.ModuleList(
            ESCBlock(
                dim=dim,
                partial_dim=partial_dim,
                conv_blocks=conv_blocks,
                window_size=window_size,
                num_heads=num_heads,
                ffn_ratio=ffn_ratio,
                attention_ffn_ratio=attention_ffn_ratio,
                conv_norm=conv_norm,
                decomposed=decomposed,
                attention={
                    "bias": attention_bias,
                    "rank": bias_rank,
                    "hidden_dim": bias_hidden_dim,
                    "frequencies": bias_frequencies,
                    "gate": attention_gate,
                },
            )
            for _ in range(num_blocks)
        )
        self.norm_last = LayerNorm2d(dim) if last_norm else nn.Identity()
        self.last = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, lq: Tensor) -> Tensor:
        """Make features of a picture."""
        return run_whole(self.stages(), lq)

    def stages(self) -> list[Stage]:
        """See `Backbone.stages`."""
        kernels = self.large_kernel()
        names = ["shallow", *(f"block {i}" for i in range(1, len(self.blocks) + 1))]
        folded = ("image",) if self.image_skip is not None else ()
        found = [
            Stage("shallow", (PICTURE,), (*folded, "shallow"), self._begin, halo=1),
        ]
        for block, source, result in zip(self.blocks, names, names[1:], strict=False):
            found += cast(ESCBlock, block).stages(source, result, kernels)
        reads = dict.fromkeys((names[-1], "shallow", *folded))
        last = partial(self._end, names[-1])
        halo = 1 if self.image_skip is None else 3
        return [*found, Stage("last convolution", tuple(reads), (FEATURES,), last, halo=halo)]

    def _begin(self, maps: Maps, overlap: Overlap, _statistic: Tensor | None) -> Made:
        image = self._fold(maps[PICTURE])
        layout = choices_for(image.device, image.dtype).layout
        if layout != "free":
            # Everything downstream inherits this layout; on a CPU the pointwise and
            # depthwise convolutions run several times faster with channels last (`escsr bench`).
            image = image.contiguous(memory_format=_LAYOUTS[layout])
        return Made({"image": overlap.cut(image), "shallow": overlap.cut(self.shallow(image))})

    def _end(self, source: str, maps: Maps, overlap: Overlap, _statistic: Tensor | None) -> Made:
        last = overlap.cut(self.last(self.norm_last(maps[source])))
        features = add(last, overlap.cut(maps["shallow"]))
        if self.image_skip is not None:
            features = add(overlap.cut(self.image_skip(maps["image"])), features)
        return Made({FEATURES: features})

    def _fold(self, lq: Tensor) -> Tensor:
        if self.stride == 1:
            return lq
        height, width = lq.shape[-2:]
        padded = reflect_pad(lq, right=-width % self.stride, bottom=-height % self.stride)
        return F.pixel_unshuffle(padded, self.stride)


class ESCFP(ESC):
    """ESC-FP: published with a bicubic enlargement of the picture as its skip."""

    head_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "pixel_shuffle": {"image_skip": "bicubic"}
    }


class ESCReal(ESC):
    """ESC-Real and ESC-RealM: for real photographs, without a skip around the head.

    Under a head of fixed scale 1 or 2 it unshuffles the picture by 4 // scale, as published,
    so that the network works as at ×4.
    """

    default_head: ClassVar[str] = "nearest_conv"
    head_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "pixel_shuffle": {"image_skip": None}
    }

    @classmethod
    def args_for_scale(cls, scale: float) -> dict[str, Any]:
        """Unshuffle below ×3."""
        return {"unshuffle": 4 // int(scale)} if scale in (1, 2) else {}


# ---------------------------------------------------------------------------- variants

BACKBONES.register(
    "esc_light",
    partial(ESC, num_blocks=3),
    about="ESC-light: ESC with three blocks; faster, slightly lower quality.",
)
BACKBONES.register(
    "esc_fp",
    partial(
        ESCFP,
        dim=48,
        num_heads=3,
        attention_ffn_ratio=1.5,
        conv_norm=True,
        decomposed=True,
        last_norm=True,
    ),
    about="ESC-FP: fewer parameters, from factorised convolutional attention.",
)
BACKBONES.register(
    "esc_xl",
    partial(
        ESC, dim=192, partial_dim=48, num_blocks=8, window_size=48, num_heads=12, conv_norm=True
    ),
    about="ESC-XL: the largest, for the highest quality on a GPU.",
)
BACKBONES.register(
    "esc_real",
    partial(ESCReal, num_blocks=10, ffn_ratio=2.0, conv_norm=True, image_skip=True),
    about="ESC-Real: photographs with noise, blur and compression, usually trained with a GAN.",
)
BACKBONES.register(
    "esc_rib",
    partial(
        ESC,
        window_size=64,
        attention_ffn_ratio=4.0,
        last_norm=True,
        attention_bias="implicit",
        bias_rank=16,
        attention_gate=True,
    ),
    about="ESC-RIB: windows of 64 pixels with an implicit attention bias; slower.",
)
# Our own, for CPUs: about 100 k parameters with a ×4 pixel-shuffle head.
BACKBONES.register(
    "esc_tiny",
    partial(ESC, dim=32, partial_dim=8, num_blocks=2, conv_blocks=3, window_size=16, num_heads=2),
    about="Small network for CPUs; the embedded models are made of it.",
)
