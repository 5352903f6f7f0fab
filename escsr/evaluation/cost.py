"""What a network costs, in numbers that are the same on every machine."""

from typing import Any

import torch

from escsr.devices import evaluating
from escsr.evaluation.contenders import Contender
from escsr.layers import planning

__all__ = ["COST_SIZE", "cost_of"]

COST_SIZE = (720, 1280)
"""(H, W) of the result whose multiply-adds are counted, as papers do."""


def cost_of(contender: Contender, scale: float) -> dict[str, Any]:
    """Count the multiply-adds for one result of 1280 x 720.

    The network runs on tensors without contents. Products of matrices and convolutions count, as
    in the literature; element-wise work does not.

    Args:
        contender: The model; bicubic and foreign networks are not counted.
        scale: The enlargement; a network whose result is resized is counted at its own scale.

    Returns:
        ``multiply_adds``, or ``multiply_adds_unknown`` with the reason, or nothing.
    """
    network = contender.resolver
    if network is None:
        return {}
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    lq = (round(COST_SIZE[0] / scale), round(COST_SIZE[1] / scale))
    own = network.scale or scale
    size = (round(lq[0] * own), round(lq[1] * own))
    counter = FlopCounterMode(display=False)
    try:
        fake = FakeTensorMode(allow_non_fake_inputs=True)
        with evaluating(network), planning("work"), fake, counter:
            place = next(network.parameters()).device
            network(torch.empty(1, 3, *lq, device=place), size=size)
    except Exception as error:  # counting may fail on a plug-in's head
        return {"multiply_adds_unknown": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
    return {"multiply_adds": counter.get_total_flops() // 2}
