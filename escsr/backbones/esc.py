"""The ESC family of backbones.

Source: "Emulating Self-attention with Convolution for Efficient Image Super-Resolution",
ICCV 2025, arXiv 2503.06671, and its successor ESC-RIB, arXiv 2603.06738. Written from the
description of the networks; the variants differ only in arguments.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.backbones.base import BACKBONES, Backbone
from escsr.backbones.esc_block import ESCBlock, ImageSkip
from escsr.backbones.stages import FEATURES, PICTURE, Made, Maps, Stage, run_whole
from escsr.choices import choices_for
from escsr.layers import (
    DecomposedLargeKernel,
    LargeKernel,
    LayerNorm2d,
    Overlap,
    add,
    reflect_pad,
)

_LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


@BACKBONES.register(
    "esc", about="ESC, the paper's standard network: high quality on clean pictures."
)
class ESC(Backbone):
    """ESC and its variants as one configurable network; the defaults are ESC itself.

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
        attention_bias: The bias of window attention's scores: "table", "low_rank" (FlashBias)
            or "implicit" (ESC-RIB).
        bias_rank: Columns of the two factors of a bias that is not a table.
        bias_hidden_dim: Width of the network that makes an implicit bias.
        bias_frequencies: Waves per side by which it encodes positions.
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
        """Make the features of a picture."""
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
# Twice as wide, with as many attention heads, and deeper: it can begin as a trained `esc_tiny`.
BACKBONES.register(
    "esc_small",
    partial(ESC, dim=64, partial_dim=16, num_blocks=2, conv_blocks=5, window_size=16, num_heads=2),
    about="Twice as wide as esc_tiny and deeper: higher quality in three times the time.",
)
