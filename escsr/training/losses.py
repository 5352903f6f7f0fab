"""Pixel losses: modules called as ``loss(sr, gt)`` that give one number."""

import torch
from torch import Tensor, nn


class L1(nn.Module):
    """Mean absolute difference, the loss of the paper's classic networks.

    Shape:
        ``sr`` and ``gt`` alike, e.g. (B, 3, H, W), to a scalar ≥ 0.

    Example:
        >>> L1()(torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2))
        tensor(1.)
    """

    def __init__(self) -> None:  # without it, any keyword argument would seem to be welcome
        super().__init__()

    def forward(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Compare two batches.

        Raises:
            ValueError: If the shapes differ (broadcasting would hide a mistake).
        """
        return (_difference(sr, gt)).abs().mean()


class Charbonnier(nn.Module):
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
        super().__init__()
        if not eps > 0:
            raise ValueError(f"eps must be above 0, got {eps}")
        self.eps = eps

    def forward(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Compare two batches.

        Raises:
            ValueError: If the shapes differ (broadcasting would hide a mistake).
        """
        difference = _difference(sr, gt)
        return (torch.sqrt(difference * difference + self.eps**2) - self.eps).mean()

    def extra_repr(self) -> str:
        """Show the constant in ``print(loss)``."""
        return f"eps={self.eps}"


def _difference(sr: Tensor, gt: Tensor) -> Tensor:
    if sr.shape != gt.shape:
        raise ValueError(f"sr {tuple(sr.shape)} and gt {tuple(gt.shape)} must have the same shape")
    return sr.float() - gt.float()  # under autocast sr is half: compare in float32
