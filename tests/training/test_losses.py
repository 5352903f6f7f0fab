"""Losses. Oracle: the formula, written as a loop over numbers."""

import math

import pytest
import torch

from escsr.training import L1, Charbonnier

GENERATOR = torch.Generator().manual_seed(0)
SR, GT = (torch.rand(2, 3, 4, 5, generator=GENERATOR) for _ in range(2))


def test_l1_is_the_mean_of_absolute_differences():
    pairs = zip(SR.flatten().tolist(), GT.flatten().tolist(), strict=True)
    expected = sum(abs(a - b) for a, b in pairs) / SR.numel()
    assert float(L1()(SR, GT)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("eps", [1e-3, 0.5])
def test_charbonnier_is_a_rounded_l1_that_vanishes_at_equality(eps):
    pairs = zip(SR.flatten().tolist(), GT.flatten().tolist(), strict=True)
    expected = sum(math.sqrt((a - b) ** 2 + eps**2) - eps for a, b in pairs) / SR.numel()
    assert float(Charbonnier(eps=eps)(SR, GT)) == pytest.approx(expected, rel=1e-5)
    assert float(Charbonnier(eps=eps)(GT, GT)) == pytest.approx(0, abs=1e-9)


def test_charbonnier_has_no_kink():
    sr = torch.zeros(3, requires_grad=True)
    Charbonnier()(sr, torch.zeros(3)).backward()
    assert sr.grad is not None
    assert sr.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize("loss", [L1(), Charbonnier()])
def test_losses_refuse_to_broadcast_and_compute_in_float32(loss):
    with pytest.raises(ValueError, match="same shape"):
        loss(SR, GT[:1])
    assert loss(SR.bfloat16(), GT).dtype == torch.float32


def test_charbonnier_refuses_no_width():
    with pytest.raises(ValueError, match="eps"):
        Charbonnier(eps=0)
