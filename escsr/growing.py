"""Starting a network with the result of a smaller one.

Twice as wide: every channel is doubled, and what reads it reads the two copies with different
weights whose sum is the old one; in training the copies learn different things. Deeper: the
layers that join end in a convolution of zeros, next to a skip, so at first they add nothing.

Source: Net2Net, arXiv 1511.05641.
"""

import copy
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from escsr.backbones.esc_block import ESCBlock
from escsr.heads.metasr import MetaSR
from escsr.layers import ConvAttention, DecomposedConvAttention, WindowAttention
from escsr.model import SuperResolver

_DYNAMIC = 9
"""Numbers of a channel's dynamic kernel, side by side in the layer that makes it."""

_TOLERANCE = 1e-3
"""Rounding moves no pixel by more, of 1."""


def doubled(narrow: SuperResolver, wide: SuperResolver, *, head: bool) -> dict[str, Tensor]:
    """Weights with which a network of twice the width computes what the narrow one does.

    Args:
        narrow: The trained network.
        wide: One with each width doubled, and as many attention heads. Not changed.
        head: Whether the head is widened, too.

    Returns:
        Tensors for ``wide``, or its backbone. PyTorch's global generator draws how weights are
        divided.

    Raises:
        ValueError: If the networks are no such pair.
    """
    own = {n: t for n, t in wide.state_dict().items() if head or not n.startswith("head.")}
    old = {n: t for n, t in narrow.state_dict().items() if head or not n.startswith("head.")}
    if old.keys() != own.keys():
        raise _refusal(narrow, wide, f"only one of them has {min(old.keys() ^ own.keys())}")
    modules = dict(narrow.named_modules())
    tensors = {}
    for name, tensor in old.items():
        parent, _, role = name.rpartition(".")[0].rpartition(".")
        tensors[name] = _widened(tensor.float(), own[name].shape, modules[parent], role)
        if tensors[name].shape != own[name].shape:
            shapes = f"{tuple(tensor.shape)} and {tuple(own[name].shape)}"
            raise _refusal(narrow, wide, f"{name} has the shapes {shapes}")
    _check(narrow, wide, tensors, head=head)
    return tensors


def layers_of(network: SuperResolver) -> dict[str, int]:
    """The arguments of the backbone that say how many layers it has.

    Raises:
        ValueError: If it is not made of ESC's blocks.
    """
    blocks = [module for module in network.backbone.modules() if isinstance(module, ESCBlock)]
    if not blocks:
        raise ValueError(
            f"depth='added' is for networks of ESC's blocks, and {network.config.backbone} has none"
        )
    return {"num_blocks": len(blocks), "conv_blocks": len(blocks[0].ffns)}


def deepened(tensors: Mapping[str, Tensor], deep: SuperResolver) -> dict[str, Tensor]:
    """Weights with which a network of more layers computes what the shallower one does.

    Args:
        tensors: Weights of the shallower network, by name.
        deep: The network with more blocks, or more convolutional attentions in each. Not changed.

    Returns:
        ``tensors`` and those of the layers that join; whatever else is missing stays missing.

    Raises:
        ValueError: If no layer joins.
    """
    own, grown = deep.state_dict(), dict(tensors)
    for parts, last in _joining(deep, tensors):
        grown |= {
            n: torch.zeros_like(t) if n.startswith(last) else t
            for n, t in own.items()
            if n.startswith(parts)
        }
    if len(grown) == len(tensors):
        present = ", ".join(f"{name} {value}" for name, value in layers_of(deep).items())
        raise ValueError(
            f"{deep.config.backbone} with {present} has no more layers than the weights; give it "
            "more (num_blocks, conv_blocks), or leave depth at 'same'"
        )
    return grown


def _joining(
    deep: SuperResolver, tensors: Mapping[str, Tensor]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """The beginnings of the names in each layer that joins, and in the last of its convolutions."""
    for name, block in deep.named_modules():
        if not isinstance(block, ESCBlock):
            continue
        if not any(n.startswith(f"{name}.") for n in tensors):
            yield (f"{name}.",), f"{name}.conv_out."
            continue
        for i in range(len(block.ffns)):
            if not any(n.startswith(f"{name}.ffns.{i}.") for n in tensors):
                parts = ("norms", "ffns", "conv_attentions")
                last = f"{name}.conv_attentions.{i}.aggregate."
                yield tuple(f"{name}.{part}.{i}." for part in parts), last


def _widened(tensor: Tensor, shape: torch.Size, parent: nn.Module, role: str) -> Tensor:
    """One tensor, of the layer called ``role`` in ``parent``; of any shape if it cannot be."""
    if isinstance(parent, MetaSR) and role == "last":
        # Rows are kernels: (colour, channel read, place).
        kernels = tensor.reshape(3, parent.in_channels, 9, *tensor.shape[1:])
        return _divided(kernels, 1).flatten(0, 2)
    if isinstance(parent, WindowAttention) and role == "qkv":
        # Products of queries and keys that are twice as long double; the factor of attention
        # takes back the root of two, and queries the other.
        queries, others = tensor.tensor_split((len(tensor) // 3,))
        tensor = torch.cat([queries * 2**-0.5, others])
    if tensor.dim() > 1 and shape[1] == 2 * tensor.shape[1]:
        tensor = _divided(tensor, 1)
    if shape[:1] == (2 * len(tensor),):
        dynamic = isinstance(parent, ConvAttention | DecomposedConvAttention) and role == "excite"
        rows = tensor.reshape(-1, _DYNAMIC if dynamic else 1, *tensor.shape[1:])
        tensor = rows.repeat_interleave(2, 0).flatten(0, 1)
    return tensor


def _divided(tensor: Tensor, axis: int) -> Tensor:
    """Two weights in place of each along an axis, side by side, with its value as their sum."""
    half = tensor / 2
    apart = torch.randn_like(half) * half.square().mean().sqrt()
    return torch.stack([half + apart, half - apart], axis + 1).flatten(axis, axis + 1)


@torch.no_grad()
def _check(
    narrow: SuperResolver, wide: SuperResolver, tensors: dict[str, Tensor], *, head: bool
) -> None:
    """Compare both on noise, which shows any layer that the rules above do not suit."""
    ours, theirs = (copy.deepcopy(network).cpu().float().eval() for network in (wide, narrow))
    ours.load_state_dict(tensors, strict=head)
    lq = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    scale = 2 if narrow.scale is None else narrow.scale
    if head:
        apart = ours(lq, scale=scale) - theirs(lq, scale=scale)
    else:
        apart = ours.backbone(lq) - theirs.backbone(lq).repeat_interleave(2, dim=1)
    if not apart.abs().max() < _TOLERANCE:
        raise _refusal(narrow, wide, f"the results would differ by {apart.abs().max():.2g}")


def _refusal(narrow: SuperResolver, wide: SuperResolver, why: str) -> ValueError:
    one, other = (f"{m.config.backbone} + {m.config.head}" for m in (narrow, wide))
    return ValueError(
        f"{other} cannot begin as a doubled {one}: {why}; every width (dim, partial_dim) must be "
        "twice as large and all else equal, the number of attention heads included; where only "
        "the head does not fit, begin with a new one (head='fresh')"
    )
