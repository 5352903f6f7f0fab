"""Layers that keep the precision of their weights, whatever the rest of the network uses."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


@contextlib.contextmanager
def own_precision(device: torch.device) -> Iterator[None]:
    """Disable autocast for a block, so that layers compute in the precision of their weights."""
    if not torch.is_autocast_enabled(device.type):
        yield
        return
    with torch.autocast(device.type, enabled=False):
        yield


def apply_in_own_precision(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply the last convolution of a head.

    bfloat16 has eight bits of precision: a result rounded to it shows steps that even 8-bit
    pictures do not have. Features may be that coarse, because a convolution averages many of them,
    but their sum may not.

    Args:
        layer: The convolution.
        x: Its input, of any floating-point type.

    Returns:
        Its output; under autocast in the dtype of the weights, usually float32.
    """
    with own_precision(x.device):
        sum_: Tensor = layer(x.to(layer.weight.dtype))
    return sum_
