"""Window attention with a gradient for its bias on a CPU, block by block.

PyTorch's fused attention has no gradient for the bias, so training with a bias falls back to
storing all scores, several times. Here the forward pass is fused and keeps no scores; the
backward pass recomputes them in blocks that stay in the cache. For the shapes of `esc_tiny` that
is 3 times faster than storing them (`escsr bench --training`).
"""

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK_ELEMENTS = 1 << 19
"""Scores held at once: 2 MiB in float32, twice. Half or twice as many were no faster."""


def attend_blocks(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """softmax(q kᵀ / √d + bias) v, with gradients for all four; for CPUs.

    Scores below float32 precision are recomputed in float32. Second derivatives are not
    supported.

    Args:
        q: (N, heads, L, d) queries of N windows; ``k`` and ``v`` likewise, in the same dtype.
        k: Keys.
        v: Values.
        bias: (heads, L, L), query first.

    Returns:
        (N, heads, L, d).

    Source:
        Recomputing scores in the backward pass: FlashAttention, arXiv 2205.14135.
    """
    attended: Tensor = _AttendBlocks.apply(q, k, v, bias)
    return attended


class _AttendBlocks(torch.autograd.Function):
    """`attend_blocks` as an autograd function."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        # Detached, because the fused kernel is chosen only if the bias requires no gradient.
        out = F.scaled_dot_product_attention(
            q.detach(), k.detach(), v.detach(), attn_mask=bias.detach().to(q.dtype)[None]
        )
        ctx.save_for_backward(q, k, v, bias, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        inputs: tuple[Tensor, ...] = ctx.saved_tensors
        working = torch.promote_types(grad.dtype, torch.float32)
        q, k, v, bias, out, grad = (t.to(working) for t in (*inputs, grad))
        dq, dk, dv, dbias = (torch.zeros_like(t) for t in (q, k, v, bias))
        windows, heads, length, _ = q.shape
        count = max(1, min(windows, BLOCK_ELEMENTS // length**2))
        rows = max(1, min(length, BLOCK_ELEMENTS // (count * length)))
        memory = q.new_empty(2, count, rows, length)
        for head, first, row in itertools.product(
            range(heads), range(0, windows, count), range(0, length, rows)
        ):
            whole = (slice(first, first + count), head)  # keys and values of these windows
            part = (*whole, slice(row, row + rows))  # some of their queries
            d_part, d_keys, d_values, d_bias = _block(
                q[part], k[whole], v[whole], bias[head, part[2]], out[part], grad[part], memory
            )
            dq[part] = d_part
            dk[whole] += d_keys
            dv[whole] += d_values
            dbias[head, part[2]] += d_bias
        gradients = zip((dq, dk, dv, dbias), inputs, strict=False)
        return tuple(gradient.to(original.dtype) for gradient, original in gradients)


def _block(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, out: Tensor, grad: Tensor, memory: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of some rows of the scores in one attention head.

    Args:
        q: (n, r, d) queries; ``out`` and ``grad``, the result and its gradient, likewise.
        k: (n, L, d) keys; ``v`` likewise.
        v: Values.
        bias: (r, L).
        out: Result.
        grad: Its gradient.
        memory: (2, at least n, at least r, L) to work in.
    """
    factor = q.shape[-1] ** -0.5
    weights, slopes = memory[:, : q.shape[0], : q.shape[1]]
    q = q * factor
    torch.bmm(q, k.transpose(1, 2), out=weights)
    torch.softmax(weights.add_(bias), dim=-1, out=weights)
    torch.bmm(grad, v.transpose(1, 2), out=slopes)
    # The slope of softmax is weights ⊙ (g − Σ weights ⊙ g), and that sum is out · grad.
    slopes.sub_((out * grad).sum(-1, keepdim=True)).mul_(weights)
    dq = (slopes @ k).mul_(factor)
    return dq, slopes.transpose(1, 2) @ q, weights.transpose(1, 2) @ grad, slopes.sum(0)
