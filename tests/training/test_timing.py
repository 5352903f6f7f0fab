"""Runs by the clock. Oracles: a clock that the test moves, and the run without a limit."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from rich.console import Console

from escsr.recipe import check
from escsr.training import cosine, train
from escsr.training import run as run_module
from escsr.training.timing import Deadline, Length
from tests.training.test_trainer import RECIPE, Script, assert_equal, last_state, log

QUIET = Console(quiet=True)


class Clock:
    """Time that passes when it is told to, or with every look at it."""

    def __init__(self, each: float = 0.0) -> None:
        self.now, self.each = 100.0, each

    def __call__(self) -> float:
        self.now += self.each
        return self.now


def test_deadline_foresees_what_took_long_before(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("escsr.training.timing.time.monotonic", clock)
    deadline = Deadline(100)
    for what, seconds in (("step", 1), ("validation", 30), ("save", 3), ("step", 2)):
        with deadline.measured(what):
            clock.now += seconds
    assert clock.now == 136
    clock.now = 160  # 40 left: a validation, a step and saving take 35, and 1.5 come after
    assert not deadline.forbids("step", "validation")
    clock.now = 165
    assert deadline.forbids("step", "validation")
    assert not deadline.forbids("step")
    clock.now = 194
    assert deadline.forbids("step")
    assert not Deadline(None).forbids("step")


def test_run_that_ran_out_of_time_goes_on_exactly(tmp_path, monkeypatch):
    train(RECIPE, out=tmp_path / "whole", console=QUIET)
    asked = []

    def forbids(self, *what):
        asked.append(what)
        return len(asked) == 6

    script = partial(Script, figures=(0.0,))
    recipe = replace(RECIPE, validate_every=2, validation=script)
    monkeypatch.setattr(Deadline, "forbids", forbids)
    summary = train(recipe, out=tmp_path / "run", minutes=9, console=QUIET)
    assert (summary.steps, summary.finished, summary.signal) == (5, False, None)
    assert asked == [("step",), ("step", "validation")] * 3
    summary = train(recipe, out=tmp_path / "run", resume=True, console=QUIET)
    assert summary.finished
    assert_equal(last_state(tmp_path / "run")["engine"], last_state(tmp_path / "whole")["engine"])
    losses = [record for record in log(tmp_path / "run") if "loss" in record]
    assert losses == log(tmp_path / "whole")


def test_length_in_minutes():
    length = Length(steps=100, minutes=2)
    assert [length.place(7), length.is_over(10**6)] == [0, False]
    length.seconds = 90
    assert [length.place(7), length.left(7, pace=5.0), length.counted(7)] == [75, 30, "7 (75%)"]
    length.seconds = 121
    assert [length.place(7), length.is_over(1)] == [99, True]


def test_schedule_goes_by_the_time_where_minutes_are_given(tmp_path, monkeypatch):
    """Each step looks at the clock three times: it seems to take two seconds."""
    seen = []

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            seen.append(self.param_groups[0]["lr"])
            return super().step(closure)

    def timed(out, **options):
        clock = Clock(each=1.0)
        with monkeypatch.context() as patch:
            patch.setattr(run_module.time, "perf_counter", clock)
            return train(recipe, out=out, console=QUIET, **options)

    recipe = replace(
        RECIPE,
        optimizer=partial(Watched, lr=1e-3),
        schedule=partial(cosine),
        steps=1000,
        minutes=14 / 60,
    )
    summary = timed(tmp_path / "whole")
    assert (summary.steps, summary.finished) == (7, True)
    places = [int(second / 14 * 1000) for second in range(0, 14, 2)]
    assert seen == pytest.approx([1e-3 * cosine(place, steps=1000) for place in places])
    assert [record["step"] for record in log(tmp_path / "whole")] == [4, 7]
    calls = iter([False] * 3 + [True])
    monkeypatch.setattr(Deadline, "forbids", lambda self, *what: next(calls, False))
    assert not timed(tmp_path / "run").finished
    assert timed(tmp_path / "run", resume=True).finished
    assert_equal(last_state(tmp_path / "run")["engine"], last_state(tmp_path / "whole")["engine"])
    assert check(replace(recipe, minutes=0.0)) == ["minutes: must be above 0, got 0.0"]
    with pytest.raises(ValueError, match="minutes must be above 0"):
        train(recipe, out=tmp_path / "other", minutes=0, console=QUIET)
