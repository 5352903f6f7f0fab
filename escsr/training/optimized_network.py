"""One network with all that trains it: optimiser, schedule, clipping, and scaled gradients."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from escsr.recipe import Part
from escsr.training.processes import Processes


class OptimizedNetwork:
    """A network in training.

    Gradients add up over `backward` until `update` clips them at their true size and steps.

    Args:
        network: The network to train, on its device.
        runs: The module to call, if it differs: a wrapper or a compiled module.
        optimizer: Makes the optimiser of its parameters.
        schedule: ``schedule(step, steps=...)``, the factor of the learning rate.
        steps: Length of the run.
        grad_clip: Largest norm of the gradient, or None.
        precision: "fp32", "bf16" or "fp16".
        processes: The processes that share the run.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        runs: nn.Module | None = None,
        optimizer: Part,
        schedule: Part,
        steps: int,
        grad_clip: float | None,
        precision: str,
        processes: Processes,
    ) -> None:
        self.network = network
        self.processes = processes
        self.runs = processes.share_gradients(network if runs is None else runs)
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.optimizer: torch.optim.Optimizer = optimizer(self.parameters)
        self.schedule, self.steps = schedule, steps
        self.limit = math.inf if grad_clip is None else grad_clip
        self._rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        # float16 needs its loss scaled, or small gradients vanish; bfloat16 does not
        self.scaler = torch.amp.GradScaler(processes.device.type, enabled=precision == "fp16")

    @property
    def rate(self) -> float:
        """The first parameter group's learning rate, as it was last set."""
        return float(self.optimizer.param_groups[0]["lr"])

    def begin(self, step: int) -> None:
        """Set the learning rate of a step, and forget the gradients of the one before."""
        factor = self.schedule(step, steps=self.steps)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.zero_grad(set_to_none=True)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of a loss, scaled where float16 needs it."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def gradient_norm(self) -> float:
        """Unscale and clip the gradients; return their norm before clipping."""
        self.scaler.unscale_(self.optimizer)
        return float(nn.utils.clip_grad_norm_(self.parameters, self.limit))

    def update(self, *, step: bool) -> None:
        """Update the weights, or leave them if ``step`` is False; call `gradient_norm` first."""
        if step:
            self.scaler.step(self.optimizer)
        self.scaler.update()  # lowers the scale where gradients overflowed

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        return {
            "model": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned; the optimiser's settings stay the recipe's."""
        settings = [
            {key: value for key, value in group.items() if key != "params"}
            for group in self.optimizer.param_groups
        ]
        self.network.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for group, setting in zip(self.optimizer.param_groups, settings, strict=True):
            group.update(setting)
        self.scaler.load_state_dict(state["scaler"])
