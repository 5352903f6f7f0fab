"""Heads of one scale as nodes of a graph."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import nn

from escsr.export.frame import Length, positions
from escsr.export.graph import FLOAT, Graph
from escsr.export.layers import conv, leaky_relu
from escsr.export.networks import Request, enlarge_picture, pixel_shuffle, write_head
from escsr.heads import Conv, DySample, NearestConv, PixelShuffle, PixelShuffleMulti


def _cropped(g: Graph, sr: str, request: Request, scale: int) -> str:
    """Cut off the padding added before the picture was folded; ``scale`` is the head's."""
    stride = request.stride
    if scale % stride:
        raise ValueError(
            f"only whole scales can be written, and this network makes ×{scale / stride:g}"
        )
    return request.frame.crop(g, sr, stride, scale // stride)


@write_head.register
def _pixel_shuffle(head: PixelShuffle, g: Graph, features: str, lq: str, request: Request) -> str:
    x = conv(g, head.conv, features)
    if head.image_skip is not None and request.stride == 1:
        skip = enlarge_picture(g, lq, head.scale, head.image_skip, shuffled=False)
        return pixel_shuffle(g, g.op("Add", x, skip), head.scale)
    sr = _cropped(g, pixel_shuffle(g, x, head.scale), request, head.scale)
    if head.image_skip is None:
        return sr
    scale = head.scale // request.stride
    return g.op("Add", sr, enlarge_picture(g, lq, scale, head.image_skip))


@write_head.register
def _conv(head: Conv, g: Graph, features: str, lq: str, request: Request) -> str:
    return _cropped(g, conv(g, head.conv, features), request, 1)


@write_head.register
def _multi(head: PixelShuffleMulti, g: Graph, features: str, lq: str, request: Request) -> str:
    x = features
    if head.reduce is not None:
        x = leaky_relu(g, conv(g, head.reduce, x), 0.01)
    for step, factor in zip(_convs(head.steps), head.factors, strict=True):
        x = pixel_shuffle(g, conv(g, step, x), factor)
    return _cropped(g, conv(g, head.to_rgb, x), request, head.scale)


@write_head.register
def _nearest(head: NearestConv, g: Graph, features: str, lq: str, request: Request) -> str:
    x = features
    for step, factor in zip(_convs(head.steps), head.factors, strict=True):
        if head.conv_first:
            x = _repeat(g, conv(g, step, x), factor)
        else:
            x = conv(g, step, _repeat(g, x, factor))
        x = leaky_relu(g, x, 0.2)
    if head.refine is not None:
        x = leaky_relu(g, conv(g, head.refine, x), 0.2)
    return _cropped(g, conv(g, head.to_rgb, x), request, head.scale)


def _convs(layers: Iterable[nn.Module]) -> Iterator[nn.Conv2d]:
    for layer in layers:
        assert isinstance(layer, nn.Conv2d)
        yield layer


def _repeat(g: Graph, x: str, factor: int) -> str:
    """Enlarge by repeating pixels."""
    return g.op(
        "Resize",
        x,
        "",
        g.array(np.asarray([1, 1, factor, factor], dtype=np.float32)),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


@write_head.register
def _dysample(head: DySample, g: Graph, features: str, lq: str, request: Request) -> str:
    """See `DySample`; tensors of four sides only."""
    s = head.scale
    x = features
    if head.reduce is not None:
        x = leaky_relu(g, conv(g, head.reduce, x), 0.01)
    scope = g.op("Mul", g.op("Sigmoid", conv(g, head.scope, x)), g.number(0.5, x))
    # Coordinates need more than the 11 bits of half precision.
    offset = g.cast(g.op("Mul", conv(g, head.offset, x), scope), FLOAT)
    offset = g.op("Add", offset, g.array(head.start.numpy()))
    half = head.groups * s * s
    frame = request.frame.folded(g, request.stride)
    height = g.length(x, 2) if frame.height is None else frame.height
    width = g.length(x, 3) if frame.width is None else frame.width
    places = [
        g.reshape(pixel_shuffle(g, place, s), -1, 1, 0, 0)
        for place in (
            _place(g, g.cut(offset, 1, 0, half), width, (1, 1, 1, -1)),
            _place(g, g.cut(offset, 1, half, 2 * half), height, (1, 1, -1, 1)),
        )
    ]
    grid = g.transpose(g.op("Concat", *places, axis=1), 0, 2, 3, 1)
    channels = head.to_rgb.in_channels
    sampled = g.op(
        "GridSample",
        g.cast(g.reshape(x, -1, channels // head.groups, 0, 0), FLOAT),
        grid,
        mode="linear" if g.opset >= 20 else "bilinear",
        padding_mode="border",
        align_corners=0,
    )
    sampled = g.cast(g.reshape(sampled, -1, channels, 0, 0), g.types[x])
    return _cropped(g, conv(g, head.to_rgb, sampled), request, s)


def _place(g: Graph, offset: str, length: Length, shape: tuple[int, ...]) -> str:
    """Offsets in pixels along a side to places in [-1, 1]."""
    if isinstance(length, int):
        centres = g.array((torch.arange(length).float() + 0.5).reshape(shape).numpy())
        side = g.number(length, offset)
    else:
        numbers = g.op("Cast", positions(g, length), type=FLOAT, to=FLOAT)
        centres = g.reshape(g.op("Add", numbers, g.number(0.5, offset)), *shape)
        side = g.once("Cast", length, type=FLOAT, to=FLOAT)
    doubled = g.op("Mul", g.op("Add", offset, centres), g.number(2, offset))
    return g.op("Sub", g.op("Div", doubled, side), g.number(1, offset))
