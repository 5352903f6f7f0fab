"""The biases that window attention adds to its scores, in three kinds.

In full, a bias is a number for every pair of pixels in a window. A table holds one number for
every relative position; the other kinds are products of two factors, which can often be used
without computing the product.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

BIASES = ("table", "low_rank", "implicit")
"""Kinds of bias that `WindowAttention` supports."""

_DRAWN_STD = 0.02
"""Standard deviation of an initial table; the other kinds start with about the same size."""


class Factors(NamedTuple):
    """A bias as a product: ``bias[h] = q[h] k[h]ᵀ``.

    Attributes:
        q: (heads, M², R), for the query pixels.
        k: (heads, M², R), for the key pixels.
    """

    q: Tensor
    k: Tensor

    def spread(self) -> Tensor:
        """The bias itself, (heads, M², M²), in the precision of the factors."""
        with torch.autocast(self.q.device.type, enabled=False):
            return self.q @ self.k.transpose(-2, -1)


# ---------------------------------------------------------------------------- table


def relative_bias(table: Tensor, window_size: int) -> Tensor:
    """Expand a table over relative positions to a bias for every pair of pixels.

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
    """`relative_bias` by its definition, the reference for tests."""
    m = window_size
    y, x = torch.meshgrid(torch.arange(m), torch.arange(m), indexing="ij")
    y, x = y.reshape(-1), x.reshape(-1)
    rows, columns = y[None, :] - y[:, None] + m - 1, x[None, :] - x[:, None] + m - 1
    return table[:, (rows * (2 * m - 1) + columns).to(table.device)]


@dataclass(frozen=True)
class TableBias:
    """One number per relative position and attention head.

    Args:
        window_size: M.

    Source:
        Swin, arXiv 2103.14030.
    """

    window_size: int

    def draw(self, num_heads: int) -> dict[str, Tensor]:
        """Make the table, (heads, (2M - 1)²)."""
        side = 2 * self.window_size - 1
        return {"bias_table": torch.empty(num_heads, side**2).normal_(std=_DRAWN_STD)}


# ---------------------------------------------------------------------------- low rank


@dataclass(frozen=True)
class LowRankBias:
    """A product of two stored factors for every pixel of the window.

    Args:
        window_size: M.
        rank: R, columns of the factors.

    Source:
        FlashBias, arXiv 2505.12044.
    """

    window_size: int
    rank: int

    def draw(self, num_heads: int) -> dict[str, Tensor]:
        """Make both factors, (heads, M², R)."""
        shape = (num_heads, self.window_size**2, self.rank)
        std = (_DRAWN_STD / self.rank**0.5) ** 0.5
        return {"bias_q": torch.randn(shape) * std, "bias_k": torch.randn(shape) * std}

    def factors(self, *weights: Tensor) -> Factors:
        """The weights are the factors."""
        return Factors(*weights)


class Factorization(NamedTuple):
    """The best product of a given rank instead of a table.

    Attributes:
        factors: The product.
        errors: Per head, the norm of the error relative to the norm of the bias: 0 is exact, 1
            means that nothing is kept.
    """

    factors: Factors
    errors: tuple[float, ...]


def factorize_table(table: Tensor, window_size: int, rank: int) -> Factorization:
    """Replace a table by a product of low rank, by truncating singular values.

    No product of this rank is closer to the full bias (Eckart and Young). The bias depends on
    differences only, so it is symmetric when the keys are numbered backwards. Eigenvalues, which
    are several times faster to compute, can therefore replace singular values.

    Args:
        table: (heads, (2M - 1)²).
        window_size: M.
        rank: R, from 1 to M².

    Returns:
        The factors, in the dtype and on the device of the table, and their errors.

    Raises:
        ValueError: If the rank is not between 1 and M².

    Example:
        >>> product, errors = factorize_table(torch.randn(4, 31**2), 16, 48)

    Source:
        FlashBias, arXiv 2505.12044.
    """
    check_rank(rank, window_size)
    factors, errors = [], []
    for one in table.detach().double().cpu():
        symmetric = relative_bias(one, window_size)[0].flip(1)
        values, vectors = torch.linalg.eigh(symmetric)
        order = values.abs().argsort(descending=True)
        values, vectors = values[order[:rank]], vectors[:, order[:rank]]
        lost, whole = symmetric.square().sum() - values.square().sum(), symmetric.square().sum()
        errors.append((lost.clamp(min=0) / whole.clamp(min=1e-300)).sqrt().item())
        root = values.abs().sqrt()
        factors.append((vectors * root * values.sign(), (vectors * root).flip(0)))
    q, k = (torch.stack(side).to(table) for side in zip(*factors, strict=True))
    return Factorization(Factors(q, k), tuple(errors))


