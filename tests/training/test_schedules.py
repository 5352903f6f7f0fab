"""Schedules. Oracle: torch's own schedulers, and the definition during the warm-up."""

import pytest
import torch

from escsr.training import constant, cosine, multistep


def torch_rates(make, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("floor", [0.0, 0.1])
@pytest.mark.parametrize("warmup", [0, 7])
def test_cosine_is_that_of_torch_after_the_warmup(warmup, floor):
    steps = 40
    expected = torch_rates(
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, steps - warmup, eta_min=floor),
        steps - warmup,
    )
    got = [cosine(step, steps=steps, warmup=warmup, floor=floor) for step in range(steps)]
    assert got[warmup:] == pytest.approx(expected, abs=1e-9)
    assert got[:warmup] == pytest.approx([(k + 1) / 7 for k in range(warmup)])


def test_multistep_is_that_of_torch_after_the_warmup():
    expected = torch_rates(
        lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [10, 20, 25], gamma=0.5), 30
    )
    got = [multistep(step, steps=30, milestones=(10, 20, 25), warmup=5) for step in range(30)]
    assert got[5:] == pytest.approx(expected[5:])
    assert got[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_constant_rises_and_stays():
    got = [constant(step, steps=6, warmup=2) for step in range(6)]
    assert got == [0.5, 1, 1, 1, 1, 1]


def test_run_cut_short_keeps_the_beginning_of_its_schedule():
    long = [multistep(step, steps=50, milestones=(4, 30), warmup=2) for step in range(10)]
    assert [multistep(s, steps=10, milestones=(4, 30), warmup=2) for s in range(10)] == long
    assert [cosine(step, steps=3, warmup=5) for step in range(3)] == [0.2, 0.4, 0.6]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: cosine(0, steps=0), "steps"),
        (lambda: cosine(0, steps=5, warmup=-1), "warmup"),
        (lambda: cosine(0, steps=5, floor=2), "floor"),
        (lambda: multistep(0, steps=5, milestones=(3, 2)), "milestones"),
        (lambda: multistep(0, steps=5, milestones=(0,)), "milestones"),
        (lambda: multistep(0, steps=5, milestones=(3,), gamma=0), "gamma"),
        (lambda: constant(0, steps=5, warmup=-1), "warmup"),
    ],
)
def test_numbers_out_of_range_are_refused(call, named):
    with pytest.raises(ValueError, match=named):
        call()
