"""The layers of networks as nodes of a graph.

Every function takes the graph, the layer and the input value, and returns the output value. Only
padding asks for the length of a side, so that shape inference knows every shape if the sides are
given.
"""

import math

import numpy as np
from torch import Tensor, nn

from escsr.export.frame import Frame
from escsr.export.graph import END, FLOAT, Graph
from escsr.layers import (
    ConvAttention,
    ConvFFN,
    DecomposedConvAttention,
    LayerNorm2d,
    WindowAttention,
)
from escsr.layers.attention import Gate
from escsr.layers.attention_bias import TableBias

# Bytes of scores per window computed at once: runtimes keep those of all windows.
_SCORES = 4 << 20
_MOST_BLOCKS = 8


def conv(g: Graph, layer: nn.Conv2d, x: str) -> str:
    """A convolution, unchanged."""
    return convolve(
        g,
        x,
        layer.weight,
        layer.bias,
        padding=layer.padding[0] if isinstance(layer.padding, tuple) else 0,
        groups=layer.groups,
    )


def convolve(
    g: Graph, x: str, weight: Tensor, bias: Tensor | None, *, padding: int = 0, groups: int = 1
) -> str:
    """A convolution with given weights, zero padding on all sides."""
    inputs = [x, g.weight(weight, x)] + ([] if bias is None else [g.weight(bias, x)])
    return g.op("Conv", *inputs, kernel_shape=weight.shape[2:], pads=[padding] * 4, group=groups)


def gelu(g: Graph, x: str) -> str:
    """The exact GELU: one operator from opset 20 on, five before."""
    if g.opset >= 20:
        return g.op("Gelu", x)
    erf = g.op("Erf", g.op("Div", x, g.number(math.sqrt(2), x)))
    return g.op("Mul", g.op("Mul", x, g.op("Add", erf, g.number(1, x))), g.number(0.5, x))


def leaky_relu(g: Graph, x: str, slope: float) -> str:
    """A leaky ReLU."""
    return g.op("LeakyRelu", x, alpha=slope)


def layer_norm(g: Graph, layer: LayerNorm2d, x: str) -> str:
    """Normalise over channels, in float32."""
    return g.transpose(layer_norm_last(g, layer, x), 0, 3, 1, 2)


def layer_norm_last(g: Graph, layer: LayerNorm2d, x: str) -> str:
    """The same with channels last in the result, (B, H, W, C)."""
    last = g.transpose(g.cast(x, FLOAT), 0, 2, 3, 1)
    weight, bias = g.weight(layer.weight, last), g.weight(layer.bias, last)
    normed = g.op("LayerNormalization", last, weight, bias, axis=-1, epsilon=layer.eps)
    return g.cast(normed, g.types[x])


def norm(g: Graph, layer: nn.Module, x: str) -> str:
    """A norm, or nothing."""
    return layer_norm(g, layer, x) if isinstance(layer, LayerNorm2d) else x


def feed_forward(g: Graph, layer: ConvFFN, x: str) -> str:
    """See `ConvFFN`."""
    hidden = gelu(g, conv(g, layer.expand, x))
    hidden = g.op("Add", gelu(g, conv(g, layer.depthwise, hidden)), hidden)
    return conv(g, layer.project, hidden)


# ---------------------------------------------------------------------------- convolutions


