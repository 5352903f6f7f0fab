"""Layers that keep the precision of their weights, whatever the rest of a network computes in."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


@contextlib.contextmanager
def own_precision(device: torch.device) -> Iterator[None]:
    """Leave autocast for a block, so that layers compute in the precision of their weights."""
    if not torch.is_autocast_enabled(device.type):
        yield
        return
    with torch.autocast(device.type, enabled=False):
        yield


def apply_in_own_precision(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply the last convolution of a head.

    bfloat16 has eight bits: a result rounded to it shows steps that even 8-bit pictures do not
    have. The features may be that coarse, since a convolution averages many of them, but not
    their sum.

    Args:
        layer: The convolution.
        x: Its input, of any floating-point type.

    Returns:
        Its output; under autocast of the type of the weights, mostly float32.
    """
    with own_precision(x.device):
        sum_: Tensor = layer(x.to(layer.weight.dtype))
    return sum_
