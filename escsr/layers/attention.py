"""Self-attention inside windows, with a learned bias per relative position.

Three functions compute the same attention; `WindowAttention` picks one of them per call.
"""

import functools
import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from escsr.layers.attention_blocks import attend_blocks
from escsr.layers.derived import Derived, being_recorded
from escsr.layers.padding import reflect_pad

ATTENTION_MODES = ("auto", "math", "sdpa", "flex")
"""Ways to compute window attention, with one result."""


def relative_bias(table: Tensor, window_size: int) -> Tensor:
    """Spread a table over relative positions to a bias for every pair of pixels.

    ``bias[h, i, j] = table[h, (yj - yi + M - 1) (2M - 1) + xj - xi + M - 1]`` with pixels
    numbered row by row. Every row of the bias is a window into the table, so it is built by
    sliding windows and one copy, 10 times faster than gathering by index.

    Args:
        table: (heads, (2M - 1)²).
        window_size: M.

    Returns:
        (heads, M², M²), query pixel first.
    """
    m = window_size
    grid = table.reshape(-1, 2 * m - 1, 2 * m - 1)
    # windows[h, a, b, y, x] = grid[h, a + y, b + x], and a = M - 1 - yi for query row yi
    windows = grid.unfold(1, m, 1).unfold(2, m, 1).flip(1, 2)
    return windows.reshape(-1, m * m, m * m)


def relative_bias_by_index(table: Tensor, window_size: int) -> Tensor:
    """The same as `relative_bias`, written as its definition: the reference for tests."""
    m = window_size
    y, x = torch.meshgrid(torch.arange(m), torch.arange(m), indexing="ij")
    y, x = y.reshape(-1), x.reshape(-1)
    rows, columns = y[None, :] - y[:, None] + m - 1, x[None, :] - x[:, None] + m - 1
    return table[:, (rows * (2 * m - 1) + columns).to(table.device)]


