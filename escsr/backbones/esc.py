"""The ESC family of backbones.

Source: "Emulating Self-attention with Convolution for Efficient Image Super-Resolution",
ICCV 2025, arXiv 2503.06671, and its successor ESC-RIB, arXiv 2603.06738. Written from the
description of the networks; the variants differ only in arguments.
"""

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.backbones.base import BACKBONES, Backbone
from escsr.layers import (
    ConvAttention,
    ConvFFN,
    DecomposedConvAttention,
    DecomposedLargeKernel,
    LargeKernel,
    LayerNorm2d,
    WindowAttention,
    add,
    reflect_pad,
)

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

    def forward(self, x: Tensor, kernels: tuple[Tensor, ...]) -> Tensor:
        """Refine the features."""
        skip = x
        x = self.ffn_in(self.norm_in(x))
        x = add(self.attention(self.norm_attention(x)), x)
        with self._wide_range(x) as wide:
            x = x.float() if wide else x
            for norm, ffn, conv_attention in zip(
                self.norms, self.ffns, self.conv_attentions, strict=True
            ):
                x = add(conv_attention(ffn(norm(x)), kernels), x)
        return add(self.conv_out(self.norm_out(x)), skip)

    @contextlib.contextmanager
    def _wide_range(self, x: Tensor) -> Iterator[bool]:
        """Leave float16 autocast where numbers may outgrow it; says whether it did.

        A dynamic kernel multiplies features by features. Without a norm in between, five
        such layers square their way past 65504; bfloat16 and float32 have room for that.
        """
        device = x.device.type
        half = torch.is_autocast_enabled(device) and (
            torch.get_autocast_dtype(device) == torch.float16
        )
        if self.conv_norm or not half:
            yield False
        else:
            with torch.autocast(device, enabled=False):
                yield True


class ImageSkip(nn.Module):
    """A shallow path from the picture straight to the last features (ESC-Real).

    Args:
        in_channels: Channels of the (unshuffled) picture.
        dim: Channels of the features.
    """

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(in_channels, 2 * dim, 1)
        self.depthwise = nn.Conv2d(2 * dim, 2 * dim, 7, groups=2 * dim)
        self.project = nn.Conv2d(2 * dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, dim, H, W)."""
        x = reflect_pad(self.expand(x), left=3, right=3, top=3, bottom=3)
        out: Tensor = self.project(F.leaky_relu(self.depthwise(x), 0.2))
        return out


# ---------------------------------------------------------------------------- model


@BACKBONES.register("esc")
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
        image = self._fold(lq)
        if image.device.type == "cpu":
            # Everything downstream inherits this layout; on a CPU the pointwise and
            # depthwise convolutions run several times faster in it (`escsr bench`).
            image = image.contiguous(memory_format=torch.channels_last)
        shallow: Tensor = self.shallow(image)
        features: Tensor = shallow
        kernels = self.large_kernel()
        for block in self.blocks:
            features = block(features, kernels)
        features = add(self.last(self.norm_last(features)), shallow)
        if self.image_skip is not None:
            features = add(self.image_skip(image), features)
        return features

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

BACKBONES.register("esc_light", partial(ESC, num_blocks=3))
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
)
BACKBONES.register(
    "esc_xl",
    partial(
        ESC, dim=192, partial_dim=48, num_blocks=8, window_size=48, num_heads=12, conv_norm=True
    ),
)
BACKBONES.register(
    "esc_real",
    partial(ESCReal, num_blocks=10, ffn_ratio=2.0, conv_norm=True, image_skip=True),
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
)
# Our own, for CPUs: about 100 k parameters with a ×4 pixel-shuffle head.
BACKBONES.register(
    "esc_tiny",
    partial(ESC, dim=32, partial_dim=8, num_blocks=2, conv_blocks=3, window_size=16, num_heads=2),
)
