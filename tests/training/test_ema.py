"""Averaged weights. Oracle: the recurrence in float64, number by number."""

import pytest
import torch
from torch import nn

from escsr.training import WeightAverage


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))


def test_average_follows_the_recurrence_with_warm_decay():
    model = Small()
    average = WeightAverage(model, decay=0.7)
    generator = torch.Generator().manual_seed(0)
    weight, mean = torch.zeros(3, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for t in range(40):
        with torch.no_grad():
            model.weight.copy_(torch.randn(3, generator=generator))
            model.mean.copy_(torch.randn(2, generator=generator))
            model.count += 1
        average.update(model)
        decay = min(0.7, (1 + t) / (10 + t))
        weight = decay * weight + (1 - decay) * model.weight.detach().double()
        mean = decay * mean + (1 - decay) * model.mean.double()
    assert decay == 0.7  # the warm-up was passed
    torch.testing.assert_close(average.model.weight.double(), weight, atol=1e-6, rtol=0)
    torch.testing.assert_close(average.model.mean.double(), mean, atol=1e-6, rtol=0)
    assert int(average.model.count) == 40


def test_no_decay_copies():
    model = Small()
    average = WeightAverage(model, decay=0)
    with torch.no_grad():
        model.weight.fill_(0.3)
    average.update(model)
    assert torch.equal(average.model.weight, model.weight)


def test_average_is_a_copy_in_eval_mode_without_gradients():
    model = Small().train()
    average = WeightAverage(model, decay=0.9)
    with torch.no_grad():
        model.weight.fill_(1)
    assert average.model.weight.tolist() == [0, 0, 0]
    assert not average.model.training
    assert not average.model.weight.requires_grad
    assert model.training
    assert model.weight.requires_grad


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match="decay"):
        WeightAverage(Small(), decay=decay)
