"""The other side of an adversarial step: a discriminator in training."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from escsr.devices import autocast
from escsr.recipe import Recipe
from escsr.training.adversarial import Adversary, discriminator_loss, generator_loss
from escsr.training.discriminator import refresh_norms
from escsr.training.optimized_network import OptimizedNetwork
from escsr.training.processes import Processes


class Opponent:
    """A discriminator with all that trains it.

    Within a step it stays unchanged until `optimized` is updated, for both sides and all pieces of
    the batch; its spectral norms advance by one power iteration in `begin` and not again.

    Args:
        adversary: The discriminator and its settings.
        recipe: The run's recipe.
        processes: The processes that share the run.
    """

    def __init__(self, adversary: Adversary, recipe: Recipe, processes: Processes) -> None:
        self.adversary = adversary
        self.network = adversary.network.to(processes.device).train()
        self.device = processes.device
        self.precision = recipe.precision
        self.optimized = OptimizedNetwork(
            self.network,
            optimizer=adversary.optimizer,
            schedule=recipe.schedule if adversary.schedule is None else adversary.schedule,
            steps=recipe.steps,
            grad_clip=adversary.grad_clip,
            precision=recipe.precision,
            processes=processes,
        )

    def begin(self, step: int) -> None:
        """Set the learning rate of a step, forget old gradients, refresh the spectral norms."""
        self.optimized.begin(step)
        refresh_norms(self.network)

    def judge(self, sr: Tensor) -> Tensor:
        """Score pictures for the network that made them, weighted.

        The gradient goes only to the pictures. The bare network is called, not the one whose
        gradients are shared between processes: it would wait for gradients that never come.

        Args:
            sr: (B, 3, H, W), with the graph that made them.

        Returns:
            Scalar.
        """
        with self._frozen(), autocast(self.device, self.precision):
            logits = self.network(sr.float())
        return self.adversary.weight * generator_loss(logits.float(), self.adversary.kind)

    def learn(self, sr: Tensor, photo: Tensor, pieces: int) -> dict[str, float]:
        """Add the gradient of telling photographs from generated pictures.

        Both go through the discriminator as one batch: one forward and one backward pass, as
        required for sharing gradients between processes.

        Args:
            sr: (B, 3, H, W), without a graph.
            photo: (B, 3, H, W).
            pieces: Number of pieces the batch is cut into; gradients are averaged over them.

        Returns:
            ``d_loss``, and the mean logits ``d_real`` of photographs and ``d_fake`` of generated
            pictures, which drift apart when the discriminator wins.
        """
        with autocast(self.device, self.precision):
            logits = self.optimized.runs(torch.cat([photo, sr.to(photo.dtype)]))
        real, fake = logits.float().chunk(2)
        loss = discriminator_loss(real, fake, self.adversary.kind)
        self.optimized.backward(loss / pieces)
        figures = {"d_loss": loss, "d_real": real.mean(), "d_fake": fake.mean()}
        return {name: float(figure.detach()) for name, figure in figures.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        return self.optimized.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.optimized.load_state_dict(state)

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        """While entered, passes through the discriminator leave no gradient in it."""
        for parameter in self.optimized.parameters:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in self.optimized.parameters:
                parameter.requires_grad_(True)
