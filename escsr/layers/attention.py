"""Self-attention inside windows, with a learned bias for every pair of pixels.

Several functions compute the same attention; `WindowAttention` picks one per call.
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

from escsr.choices import choices_for
from escsr.layers.attention_bias import Factors, TableBias, make_bias, relative_bias
from escsr.layers.attention_blocks import attend_blocks
from escsr.layers.bands import WHOLE, Overlap
from escsr.layers.derived import Derived, being_recorded
from escsr.layers.padding import reflect_pad
from escsr.layers.pointwise import Pointwise, pointwise
from escsr.layers.strips import in_strips, strip_height

ATTENTION_MODES = ("auto", "math", "sdpa", "flex", "concat")
"""Ways to compute window attention, all with the same result."""


def attend_math(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attention by its formula: softmax(q kᵀ / √d + bias) v.

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
    """Attention through PyTorch's fused kernels; arguments as in `attend_math`."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype)[None])


def attend_flex(q: Tensor, k: Tensor, v: Tensor, table: Tensor, window_size: int) -> Tensor:
    """Attention through FlexAttention, which reads the table instead of a full bias.

    On a GPU it is compiled at the first call. Elsewhere PyTorch's uncompiled version runs, which
    is correct but slow and keeps all scores. On a CPU it has no backward pass, so
    `WindowAttention` uses `attend_math` there.

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


def attend_concat(q: Tensor, k: Tensor, v: Tensor, factors: Factors) -> Tensor:
    """Attention for a bias that is a product, through fused kernels without a bias.

    q kᵀ / √d + Qb Kbᵀ = [q / √d, Qb] [k, Kb]ᵀ, so the bias is never expanded to pairs of pixels,
    on any device and in any pass.

    Args:
        q: (N, heads, M², d); ``k`` and ``v`` likewise.
        k: Keys.
        v: Values.
        factors: Factors of the bias, (heads, M², R) each.

    Returns:
        (N, heads, M², d).

    Source:
        FlashBias, arXiv 2505.12044.
    """
    d = v.shape[-1]
    q, k = concatenate(q, k, factors)
    # Fused kernels need values as wide as keys: padding with zeros is 5 times faster on a CPU.
    v = F.pad(v, (0, q.shape[-1] - d))
    return F.scaled_dot_product_attention(q, k, v, scale=1.0)[..., :d]


def concatenate(q: Tensor, k: Tensor, factors: Factors) -> tuple[Tensor, Tensor]:
    """Queries and keys whose products are the scores, bias included; see `attend_concat`."""
    of_q, of_k = (f.to(q.dtype).expand(q.shape[0], -1, -1, -1) for f in factors)
    return torch.cat([q * q.shape[-1] ** -0.5, of_q], -1), torch.cat([k, of_k], -1)


def attend_flex_factors(q: Tensor, k: Tensor, v: Tensor, factors: Factors) -> Tensor:
    """`attend_concat` through FlexAttention; arguments as there."""
    q, k = concatenate(q, k, factors)
    attended: Tensor = _flex_function(compiled=q.is_cuda)(q, k, v, scale=1.0)
    return attended


@functools.cache
def _flex_function(*, compiled: bool) -> Callable[..., Any]:
    from torch.nn.attention import flex_attention as module

    flex_attention: Callable[..., Any] = module.flex_attention

    if compiled:
        return torch.compile(flex_attention)

    def uncompiled(*args: object, **kwargs: object) -> object:
        with warnings.catch_warnings():  # our documentation says that it is uncompiled
            warnings.simplefilter("ignore")
            return flex_attention(*args, **kwargs)

    return uncompiled


def check_attention_mode(mode: str) -> str:
    """Return ``mode`` if it names an attention that this PyTorch supports.

    Raises:
        ValueError: If the name is unknown or FlexAttention is missing.
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
        bias: Kind of bias of the scores: "table" (a number per relative position), "low_rank"
            (a product of two stored factors: FlashBias) or "implicit" (a product computed from
            the positions: RIB).
        rank: Number of columns of the factors; required for products, not allowed for tables.
        hidden_dim: Width of the network that computes an implicit bias.
        frequencies: Number of waves per side that encode positions for it.
        gate: Multiply the result, before its projection, by a number from 0 to 1 that a
            depthwise and a pointwise convolution compute from the input.

    Attributes:
        mode: One of `ATTENTION_MODES`. "auto" uses the choice of `escsr.choices` for the device.

    Shape:
        (B, dim, H, W) to the same, for any H and W from 1.

    Raises:
        ValueError: If arguments are inconsistent.

    Source:
        ESC, arXiv 2503.06671; windows and table as in Swin, arXiv 2103.14030; low rank: FlashBias,
        arXiv 2505.12044; implicit, and the gate: ESC-RIB, arXiv 2603.06738.
    """

    def __init__(
        self,
        dim: int,
        *,
        window_size: int,
        num_heads: int,
        bias: str = "table",
        rank: int | None = None,
        hidden_dim: int = 32,
        frequencies: int = 10,
        gate: bool = False,
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"dim {dim} is not a multiple of num_heads {num_heads}")
        self.window_size = window_size
        self.num_heads = num_heads
        self.mode = "auto"
        self.qkv = Pointwise(dim, 3 * dim)
        self.out = Pointwise(dim, dim)
        self.gate = Gate(dim) if gate else None
        self.bias_kind = make_bias(
            bias, window_size, rank=rank, hidden_dim=hidden_dim, frequencies=frequencies
        )
        drawn = self.bias_kind.draw(num_heads)
        self._bias_names = tuple(drawn)
        for name, weight in drawn.items():
            self.register_parameter(name, nn.Parameter(weight))
        self.bias = Derived(functools.partial(relative_bias, window_size=window_size))

    def train(self, mode: bool = True) -> "WindowAttention":
        """Switch between training and evaluation; drops the cached bias."""
        self.bias.clear()
        return super().train(mode)

    @property
    def reach(self) -> int:
        """Rows beyond its windows that the layer reads, for the gate."""
        return 0 if self.gate is None else 1

    def forward(self, x: Tensor, overlap: Overlap = WHOLE) -> Tensor:
        """Attend inside each window.

        Args:
            x: (B, dim, H, W), or a band of it.
            overlap: Extra rows of the band around the rows to compute, which start at a window.

        Returns:
            (B, dim, H, W) without the overlap.
        """
        band, x = x, overlap.cut(x)
        height, width = x.shape[-2:]
        m = self.window_size
        padded = reflect_pad(x, right=-width % m, bottom=-height % m)
        strip, table = self._strip(padded)
        attended = in_strips(lambda part: self._attend_windows(part, table), padded, strip)
        if self.gate is not None:
            attended = attended[..., :height, :width] * overlap.cut(self.gate(band))
        out: Tensor = self.out(attended)
        return out[..., :height, :width]

    def _strip(self, x: Tensor) -> tuple[int, Tensor | None]:
        """Rows (whole windows) that are processed at once, and the bias for all of them."""
        if self._mode_on(x) == "flex" or not isinstance(self.bias_kind, TableBias):
            return x.shape[2], None  # biases that are products are computed on each call
        windows = strip_height(x, 3 * x.shape[1]) // self.window_size
        return max(windows, 1) * self.window_size, self.bias(*self._bias_weights())

    def _attend_windows(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Project to queries, keys and values, and attend in each window, (B, dim, H, W)."""
        m = self.window_size
        # Through NHWC, the memory layout after the projection.
        q, k, v = rearrange(
            self._project(x).permute(0, 2, 3, 1),
            "b (r m) (c n) (qkv h d) -> qkv (b r c) h (m n) d",
            m=m,
            n=m,
            qkv=3,
            h=self.num_heads,
        ).unbind(0)
        return rearrange(
            self.attend(q, k, v, bias),
            "(b r c) h (m n) d -> b (r m) (c n) (h d)",
            b=x.shape[0],
            c=x.shape[3] // m,
            m=m,
        ).permute(0, 3, 1, 2)

    def _project(self, x: Tensor) -> Tensor:
        """Compute q, k and v. The bias of k gets a gradient of exactly 0.

        It adds the same value to all scores of a query, so softmax cancels it, and its gradient
        is only rounding noise. Adam would amplify that to full steps, which would differ with
        each way of dividing a batch.
        """
        bias = self.qkv.bias
        if torch.is_grad_enabled() and bias is not None:
            of_q, of_k, of_v = bias.chunk(3)
            bias = torch.cat([of_q, of_k.detach(), of_v])
        return pointwise(x, self.qkv.weight, bias)

    def _mode_on(self, x: Tensor) -> str:
        """The mode to use on the device of ``x``."""
        if self.mode != "auto":
            return self.mode
        choices = choices_for(x.device, x.dtype)
        return choices.table if isinstance(self.bias_kind, TableBias) else choices.factors

    def settle(self, like: Tensor) -> None:
        """Replace "auto" permanently by the mode for tensors of this dtype on this device.

        Compiled programs cannot choose any more.
        """
        self.mode = self._mode_on(like)

    def _bias_weights(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._bias_names]

    def attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        """Run the chosen attention on (N, heads, M², d) queries, keys and values.

        ``bias`` is the expanded table, if it was computed before.
        """
        weights = self._bias_weights()
        gradient = torch.is_grad_enabled() and any(t.requires_grad for t in (q, *weights))
        in_blocks = gradient and q.device.type == "cpu" and not being_recorded()
        mode = self._mode_on(q)
        if mode == "flex" and gradient and q.device.type == "cpu":
            mode = "sdpa"
        if isinstance(self.bias_kind, TableBias):
            if mode == "flex":
                return attend_flex(q, k, v, weights[0].to(q.dtype), self.window_size)
            bias = self.bias(*weights) if bias is None else bias
        else:
            factors = self.bias_kind.factors(*weights)
            if mode == "flex":
                return attend_flex_factors(q, k, v, factors)
            # One CPU thread, window 64 of rank 16: 0.12 s instead of 0.29, and 1.0 instead of 2.1
            # in training. Window 32 of rank 48: 53 ms instead of 69; but 360 instead of 250 in
            # training, where width matters more.
            wide = in_blocks and factors.q.shape[-1] > 2 * q.shape[-1]
            if mode == "concat" and not (wide and self.mode == "auto"):
                return attend_concat(q, k, v, factors)
            bias = factors.spread()
        if mode == "math":
            return attend_math(q, k, v, bias)
        return (attend_blocks if in_blocks else attend_sdpa)(q, k, v, bias)


class Gate(nn.Module):
    """A number from 0 to 1 for every value of a feature map, from its neighbourhood.

    ``sigmoid(pointwise(depthwise(x)))``, 3×3, zero padding.

    Args:
        dim: Channels.

    Shape:
        (B, dim, H, W) to the same.

    Source:
        ESC-RIB, arXiv 2603.06738.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.pointwise = Pointwise(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Make the gate."""
        gate: Tensor = self.pointwise(self.depthwise(x))
        return gate.sigmoid()
