"""Losses: modules called as ``loss(sr, gt)`` that give one number, or several to be added up."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from escsr.names import did_you_mean

_TAKEN = ("loss", "grad_norm", "gan", "d_loss", "d_real", "d_fake", "d_grad_norm")
"""Names of the figures that the engine logs itself."""


class L1(nn.Module):
    """Mean absolute difference, the loss of the paper's classic networks.

    Shape:
        ``sr`` and ``gt`` alike, e.g. (B, 3, H, W), to a scalar ≥ 0.

    Example:
        >>> L1()(torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2))
        tensor(1.)
    """

    def __init__(self) -> None:  # without it, any keyword argument would appear to be accepted
        super().__init__()

    def forward(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Compare two batches.

        Raises:
            ValueError: If the shapes differ (broadcasting would hide a mistake).
        """
        return (_difference(sr, gt)).abs().mean()


class _WithConstant(nn.Module):
    """A loss with a constant above 0."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        if not eps > 0:
            raise ValueError(f"eps must be above 0, got {eps}")
        self.eps = eps

    def extra_repr(self) -> str:
        """Show the constant in ``print(loss)``."""
        return f"eps={self.eps}"


class Charbonnier(_WithConstant):
    """Mean of sqrt(d² + eps²) − eps: L1 with a round bottom (Charbonnier et al., ICIP 1994).

    The constant is subtracted, so that equal pictures give 0.

    Args:
        eps: Width of the round bottom in units of the pixel range [0, 1], above 0.

    Raises:
        ValueError: If ``eps`` is not above 0.

    Shape:
        ``sr`` and ``gt`` alike, e.g. (B, 3, H, W), to a scalar ≥ 0.
    """

    def __init__(self, *, eps: float = 1e-3) -> None:
        super().__init__(eps)

    def forward(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Compare two batches.

        Raises:
            ValueError: If the shapes differ (broadcasting would hide a mistake).
        """
        difference = _difference(sr, gt)
        return (torch.sqrt(difference * difference + self.eps**2) - self.eps).mean()


class PSNRLoss(_WithConstant):
    """Mean over pictures of log(mean squared error): minus their mean PSNR, but for a factor.

    Squared error alone follows the worst pictures of a batch. Here each counts by the proportion
    that it gains, as in a mean of PSNR over pictures.

    Args:
        eps: Added to each mean squared error, in squared units of the pixel range [0, 1], above 0.
            1e-4, that of 40 dB, keeps flat pictures, which are nearly perfect, from outweighing
            all others.

    Raises:
        ValueError: If ``eps`` is not above 0.

    Shape:
        ``sr`` and ``gt`` alike, e.g. (B, 3, H, W), to a scalar, at least log(eps).

    Example:
        >>> PSNRLoss(eps=1e-4)(torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.1))
        tensor(-4.5952)

    Source:
        Of this kind is the loss of HINet, arXiv 2105.06086, and of NAFNet, arXiv 2204.04676.
    """

    def __init__(self, *, eps: float = 1e-4) -> None:
        super().__init__(eps)

    def forward(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Compare two batches.

        Raises:
            ValueError: If the shapes differ (broadcasting would hide a mistake).
        """
        errors = _difference(sr, gt).square().flatten(1).mean(1)  # (B,)
        return (errors + self.eps).log().mean()


class WeightedSum(nn.Module):
    """Several losses added up, each with a factor and a name for the log.

    Args:
        factors: Factor of each term, by name, above 0; 1 for terms left out.
        **terms: ``term()`` gives a loss called as ``loss(sr, gt)`` that returns a scalar.

    Raises:
        TypeError: If a term does not give a module.
        ValueError: If there is no term, a factor belongs to none or is not above 0, or a name is
            one of the engine's own figures.

    Shape:
        ``sr`` and ``gt`` alike, to a dictionary of scalars: the terms, times their factors.

    Example:
        >>> loss = partial(
        ...     WeightedSum,
        ...     pixel=partial(L1),
        ...     perceptual=partial(Perceptual, weights="vgg19-dcbb9e9d.pth"),
        ...     factors={"pixel": 1.0, "perceptual": 1.0},
        ... )

        On the command line: ``loss.factors.pixel=0.5 loss.perceptual.weights=other.pth``.
    """

    def __init__(
        self,
        *,
        factors: Mapping[str, float] | None = None,
        **terms: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        factors = dict(factors or {})
        _check_terms(terms, factors)
        self.factors = {name: float(factors.get(name, 1.0)) for name in terms}
        self.terms = nn.ModuleDict()
        for name, term in terms.items():
            module = term()
            if not isinstance(module, nn.Module):
                raise TypeError(f"{name} must give a torch.nn.Module, got {type(module).__name__}")
            self.terms[name] = module

    @property
    def needs_pictures(self) -> bool:
        """Whether a term cannot compare single pixels."""
        return any(getattr(term, "needs_pictures", False) for term in self.terms.values())

    @property
    def uses_batch(self) -> bool:
        """Whether a term needs the whole batch."""
        return any(getattr(term, "uses_batch", False) for term in self.terms.values())

    def forward(
        self, sr: Tensor, gt: Tensor, *, batch: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Compare two batches; the loss is the sum of the returned terms."""
        return {
            name: self.factors[name] * compare(term, sr, gt, batch)
            for name, term in self.terms.items()
        }

    def extra_repr(self) -> str:
        """Show the factors in ``print(loss)``."""
        return f"factors={self.factors}"


def compare(loss: nn.Module, sr: Tensor, gt: Tensor, batch: Mapping[str, Tensor] | None) -> Any:
    """Call a loss with or without the whole batch, as it requires.

    Args:
        loss: One with ``uses_batch`` gets ``batch=``.
        sr: The network's result.
        gt: The truth.
        batch: The batch from the data.

    Returns:
        The value that the loss returns.
    """
    if getattr(loss, "uses_batch", False):
        return loss(sr, gt, batch=batch)
    return loss(sr, gt)


def _check_terms(terms: Mapping[str, object], factors: Mapping[str, float]) -> None:
    if not terms:
        raise ValueError("there is nothing to add up: name at least one loss, e.g. pixel=...")
    for name, term in terms.items():
        if name in _TAKEN:
            raise ValueError(
                f"{name!r} is reserved for the engine; choose another name for the term"
            )
        if not callable(term):
            raise TypeError(f"{name} must be a functools.partial of a loss, got {term!r}")
    for name, factor in factors.items():
        if name not in terms:
            raise ValueError(f"factors: no term {name!r}; {did_you_mean(name, terms)}")
        if not (factor > 0 and math.isfinite(factor)):
            raise ValueError(f"factors: that of {name} must be above 0, got {factor}")


def _difference(sr: Tensor, gt: Tensor) -> Tensor:
    if sr.shape != gt.shape:
        raise ValueError(f"sr {tuple(sr.shape)} and gt {tuple(gt.shape)} must have the same shape")
    return sr.float() - gt.float()  # under autocast sr is half: compare in float32
