"""One training step: forward, backward, clip, update, average; and the state between steps."""

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from escsr import checkpoints
from escsr.build import initialise_from
from escsr.data.loader import Batch
from escsr.devices import autocast
from escsr.model import unwrapped
from escsr.recipe import Recipe
from escsr.training.ema import WeightAverage
from escsr.training.losses import compare
from escsr.training.opponent import Opponent
from escsr.training.optimized_network import OptimizedNetwork
from escsr.training.processes import Processes


class TrainingError(RuntimeError):
    """A run cannot continue: loss or gradient stay non-finite."""


@dataclass(frozen=True)
class StepResult:
    """Figures of one step.

    Attributes:
        loss: Mean over the batch, as used for training.
        grad_norm: Norm of the gradient before clipping.
        terms: The parts of the loss, if it has several, and those of an adversary: ``gan``, its
            weighted part of the loss, and ``d_loss``, ``d_real``, ``d_fake`` and ``d_grad_norm``
            of the discriminator.
    """

    loss: float
    grad_norm: float
    terms: Mapping[str, float] = field(default_factory=dict)


ASKED = ("lq", "gt", "coords", "cells")
"""The entries of a batch that the network is called with; the rest is for losses."""


class Enlarging(nn.Module):
    """Calls a network according to the batch: for whole pictures, or single pixels of them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, lq: Tensor, gt: Tensor, coords: Tensor | None = None, cells: Tensor | None = None
    ) -> Tensor:
        """Make the pictures or pixels to compare with ``gt``.

        Args:
            lq: (B, 3, H, W) in [0, 1].
            gt: (B, 3, H', W'), or (B, Q, 3) at coordinates; only its shape is used.
            coords: (B, Q, 2) or None.
            cells: (B, Q, 2) or None.
        """
        if coords is None:
            sr: Tensor = self.model(lq, size=(gt.shape[-2], gt.shape[-1]))
            return sr
        pixels: Tensor = self.model.query(lq, coords, cells)  # type: ignore[operator]
        return pixels


class Engine:
    """The network of a run with all that trains it, and its opponent if the recipe names one.

    On construction, weights are drawn from torch's global generator, and the method ``prepare`` of
    losses that have one is called, so that they can read or download what they need.

    Args:
        recipe: A checked recipe.
        processes: The processes that share the run; None: detected.
    """

    def __init__(self, recipe: Recipe, processes: Processes | None = None) -> None:
        self.recipe = recipe
        self.processes = processes or Processes(recipe.device)
        self.device = self.processes.device
        self.model: nn.Module = recipe.model().to(self.device).train()
        self.average = WeightAverage(self.model, decay=recipe.ema)
        self.loss: nn.Module = recipe.loss()
        for part in list(self.loss.modules()):
            if callable(prepare := getattr(part, "prepare", None)):
                prepare()
        self.loss.to(self.device)
        enlarging: nn.Module = Enlarging(self.model)
        if recipe.compile:
            enlarging = torch.compile(enlarging)  # type: ignore[assignment]
        self.optimized = OptimizedNetwork(
            self.model,
            runs=enlarging,
            optimizer=recipe.optimizer,
            schedule=recipe.schedule,
            steps=recipe.steps,
            grad_clip=recipe.grad_clip,
            precision=recipe.precision,
            processes=self.processes,
        )
        self.opponent: Opponent | None = None
        if recipe.adversary is not None:
            self.opponent = Opponent(recipe.adversary(), recipe, self.processes)
        self.skipped = 0
        self.bad_in_a_row = 0
        self.updating = False
        """Whether weights are being updated: stopping now would leave them half updated."""

    def initialise(self) -> None:
        """Load the recipe's and the adversary's initial weights, if given."""
        if self.recipe.start_from is not None:
            initialise_from(
                self.model,  # type: ignore[arg-type]
                self.recipe.start_from,
                head=self.recipe.start_from_head,
                width=self.recipe.start_from_width,
                depth=self.recipe.start_from_depth,
            )
            self.average = WeightAverage(self.model, decay=self.recipe.ema)
        if self.opponent is not None:
            self.opponent.adversary.initialise()

    def step(
        self, pieces: Sequence[Batch], step: int, *, place: int | None = None
    ) -> StepResult | None:
        """Train on one batch.

        Args:
            pieces: The batch, or the parts of this process's share of it, all of one size:
                ``lq`` (B, 3, H, W) and ``gt`` (B, 3, H', W'), in [0, 1], or ``gt`` (B, Q, 3) with
                ``coords`` and ``cells`` (B, Q, 2). ``photo``, like ``gt``, is shown to an adversary
                in its place, if given; losses may need more entries. Gradients add up over them.
            step: Index of the step in the run, from 0.
            place: Index of the step in the schedule; None: the same.

        Returns:
            The step's figures, averaged over all processes, or None if it was skipped because a
            value was not finite.

        Raises:
            TrainingError: If too many steps in a row had to be skipped.
        """
        place = step if place is None else place
        self.optimized.begin(place)
        if self.opponent is not None:
            self.opponent.begin(place)
        terms: dict[str, float] = {}
        for number, piece in enumerate(pieces):
            for name, value in self._add_gradients(piece, len(pieces), number).items():
                terms[name] = terms.get(name, 0.0) + value / len(pieces)
        terms = dict(zip(terms, self.processes.means(list(terms.values())), strict=True))
        loss = terms.pop("loss")
        norm = self.optimized.gradient_norm()  # not finite on all processes if it is on one
        if self.opponent is not None:
            terms["d_grad_norm"] = self.opponent.optimized.gradient_norm()
        finite = all(map(math.isfinite, (loss, norm, *terms.values())))
        self.updating = True
        self.optimized.update(step=finite)
        if self.opponent is not None:  # both change, or neither
            self.opponent.optimized.update(step=finite)
        if finite:
            self.average.update(self.model)
        self.updating = False
        if not finite:
            self._skip(step, loss, norm, terms.get("d_grad_norm"))
            return None
        self.bad_in_a_row = 0
        return StepResult(loss, norm, terms)

    def _add_gradients(self, batch: Batch, pieces: int, number: int) -> dict[str, float]:
        """Run the forward and backward pass of one piece; return its loss and the loss's terms."""
        batch = {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
        # The discriminator's photograph is the ground truth, unless that was sharpened.
        photo = batch.get("photo", batch["gt"])
        with ExitStack() as stack:
            if number < pieces - 1:
                stack.enter_context(self.processes.keep_gradients(self.optimized.runs))
                if self.opponent is not None:
                    stack.enter_context(self.processes.keep_gradients(self.opponent.optimized.runs))
            return self._forward_and_backward(batch, photo, pieces)

    def _forward_and_backward(self, batch: Batch, photo: Tensor, pieces: int) -> dict[str, float]:
        with autocast(self.device, self.recipe.precision):
            sr = self.optimized.runs(**{name: batch[name] for name in ASKED if name in batch})
        answer = compare(self.loss, sr, batch["gt"], batch)  # outside autocast: in float32
        terms: dict[str, Tensor] = dict(answer) if isinstance(answer, Mapping) else {}
        loss: Tensor = sum(terms.values(), torch.zeros((), device=sr.device)) if terms else answer
        if self.opponent is not None:
            terms["gan"] = self.opponent.judge(sr)
            loss = loss + terms["gan"]
        self.optimized.backward(loss / pieces)
        figures = {"loss": loss, **terms}
        values = {name: float(value.detach()) for name, value in figures.items()}
        if self.opponent is not None:
            values |= self.opponent.learn(sr.detach(), photo, pieces)
        return values

    def _skip(self, step: int, loss: float, norm: float, opponents: float | None) -> None:
        self.skipped += 1
        self.bad_in_a_row += 1
        if self.bad_in_a_row >= self.recipe.max_bad_steps:
            also = "" if opponents is None else f", that of the discriminator {opponents}"
            raise TrainingError(
                f"{self.bad_in_a_row} steps in a row without a finite loss and gradient, the last "
                f"one at step {step} (loss {loss}, gradient norm {norm}{also}); lower the learning "
                "rate, set grad_clip, or use precision=fp32, and go on from an earlier checkpoint"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        adversary = {} if self.opponent is None else {"adversary": self.opponent.state_dict()}
        return {
            **self.optimized.state_dict(),
            **adversary,
            "average": self.average.state_dict(),
            "skipped": self.skipped,
            "bad_in_a_row": self.bad_in_a_row,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.optimized.load_state_dict(state)
        self.average.load_state_dict(state["average"])
        if self.opponent is not None:
            if "adversary" in state:
                self.opponent.load_state_dict(state["adversary"])
            else:  # the recipe was changed: the adversary joins only now
                self.opponent.adversary.initialise()
        self.skipped = state["skipped"]
        self.bad_in_a_row = state["bad_in_a_row"]

    def export(self, path: Path, facts: dict[str, Any], *, trained: bool) -> None:
        """Write the averaged weights as a file that `escsr.load` opens.

        Args:
            path: Path of the file.
            facts: Notes on the weights.
            trained: Whether any step was done; a run's initial weights may be trained already, too.
        """
        network = unwrapped(self.average.model)
        network.trained = network.trained or trained
        checkpoints.save(network, path, facts=facts)

    def export_discriminator(self, path: Path) -> None:
        """Write the discriminator, for ``adversary.start_from``; without one, write nothing."""
        if self.opponent is not None:
            checkpoints.write_tensors(self.opponent.network.state_dict(), path)