def conv_attention(
    g: Graph, layer: ConvAttention | DecomposedConvAttention, x: str, kernels: tuple[Tensor, ...]
) -> str:
    """Convolutional attention: the large kernel as a convolution, the dynamic one as nine sums."""
    width = layer.partial_dim
    first, rest = g.cut(x, 1, 0, width), g.cut(x, 1, width, END)
    dynamic = _dynamic_kernel(g, layer, first)
    if isinstance(layer, DecomposedConvAttention):
        channel, large = kernels
        first = convolve(g, first, channel, None)
    else:
        (large,) = kernels
    groups = width if large.shape[1] == 1 else 1
    mixed = convolve(g, first, large, None, padding=large.shape[-1] // 2, groups=groups)
    mixed = g.op("Add", mixed, _depthwise_per_sample(g, first, dynamic))
    return conv(g, layer.aggregate, g.op("Concat", mixed, rest, axis=1))


def _dynamic_kernel(g: Graph, layer: ConvAttention | DecomposedConvAttention, x: str) -> list[str]:
    """The nine numbers of each channel's kernel, (B, P, 1, 1) each, made in float32.

    A float16 mean over a large picture overflows.
    """
    kind = g.types[x]
    pooled = g.cast(x, FLOAT)
    # Rows, then columns: the rounding errors of two short sums are smaller than of a long one.
    for axes in [(2, 3)] if g.joint_means else [(3,), (2,)]:
        pooled = mean(g, pooled, *axes)
    kernel = conv(g, layer.excite, gelu(g, conv(g, layer.squeeze, pooled)))
    # Channels are (P, 9).
    kernel = g.cast(g.reshape(kernel, 0, layer.partial_dim, 9, 1), kind)
    return [g.cut(kernel, 2, place, place + 1) for place in range(9)]


def mean(g: Graph, x: str, *axes: int) -> str:
    """The mean along sides, which stay as sides of 1."""
    if g.opset >= 18:
        return g.op("ReduceMean", x, g.ints(axes), keepdims=1)
    return g.op("ReduceMean", x, axes=axes, keepdims=1)


def _depthwise_per_sample(g: Graph, x: str, kernel: list[str]) -> str:
    """Convolve with a 3×3 kernel per sample and channel: shifted copies times numbers."""
    padded = g.pad(x, [0, 0, 1, 1] * 2)
    total = ""
    for row in range(3):
        line = g.op("Slice", padded, g.ints([row]), g.ints([_end(row)]), g.ints([2]))
        for column in range(3):
            shifted = g.op("Slice", line, g.ints([column]), g.ints([_end(column)]), g.ints([3]))
            part = g.op("Mul", shifted, kernel[3 * row + column])
            total = g.op("Add", total, part) if total else part
    return total


def _end(shift: int) -> int:
    """The end of a shifted copy, counted from the end of a side padded by one on both sides."""
    return shift - 2 if shift < 2 else END


# ---------------------------------------------------------------------------- window attention


def window_attention(g: Graph, layer: WindowAttention, x: str, frame: Frame) -> str:
    """Attention inside windows, with all windows as leading sides of one product of matrices.

    Windows are split off by reshapes that need one side at a time, so no shape is computed, and
    from channels-last features, so that long runs of memory are moved.

    Args:
        g: The graph.
        layer: The attention.
        x: (B, H, W, C).
        frame: The sides.

    Returns:
        (B, C, H, W).
    """
    m, dim = layer.window_size, layer.out.in_channels
    count = _windows_in(frame, m)
    lead = 3 if count is None else 2
    windows = _windows(g, frame.pad(g, x, m, axes=(1, 2)), m, dim, count)
    q, k, v, bias = _project(g, layer, windows, lead)
    q, k, table = _biased(g, layer, q, k, lead)
    k = g.transpose(k, *range(lead + 1), lead + 2, lead + 1)
    block = queries_at_once(m, layer.num_heads)
    parts = []
    for start in range(0, m * m, block):
        cut = (start, min(start + block, m * m))
        scores = g.op("MatMul", q if block == m * m else g.cut(q, lead + 1, *cut), k)
        if table is not None:
            scores = g.op("Add", scores, _spread(g, table, m, cut))
        parts.append(g.op("MatMul", g.op("Softmax", scores, axis=-1), v))
    attended = parts[0] if len(parts) == 1 else g.op("Concat", *parts, axis=lead + 1)
    attended = frame.crop(g, _from_windows(g, attended, m, dim, count), m)
    if layer.gate is not None:
        attended = g.op("Mul", attended, _gate(g, layer.gate, g.transpose(x, 0, 3, 1, 2)))
    return convolve(g, attended, layer.out.weight, bias)


def _windows_in(frame: Frame, m: int) -> tuple[int, int] | None:
    """Columns and rows of windows, if known: windows then lie in one line, with a side less."""
    if not isinstance(frame.height, int) or not isinstance(frame.width, int):
        return None
    return -(-frame.width // m), -(-frame.height // m)


def _windows(g: Graph, x: str, m: int, channels: int, count: tuple[int, int] | None) -> str:
    """(B, H, W, C) to (B, columns, rows, M², C), or (B, columns · rows, M², C)."""
    x = g.reshape(x, 0, 0, -1, m * channels)  # B, H, columns, M (x) C
    places = (0, -1) if count is None else (math.prod(count),)
    return g.reshape(g.transpose(x, 0, 2, 1, 3), 0, *places, m * m, channels)


def _from_windows(g: Graph, x: str, m: int, channels: int, count: tuple[int, int] | None) -> str:
    """(B, columns, rows, heads, M², d), or with windows in one line, to (B, C, H, W)."""
    x = _swap(g, x, 3 if count is None else 2)
    x = g.reshape(
        x, 0, 0 if count is None else count[0], -1, m * channels
    )  # B, columns, H, M (x) C
    x = g.reshape(g.transpose(x, 0, 2, 1, 3), 0, 0, -1, channels)
    return g.transpose(x, 0, 3, 1, 2)


def _swap(g: Graph, x: str, lead: int) -> str:
    """Exchange heads and pixels, which follow ``lead`` other sides."""
    return g.transpose(x, *range(lead), lead + 1, lead, lead + 2)


def _project(g: Graph, layer: WindowAttention, x: str, lead: int) -> tuple[str, str, str, Tensor]:
    """q, divided by √d, k and v, each (…, heads, M², d); and the bias of the last projection.

    k needs no bias, which would add the same to all scores of a query. That of v, whose weights
    add up to one, goes through the last projection as it is, unless there is a gate before it.
    """
    weights = layer.qkv.weight.detach().flatten(1).chunk(3)
    assert layer.qkv.bias is not None
    assert layer.out.bias is not None
    of_q, _, of_v = layer.qkv.bias.detach().chunk(3)
    factor = (len(of_q) // layer.num_heads) ** -0.5
    q, k, v = (
        g.op("MatMul", x, g.weight(weight.t(), x))
        for weight in (weights[0] * factor, weights[1], weights[2])
    )
    q = g.op("Add", q, g.weight(of_q * factor, x))
    bias = layer.out.bias.detach()
    if layer.gate is not None:
        v = g.op("Add", v, g.weight(of_v, x))
    else:
        bias = bias + layer.out.weight.detach().flatten(1) @ of_v
    heads = layer.num_heads, len(of_q) // layer.num_heads
    q, k, v = (_swap(g, g.reshape(p, *[0] * lead, 0, *heads), lead) for p in (q, k, v))
    return q, k, v, bias


def _biased(
    g: Graph, layer: WindowAttention, q: str, k: str, lead: int
) -> tuple[str, str, str | None]:
    """A table to add to the scores; or q and k widened by factors of the bias, and no table."""
    weights: list[Tensor] = [getattr(layer, name) for name in layer._bias_names]
    if isinstance(layer.bias_kind, TableBias):
        return q, k, g.weight(weights[0], q)
    factors = layer.bias_kind.factors(*weights)
    d, rank = layer.out.in_channels // layer.num_heads, factors.q.shape[-1]
    wide = []
    for x, factor in ((q, factors.q), (k, factors.k)):
        # Padded with zeros, so that a sum appends them to the channels of every window.
        beside = nn.functional.pad(factor, (d, 0))
        padded = g.pad(x, [0] * (2 * lead + 5) + [rank])
        wide.append(g.op("Add", padded, g.weight(beside, x)))
    return wide[0], wide[1], None


def queries_at_once(m: int, heads: int) -> int:
    """The number of queries of a window whose scores are computed at once."""
    queries = m * m
    blocks = min(-(-4 * heads * queries**2 // _SCORES), _MOST_BLOCKS)
    return -(-queries // blocks)


def _spread(g: Graph, table: str, m: int, queries: tuple[int, int]) -> str:
    """A table spread over pairs of pixels, for some of the queries; see `relative_bias`.

    The runtime spreads it, because files with the spread table would be a hundred times larger.
    """
    numbers = np.arange(m * m)
    y, x = numbers // m, numbers % m
    of_keys = (y + m - 1) * (2 * m - 1) + x + m - 1
    of_queries = y * (2 * m - 1) + x
    part = of_queries[slice(*queries), None]
    index = g.once("Sub", g.ints(of_keys), g.ints(part))
    return g.op("Gather", table, index, axis=1)


def _gate(g: Graph, gate: Gate, x: str) -> str:
    """See `Gate`."""
    return g.op("Sigmoid", conv(g, gate.pointwise, conv(g, gate.depthwise, x)))
