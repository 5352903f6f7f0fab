"""An exponential moving average of a network's weights."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """Moving average of all floating-point weights and buffers of a network.

    Step t (from 0) uses the decay min(decay, (1 + t) / (10 + t)): the average follows closely
    at first, so the random initial weights are soon forgotten. Other buffers are copied.

    Args:
        model: The network to follow. It is copied once, on its device.
        decay: Share of the old average kept per step, in [0, 1); 0 copies the weights.

    Raises:
        ValueError: If the decay is out of range.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"the decay must be in [0, 1), got {decay}")
        self.decay = decay
        self.updates = 0
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        """The averaged network, in eval mode."""

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Update the average with the present weights of the network."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.decay else 0.0
        source = model.state_dict()
        averages: list[Tensor] = []
        values: list[Tensor] = []
        for name, average in self.model.state_dict().items():
            if average.is_floating_point():
                averages.append(average)
                values.append(source[name])
            else:
                average.copy_(source[name])
        torch._foreach_lerp_(averages, values, 1 - decay)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and counter, for a checkpoint."""
        return {"model": self.model.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.model.load_state_dict(state["model"])
        self.updates = int(state["updates"])
