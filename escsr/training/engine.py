"""One training step: forward, backward, clip, update, average; and the state between steps."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from escsr import checkpoints
from escsr.build import initialise_from
from escsr.inference.devices import PRECISIONS, pick_device
from escsr.recipe import Recipe
from escsr.training.ema import WeightAverage


class TrainingError(RuntimeError):
    """A run that cannot go on: loss or gradient stay without finite values."""


@dataclass(frozen=True)
class StepResult:
    """Figures of one step: the loss, and the norm of the gradient before clipping."""

    loss: float
    grad_norm: float


class Engine:
    """The network of a run with all that changes it.

    Weights are drawn from torch's global generator when it is made.

    Args:
        recipe: A checked recipe.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.device = pick_device(recipe.device)
        self.model: nn.Module = recipe.model().to(self.device).train()
        self.average = WeightAverage(self.model, decay=recipe.ema)
        self.loss: nn.Module = recipe.loss().to(self.device)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer: torch.optim.Optimizer = recipe.optimizer(self.parameters)
        self._base_rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        # float16 needs its loss scaled, or small gradients vanish; bfloat16 does not
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=recipe.precision == "fp16")
        self.skipped = 0
        self.bad_in_a_row = 0

    def initialise(self) -> None:
        """Start from the recipe's weights, if it names some."""
        if self.recipe.start_from is not None:
            initialise_from(
                self.model,  # type: ignore[arg-type]
                self.recipe.start_from,
                head=self.recipe.start_from_head,
            )
            self.average = WeightAverage(self.model, decay=self.recipe.ema)

    def learning_rate(self, step: int) -> float:
        """Return the first parameter group's learning rate at a step."""
        factor: float = self.recipe.schedule(step, steps=self.recipe.steps)
        return self._base_rates[0] * factor

    def step(self, batch: dict[str, Tensor], step: int) -> StepResult | None:
        """Train on one batch.

        Args:
            batch: ``lq`` (B, 3, H, W) and ``gt`` (B, 3, H', W'), in [0, 1].
            step: Which step of the run this is, from 0.

        Returns:
            Its figures, or None if it was skipped because something was not finite.

        Raises:
            TrainingError: If too many steps in a row had to be skipped.
        """
        factor = self.recipe.schedule(step, steps=self.recipe.steps)
        for group, rate in zip(self.optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._forward(batch)
        value = float(loss.detach())
        norm = self._backward(loss) if math.isfinite(value) else math.nan
        if not math.isfinite(norm):
            self._skip(step, value, norm)
            return None
        self.bad_in_a_row = 0
        self.average.update(self.model)
        return StepResult(value, norm)

    def _forward(self, batch: dict[str, Tensor]) -> Tensor:
        lq = batch["lq"].to(self.device, non_blocking=True)
        gt = batch["gt"].to(self.device, non_blocking=True)
        dtype = PRECISIONS[self.recipe.precision]
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            sr = self.model(lq, size=(gt.shape[-2], gt.shape[-1]))
        loss: Tensor = self.loss(sr, gt)  # outside autocast: in float32
        return loss

    def _backward(self, loss: Tensor) -> float:
        """Get gradients, clip them at their true size, and update if they are finite."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        limit = math.inf if self.recipe.grad_clip is None else self.recipe.grad_clip
        norm = float(nn.utils.clip_grad_norm_(self.parameters, limit))
        if math.isfinite(norm):
            self.scaler.step(self.optimizer)
        self.scaler.update()  # lowers the scale where gradients overflowed
        return norm

    def _skip(self, step: int, loss: float, norm: float) -> None:
        self.skipped += 1
        self.bad_in_a_row += 1
        if self.bad_in_a_row >= self.recipe.max_bad_steps:
            raise TrainingError(
                f"{self.bad_in_a_row} steps in a row without a finite loss and gradient, the last "
                f"one at step {step} (loss {loss}, gradient norm {norm}); lower the learning rate, "
                "set grad_clip, or use precision=fp32, and go on from an earlier checkpoint"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next step depends on."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "skipped": self.skipped,
            "bad_in_a_row": self.bad_in_a_row,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.skipped = state["skipped"]
        self.bad_in_a_row = state["bad_in_a_row"]

    def export(self, path: Path, facts: dict[str, Any]) -> None:
        """Write the averaged weights as a file that `escsr.load` opens."""
        checkpoints.save(self.average.model, path, facts=facts)  # type: ignore[arg-type]
