"""Backbones and heads as nodes of a graph.

Both functions are open to plug-ins: ``write_backbone.register(MyBackbone)`` and
``write_head.register(MyHead)``.
"""

from dataclasses import dataclass
from functools import singledispatch
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.backbones.esc import ESC
from escsr.backbones.esc_block import ESCBlock, ImageSkip
from escsr.export.frame import Frame
from escsr.export.graph import FLOAT, Graph
from escsr.export.layers import (
    conv,
    conv_attention,
    convolve,
    feed_forward,
    layer_norm,
    layer_norm_last,
    leaky_relu,
    norm,
    window_attention,
)
from escsr.layers import ConvAttention, ConvFFN, DecomposedConvAttention


@singledispatch
def write_backbone(backbone: nn.Module, g: Graph, lq: str, frame: Frame) -> str:
    """Write a backbone into a graph.

    Args:
        backbone: The backbone; its class decides which function runs.
        g: The graph.
        lq: The picture (B, 3, H, W), in the head's range.
        frame: Its sides.

    Returns:
        The features.

    Raises:
        ValueError: If no function is registered for this backbone.
    """
    raise ValueError(
        f"a {type(backbone).__name__} cannot be written as ONNX: register a function for it by "
        "escsr.export.write_backbone.register"
    )


@write_backbone.register
def _esc(backbone: ESC, g: Graph, lq: str, frame: Frame) -> str:
    """See `ESC`."""
    stride = backbone.stride
    image = frame.pad(g, lq, stride)
    if stride > 1:
        image = pixel_unshuffle(g, image, stride)
    frame = frame.folded(g, stride)
    shallow = features = conv(g, backbone.shallow, image)
    kernels = backbone.large_kernel()
    for number, block in enumerate(backbone.blocks):
        with g.scope(f"block{number}"):
            features = _block(g, _a(ESCBlock, block), features, kernels, frame)
    last = conv(g, backbone.last, norm(g, backbone.norm_last, features))
    features = g.op("Add", last, shallow)
    if backbone.image_skip is not None:
        features = g.op("Add", _image_skip(g, backbone.image_skip, image, frame), features)
    return features


def _block(g: Graph, block: ESCBlock, x: str, kernels: tuple[Tensor, ...], frame: Frame) -> str:
    """See `ESCBlock`."""
    skip, kind = x, g.types[x]
    x = feed_forward(g, block.ffn_in, layer_norm(g, block.norm_in, x))
    with g.scope("attention"):
        normed = layer_norm_last(g, block.norm_attention, x)
        x = g.op("Add", window_attention(g, block.attention, normed, frame), x)
    if not block.conv_norm:
        x = g.cast(x, FLOAT)  # features times features outgrow float16: see `ESCBlock`
    parts = zip(block.norms, block.ffns, block.conv_attentions, strict=True)
    for number, (before, ffn, attention) in enumerate(parts):
        with g.scope(f"conv_attention{number}"):
            fed = feed_forward(g, _a(ConvFFN, ffn), norm(g, before, x))
            x = g.op("Add", conv_attention(g, _mixing(attention), fed, kernels), x)
    # The norm brings numbers back into the range of float16.
    normed = g.cast(layer_norm(g, block.norm_out, x), kind)
    return g.op("Add", conv(g, block.conv_out, normed), skip)


Layer = TypeVar("Layer", bound=nn.Module)


def _a(kind: type[Layer], layer: nn.Module) -> Layer:
    assert isinstance(layer, kind)
    return layer


def _mixing(layer: nn.Module) -> ConvAttention | DecomposedConvAttention:
    assert isinstance(layer, ConvAttention | DecomposedConvAttention)
    return layer


def _image_skip(g: Graph, layer: ImageSkip, image: str, frame: Frame) -> str:
    """See `ImageSkip`."""
    x = conv(g, layer.depthwise, frame.pad_around(g, conv(g, layer.expand, image), 3))
    return conv(g, layer.project, leaky_relu(g, x, 0.2))


def pixel_shuffle(g: Graph, x: str, factor: int) -> str:
    """As in PyTorch: channels are (C, row, column)."""
    return x if factor == 1 else g.op("DepthToSpace", x, blocksize=factor, mode="CRD")


def pixel_unshuffle(g: Graph, x: str, factor: int) -> str:
    """The way back, as a convolution: ONNX has only the other order of channels."""
    picks = torch.eye(factor**2).reshape(factor**2, 1, factor, factor).repeat(3, 1, 1, 1)
    weight = g.weight(picks, x)
    return g.op("Conv", x, weight, strides=[factor] * 2, kernel_shape=[factor] * 2, group=3)


def enlarge_picture(g: Graph, picture: str, scale: int, mode: str, *, shuffled: bool = True) -> str:
    """Enlarge a picture by a whole scale with interpolation, as one convolution.

    Exact, unlike the resizing of most runtimes, which rounds positions.

    Args:
        g: The graph.
        picture: (B, 3, H, W).
        scale: Enlargement.
        mode: "nearest", "bilinear" or "bicubic", as of `escsr.layers.interpolation`.
        shuffled: Return the picture; False returns (B, 3 · scale², H, W), before the pixel shuffle.
    """
    kernel = _enlarging_kernel(scale, mode)
    margin = kernel.shape[-1] // 2
    if margin:
        picture = g.pad(picture, [0, 0, margin, margin] * 2, "edge")
    weight = kernel.repeat(3, 1, 1, 1)
    x = convolve(g, picture, weight, None, groups=3)
    return pixel_shuffle(g, x, scale) if shuffled else x


def _enlarging_kernel(scale: int, mode: str) -> Tensor:
    """The weights that make each place of an enlarged pixel, (scale², 1, k, k)."""
    if mode == "nearest":
        return torch.ones(scale**2, 1, 1, 1)
    side, margin = (3, 1) if mode == "bilinear" else (5, 2)
    # The enlargement of single bright pixels, read at the places of the one in the middle.
    spikes = torch.eye(side**2, dtype=torch.float64).reshape(-1, 1, side, side)
    spikes = F.pad(spikes, [2] * 4)
    large = F.interpolate(spikes, scale_factor=scale, mode=mode, align_corners=False)
    middle = slice((margin + 2) * scale, (margin + 3) * scale)
    return large[:, 0, middle, middle].permute(1, 2, 0).reshape(scale**2, 1, side, side)


@dataclass(frozen=True)
class Request:
    """The picture that a head must make.

    Attributes:
        frame: The sides of the picture.
        stride: Pixels of the picture per pixel of the features.
        scale: The whole scale of the picture, or None if ``size`` is used.
        size: (H_out, W_out) as scalar values.
    """

    frame: Frame
    stride: int
    scale: int | None
    size: tuple[str, str] | None = None


@singledispatch
def write_head(head: nn.Module, g: Graph, features: str, lq: str, request: Request) -> str:
    """Write a head into a graph.

    Args:
        head: The head; its class decides which function runs.
        g: The graph.
        features: The backbone's features.
        lq: The picture, in the head's range.
        request: The picture to make.

    Returns:
        The enlarged picture, in that range.

    Raises:
        ValueError: If no function is registered for this head.
    """
    raise ValueError(
        f"a {type(head).__name__} cannot be written as ONNX: register a function for it by "
        "escsr.export.write_head.register"
    )
