"""Adversarial training: the scores, and the settings in a recipe."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from escsr.recipe import Part
from escsr.training.discriminator import UNetDiscriminator, from_published
from escsr.training.tensor_files import fill, read_tensors

GanKind = Literal["vanilla", "lsgan", "hinge"]
"""The loss on a discriminator's logits."""

# ---------------------------------------------------------------------------- scores


def vanilla(logits: Tensor, *, real: bool) -> Tensor:
    """Cross-entropy of logits (arXiv 1406.2661).

    Args:
        logits: Any shape; above 0 where the discriminator sees a photograph.
        real: Whether the logits should be those of photographs.

    Returns:
        Scalar ≥ 0.

    Example:
        >>> vanilla(torch.zeros(1, 1, 4, 4), real=True)
        tensor(0.6931)
    """
    return F.softplus(-logits if real else logits).mean()


def lsgan(logits: Tensor, *, real: bool) -> Tensor:
    """Mean squared distance from 1 (photographs) or 0 (arXiv 1611.04076).

    Args:
        logits: Any shape.
        real: See `vanilla`.

    Returns:
        Scalar ≥ 0.
    """
    return (logits - float(real)).square().mean()


def hinge(logits: Tensor, *, real: bool) -> Tensor:
    """How far logits are on the wrong side of 1 (photographs) or -1 (arXiv 1705.02894).

    Args:
        logits: Any shape.
        real: See `vanilla`.

    Returns:
        Scalar ≥ 0.
    """
    return F.relu(1 - logits if real else 1 + logits).mean()


_SCORES: dict[str, Callable[..., Tensor]] = {"vanilla": vanilla, "lsgan": lsgan, "hinge": hinge}


def generator_loss(fake: Tensor, kind: GanKind) -> Tensor:
    """The loss of a generator, whose pictures should pass for photographs.

    Args:
        fake: Logits of its pictures, any shape.
        kind: "vanilla" or "lsgan": the score as if the pictures were photographs. "hinge": the
            mean of the logits, negated, which has no flat part.

    Returns:
        Scalar.

    Raises:
        ValueError: If the kind is unknown.
    """
    _check_kind(kind)
    return -fake.mean() if kind == "hinge" else _SCORES[kind](fake, real=True)


def discriminator_loss(real: Tensor, fake: Tensor, kind: GanKind) -> Tensor:
    """The loss of a discriminator: the sum of its scores for photographs and generated pictures.

    Args:
        real: Logits of photographs, any shape.
        fake: Logits of generated pictures, any shape.
        kind: "vanilla", "lsgan" or "hinge".

    Returns:
        Scalar ≥ 0.

    Raises:
        ValueError: If the kind is unknown.
    """
    _check_kind(kind)
    return _SCORES[kind](real, real=True) + _SCORES[kind](fake, real=False)


def _check_kind(kind: str) -> None:
    if kind not in _SCORES:
        raise ValueError(f"kind must be one of {', '.join(get_args(GanKind))}, got {kind!r}")


# ---------------------------------------------------------------------------- in a recipe


class Adversary:
    """A discriminator and its training settings, as described by a recipe's ``adversary``.

    In every step the trained network gets the gradient of its loss plus ``weight`` times the
    adversarial loss, through the current discriminator; the discriminator gets that of telling
    photographs from the pictures just generated. Then both are updated.

    Args:
        optimizer: ``optimizer(params)`` gives the discriminator's `torch.optim.Optimizer`.
        discriminator: ``discriminator()`` gives a module that turns pictures (B, 3, H, W), about
            [0, 1], into logits of any shape, above 0 for photographs. By default the network of
            Real-ESRGAN.
        kind: "vanilla", "lsgan" or "hinge".
        weight: Weight of the adversarial loss added to the recipe's loss, above 0; 0.1 in the
            paper.
        schedule: ``schedule(step, steps=...)`` gives the factor of the discriminator's learning
            rate; None: the recipe's schedule.
        grad_clip: Largest norm of the discriminator's gradient; None: no limit.
        start_from: Weights of the discriminator to start from: ``discriminator.safetensors`` of
            an earlier run, or one of Real-ESRGAN's files. None: random weights.

    Attributes:
        network: The discriminator.

    Raises:
        ValueError: If a number or the kind is out of range.
        TypeError: If ``discriminator()`` does not return a module.

    Example:
        >>> adversary = partial(Adversary, optimizer=partial(torch.optim.Adam, lr=1e-4))
        >>> recipe = replace(base, adversary=adversary, start_from="runs/mse/model.safetensors")
    """

    def __init__(
        self,
        *,
        optimizer: Part,
        discriminator: Part = partial(UNetDiscriminator),  # noqa: B008 - called only below
        kind: GanKind = "vanilla",
        weight: float = 0.1,
        schedule: Part | None = None,
        grad_clip: float | None = None,
        start_from: str | None = None,
    ) -> None:
        _check_kind(kind)
        if not (weight > 0 and math.isfinite(weight)):
            raise ValueError(
                f"weight must be above 0 (leave out the adversary for 0), got {weight}"
            )
        if grad_clip is not None and not grad_clip > 0:
            raise ValueError(f"grad_clip must be above 0 or none, got {grad_clip}")
        network = discriminator()
        if not isinstance(network, nn.Module):
            raise TypeError(
                f"discriminator must give a torch.nn.Module, got {type(network).__name__}"
            )
        self.network: nn.Module = network
        self.optimizer = optimizer
        self.kind: GanKind = kind
        self.weight = weight
        self.schedule = schedule
        self.grad_clip = grad_clip
        self.start_from = start_from

    def initialise(self) -> None:
        """Load the weights of ``start_from``, if given.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it holds no tensors, or those of another network.
        """
        if self.start_from is not None:
            tensors = from_published(read_tensors(Path(self.start_from)))
            kind = type(self.network).__name__
            fill(self.network, tensors, source=self.start_from, kind=kind)