def attend_math(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attention written out: softmax(q kᵀ / √d + bias) v.

    Args:
        q: (N, heads, M², d) queries of N windows; ``k`` and ``v`` likewise.
        k: Keys.
        v: Values.
        bias: (heads, M², M²).

    Returns:
        (N, heads, M², d).
    """
    scores: Tensor = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1) + bias.to(q.dtype)
    return scores.softmax(dim=-1).to(v.dtype) @ v


def attend_sdpa(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """The same through PyTorch's fused kernels; arguments as in `attend_math`."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype)[None])


def attend_flex(q: Tensor, k: Tensor, v: Tensor, table: Tensor, window_size: int) -> Tensor:
    """The same through FlexAttention, reading the table itself instead of a full bias.

    Compiled at the first call on a GPU. Elsewhere PyTorch's uncompiled version runs: right,
    but slow, and it holds all scores. On a CPU it has no backward pass; `WindowAttention` then
    takes `attend_math`.

    Args:
        q: (N, heads, M², d); ``k`` and ``v`` likewise.
        k: Keys.
        v: Values.
        table: (heads, (2M - 1)²).
        window_size: M.

    Returns:
        (N, heads, M², d).
    """
    m = window_size

    def add_bias(score: Tensor, _window: Tensor, head: Tensor, i: Tensor, j: Tensor) -> Tensor:
        row, column = j // m - i // m + m - 1, j % m - i % m + m - 1
        return score + table[head, row * (2 * m - 1) + column]

    attended: Tensor = _flex_function(compiled=q.is_cuda)(q, k, v, score_mod=add_bias)
    return attended


@functools.cache
def _flex_function(*, compiled: bool) -> Callable[..., Any]:
    from torch.nn.attention import flex_attention as module

    flex_attention: Callable[..., Any] = module.flex_attention

    if compiled:
        return torch.compile(flex_attention)

    def uncompiled(*args: object, **kwargs: object) -> object:
        with warnings.catch_warnings():  # that it is uncompiled is said in our documentation
            warnings.simplefilter("ignore")
            return flex_attention(*args, **kwargs)

    return uncompiled


def check_attention_mode(mode: str) -> str:
    """Return ``mode`` if it names an attention that this PyTorch has.

    Raises:
        ValueError: If the name is unknown or FlexAttention is not there.
    """
    if mode not in ATTENTION_MODES:
        raise ValueError(f"unknown attention {mode!r}; there are: {', '.join(ATTENTION_MODES)}")
    if mode == "flex" and importlib.util.find_spec("torch.nn.attention.flex_attention") is None:
        raise ValueError("attention='flex' needs a PyTorch with FlexAttention (2.6 or newer)")
    return mode


class WindowAttention(nn.Module):
    """Multi-head self-attention inside non-overlapping windows.

    Pads by reflection to whole windows before the projection to q, k and v, and crops
    afterwards. No shift and no mask.

    Args:
        dim: Channels; a multiple of ``num_heads``.
        window_size: Side M of a window, in pixels.
        num_heads: Attention heads.

    Attributes:
        mode: One of `ATTENTION_MODES`. "auto" takes the fused kernels.

    Shape:
        (B, dim, H, W) to the same, any H and W from 1.

    Source:
        ESC, arXiv 2503.06671; windows and bias as in Swin, arXiv 2103.14030.
    """

    def __init__(self, dim: int, *, window_size: int, num_heads: int) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"dim {dim} is not a multiple of num_heads {num_heads}")
        self.window_size = window_size
        self.num_heads = num_heads
        self.mode = "auto"
        self.qkv = nn.Conv2d(dim, 3 * dim, 1)
        self.out = nn.Conv2d(dim, dim, 1)
        self.bias_table = nn.Parameter(torch.empty(num_heads, (2 * window_size - 1) ** 2))
        nn.init.normal_(self.bias_table, std=0.02)
        self.bias = Derived(functools.partial(relative_bias, window_size=window_size))

    def train(self, mode: bool = True) -> "WindowAttention":
        """Switch between training and evaluation; forgets the kept bias."""
        self.bias.clear()
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        """Attend inside each window."""
        height, width = x.shape[-2:]
        m = self.window_size
        x = reflect_pad(x, right=-width % m, bottom=-height % m)
        rows, columns = x.shape[-2] // m, x.shape[-1] // m
        # Through NHWC, which is how the projection leaves it in memory.
        q, k, v = rearrange(
            self._project(x).permute(0, 2, 3, 1),
            "b (r m) (c n) (qkv h d) -> qkv (b r c) h (m n) d",
            m=m,
            n=m,
            qkv=3,
            h=self.num_heads,
        ).unbind(0)
        attended = rearrange(
            self.attend(q, k, v),
            "(b r c) h (m n) d -> b (r m) (c n) (h d)",
            r=rows,
            c=columns,
            m=m,
        )
        out: Tensor = self.out(attended.permute(0, 3, 1, 2))
        return out[..., :height, :width]

    def _project(self, x: Tensor) -> Tensor:
        """Make q, k and v. The bias of k gets a gradient of exactly 0.

        It adds the same to all scores of a query, so softmax cancels it, and its gradient is
        rounding noise. Adam would blow that up to whole steps, different ones for each way of
        sharing out a batch.
        """
        bias = self.qkv.bias
        if torch.is_grad_enabled() and bias is not None:
            of_q, of_k, of_v = bias.chunk(3)
            bias = torch.cat([of_q, of_k.detach(), of_v])
        return F.conv2d(x, self.qkv.weight, bias)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Run the chosen attention on (N, heads, M², d) queries, keys and values."""
        gradient = torch.is_grad_enabled() and (q.requires_grad or self.bias_table.requires_grad)
        if self.mode == "flex" and not (gradient and q.device.type == "cpu"):
            table = self.bias_table.to(q.dtype)
            return attend_flex(q, k, v, table, self.window_size)
        bias = self.bias(self.bias_table)
        if self.mode == "math":
            return attend_math(q, k, v, bias)
        if gradient and q.device.type == "cpu" and not being_recorded():
            return attend_blocks(q, k, v, bias)
        return attend_sdpa(q, k, v, bias)