# ---------------------------------------------------------------------------- implicit


def position_waves(window_size: int, frequencies: int, like: Tensor) -> Tensor:
    """Encode the positions along one side of a window by sines and cosines.

    Args:
        window_size: M.
        frequencies: F; the k-th wave has the frequency 2ᵏ.
        like: Tensor whose device and dtype to use.

    Returns:
        (M, 1 + 2F): x = 2 (column + 0.5) / M - 1, sin(x), cos(x), sin(2x), cos(2x), sin(4x), …
    """
    working = torch.promote_types(like.dtype, torch.float32)
    place = torch.arange(window_size, device=like.device, dtype=working)
    x = (2 * (place + 0.5) / window_size - 1)[:, None]
    angles = x * 2 ** torch.arange(frequencies, device=like.device, dtype=working)
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
    return torch.cat([x, waves], dim=1).to(like.dtype)


@dataclass(frozen=True)
class ImplicitBias:
    """A product whose factors a small network computes from pixel positions.

    ``h = relu(e W + b)``, ``q = h Wq / √R``, ``k = h Wk``, where e alternates between the waves of
    x and y (x, y, sin x, sin y, cos x, cos y, sin 2x, …).

    Args:
        window_size: M.
        rank: R, columns of the factors.
        hidden_dim: Width of the small network.
        frequencies: F, waves along each side.

    Source:
        ESC-RIB, arXiv 2603.06738.
    """

    window_size: int
    rank: int
    hidden_dim: int = field(default=32, kw_only=True)
    frequencies: int = field(default=10, kw_only=True)

    def draw(self, num_heads: int) -> dict[str, Tensor]:
        """Make the weights of the small network: W, b, Wq and Wk."""
        width = 2 + 4 * self.frequencies
        shape = (num_heads, self.hidden_dim, self.rank)
        # The squares of h add up to about a quarter of the number of its elements.
        std = (4 * _DRAWN_STD / self.hidden_dim) ** 0.5
        return {
            "bias_hidden_weight": torch.randn(width, self.hidden_dim) / width**0.5,
            "bias_hidden_offset": torch.zeros(1, self.hidden_dim),
            "bias_q": torch.randn(shape) * std,
            "bias_k": torch.randn(shape) * std,
        }

    def factors(self, *weights: Tensor) -> Factors:
        """Run the small network for every pixel of the window."""
        weight, offset, to_q, to_k = weights
        with torch.autocast(weight.device.type, enabled=False):
            waves = position_waves(self.window_size, self.frequencies, weight)
            of_x, of_y = weight.reshape(-1, 2, self.hidden_dim).unbind(1)
            # (M, 1, hidden) + (1, M, hidden): e W of all pixels, from those of both sides.
            summed = (waves @ of_y)[:, None] + waves @ of_x
            hidden = (summed.flatten(0, 1) + offset).relu()
            return Factors(hidden @ to_q * self.rank**-0.5, hidden @ to_k)


# ---------------------------------------------------------------------------- by name


def make_bias(
    kind: str, window_size: int, *, rank: int | None, hidden_dim: int, frequencies: int
) -> TableBias | LowRankBias | ImplicitBias:
    """Make a bias by the name of its kind.

    Raises:
        ValueError: If the name is unknown, or the rank is missing, superfluous or impossible.
    """
    if kind not in BIASES:
        raise ValueError(f"unknown bias {kind!r}; there are: {', '.join(BIASES)}")
    if kind == "table":
        if rank is not None:
            raise ValueError(f"a table has no rank (got {rank}); bias='low_rank' has")
        return TableBias(window_size)
    if rank is None:
        raise ValueError(f"bias={kind!r} needs a rank: the columns of its factors, e.g. 16")
    check_rank(rank, window_size)
    if kind == "low_rank":
        return LowRankBias(window_size, rank)
    if hidden_dim < 1 or frequencies < 0:
        raise ValueError(
            "an implicit bias needs hidden_dim from 1 and frequencies from 0, not "
            f"{hidden_dim} and {frequencies}"
        )
    return ImplicitBias(window_size, rank, hidden_dim=hidden_dim, frequencies=frequencies)


def check_rank(rank: int, window_size: int) -> None:
    """Refuse a rank that is impossible for a bias of this window.

    Raises:
        ValueError: If it is not between 1 and M².
    """
    if not 1 <= rank <= window_size**2:
        raise ValueError(
            f"the rank must be from 1 to {window_size**2}, the pixels of a window of "
            f"{window_size}×{window_size}, not {rank}"
        )
