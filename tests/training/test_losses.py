"""Losses. Oracle: the formula, written as a loop over numbers."""

import math
from functools import partial

import pytest
import torch

from escsr.training import L1, Charbonnier, PSNRLoss, WeightedSum

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


@pytest.mark.parametrize("loss", [L1(), Charbonnier(), PSNRLoss()])
def test_losses_refuse_to_broadcast_and_compute_in_float32(loss):
    with pytest.raises(ValueError, match="same shape"):
        loss(SR, GT[:1])
    assert loss(SR.bfloat16(), GT).dtype == torch.float32


@pytest.mark.parametrize("loss", [Charbonnier, PSNRLoss])
def test_no_width_is_refused(loss):
    with pytest.raises(ValueError, match="eps"):
        loss(eps=0)


def test_psnr_loss_is_minus_the_mean_psnr_of_pictures():
    decibels = [
        -10 * math.log10(sum((a - b) ** 2 for a, b in zip(sr, gt, strict=True)) / len(sr))
        for sr, gt in zip(SR.flatten(1).tolist(), GT.flatten(1).tolist(), strict=True)
    ]
    expected = -sum(decibels) / len(decibels) * math.log(10) / 10
    assert float(PSNRLoss(eps=1e-12)(SR, GT)) == pytest.approx(expected, rel=1e-5)
    assert float(PSNRLoss(eps=1e-4)(GT, GT)) == pytest.approx(math.log(1e-4), rel=1e-6)


def test_sum_is_its_terms_times_their_factors_by_name():
    loss = WeightedSum(a=L1, b=partial(Charbonnier, eps=0.5), factors={"b": 0.25})
    terms = loss(SR, GT)
    assert list(terms) == ["a", "b"]
    assert float(terms["a"]) == pytest.approx(float(L1()(SR, GT)))
    assert float(terms["b"]) == pytest.approx(0.25 * float(Charbonnier(eps=0.5)(SR, GT)))
    assert not loss.needs_pictures  # both compare single pixels as well


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({}, ValueError, "at least one loss"),
        ({"pixel": L1, "factors": {"pixle": 1.0}}, ValueError, "'pixle'; did you mean 'pixel'"),
        ({"pixel": L1, "factors": {"pixel": 0.0}}, ValueError, "pixel must be above 0"),
        ({"pixel": L1, "factors": {"pixel": math.inf}}, ValueError, "above 0"),
        ({"gan": L1}, ValueError, "reserved for the engine"),
        ({"pixel": 1.0}, TypeError, "pixel must be a functools.partial"),
        ({"pixel": dict}, TypeError, "pixel must give a torch.nn.Module, got dict"),
    ],
)
def test_sum_refuses_what_it_cannot_add_up(arguments, error, said):
    with pytest.raises(error, match=said):
        WeightedSum(**arguments)
