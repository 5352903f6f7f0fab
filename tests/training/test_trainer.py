"""The training loop. Oracles: the uninterrupted run, and a loop written out by hand."""

import io
import json
import math
import os
import random
import resource
import shutil
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console

import escsr
from escsr.data import FolderDataset
from escsr.recipe import Recipe, RecipeError, check
from escsr.training import (
    L1,
    CropValidation,
    TrainingError,
    WeightAverage,
    cosine,
    run_folder,
    train,
)
from escsr.training.state import checkpoints, load_state

PHOTOS = Path(__file__).parents[1] / "data"
QUIET = Console(quiet=True)
TINY = {"num_blocks": 1, "conv_blocks": 1}

RECIPE = Recipe(
    name="test",
    model=partial(escsr.build, "esc_tiny", scale=2, backbone_args=TINY),
    data=partial(FolderDataset, roots=(PHOTOS,), scale=2, patch=8),
    loss=partial(L1),
    optimizer=partial(torch.optim.AdamW, lr=1e-3, betas=(0.9, 0.9), weight_decay=0.0),
    schedule=partial(cosine, warmup=2),
    steps=9,
    batch=2,
    ema=0.9,
    log_every=4,
    save_every=3,
)


class Script:
    """A validation that does something once, at its n-th call, and returns scripted figures."""

    calls = 0
    done: ClassVar[list] = []

    def __init__(self, *, at=None, action=None, figures=(1.0,)):
        self.at, self.action, self.values = at, action, figures
        Script.calls = 0

    def __call__(self, model):
        assert not model.training
        Script.calls += 1
        if Script.calls == self.at and self.action not in Script.done:
            Script.done.append(self.action)
            self.action(model)
        return {"psnr_y": self.values[min(Script.calls, len(self.values)) - 1]}


class Noisy(L1):
    """An L1 that draws from the global generators of torch, NumPy and Python."""

    def forward(self, sr, gt):
        noise = np.random.rand() * random.random() * torch.rand_like(gt)
        return super().forward(sr, gt + noise)


class NotFinite(L1):
    """An L1 whose value, or gradient, is not finite at some of its calls."""

    def __init__(self, *, calls, where="loss"):
        super().__init__()
        self.calls, self.where, self.count = calls, where, 0

    def forward(self, sr, gt):
        bad = self.count in self.calls
        self.count += 1
        if bad and self.where == "loss":
            return super().forward(sr, gt) * math.nan
        if bad:  # the root of zero has an infinite slope
            return super().forward(sr, gt) + (sr * 0).abs().sum().sqrt()
        return super().forward(sr, gt)


def last_state(out):
    return load_state(checkpoints(out / "checkpoints")[-1])


def log(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def events(out, kind):
    records = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    return [record for record in records if record["event"] == kind]


def assert_equal(a, b, where="state"):
    """Compare nested containers bit for bit."""
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype, where
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_equal(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_equal(x, y, f"{where}[{index}]")
    else:
        assert a == b, where


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """The recipe's run, never interrupted."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    return out, train(RECIPE, out=out, console=QUIET)


def test_step_is_the_one_written_out_by_hand(whole_run):
    out, _ = whole_run
    torch.manual_seed(RECIPE.seed)
    model = escsr.build("esc_tiny", scale=2, backbone_args=TINY).train()
    dataset = FolderDataset(roots=(PHOTOS,), scale=2, patch=8, seed=RECIPE.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.9), weight_decay=0)
    average = {name: value.clone() for name, value in model.state_dict().items()}
    losses = []
    for step in range(9):
        pairs = [dataset[2 * step], dataset[2 * step + 1]]
        lq, gt = (torch.stack([pair[key] for pair in pairs]) for key in ("lq", "gt"))
        optimizer.param_groups[0]["lr"] = 1e-3 * cosine(step, steps=9, warmup=2)
        optimizer.zero_grad()
        loss = (model(lq) - gt).abs().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        decay = min(0.9, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            average[name] += (1 - decay) * (value - average[name])
    state = last_state(out)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(state["engine"]["model"][name], value, atol=1e-6, rtol=0)
        got = state["engine"]["average"]["model"][name]
        torch.testing.assert_close(got, average[name], atol=1e-6, rtol=0)
    assert [record["step"] for record in log(out)] == [4, 8, 9]
    means = [sum(losses[:4]) / 4, sum(losses[4:8]) / 4, losses[8]]
    assert [record["loss"] for record in log(out)] == pytest.approx(means, rel=1e-4)


def test_result_is_the_average_and_opens_as_a_trained_network(whole_run):
    out, summary = whole_run
    model = escsr.load(summary.weights)
    state = last_state(out)
    assert_equal(dict(model.state_dict()), dict(state["engine"]["average"]["model"]))
    assert model.trained
    assert not model.training
    assert model.facts["recipe"] == "test"
    assert model.facts["steps"] == 9
    assert (summary.steps, summary.finished, summary.signal) == (9, True, None)


def test_folder_holds_recipe_versions_and_the_last_checkpoints(whole_run):
    out, _ = whole_run
    assert json.loads((out / "recipe.json").read_text())["optimizer"]["lr"] == 1e-3
    assert json.loads((out / "environment.json").read_text())["packages"]["torch"]
    names = [path.name for path in checkpoints(out / "checkpoints")]
    assert names == [f"step_{step:09d}.pt" for step in (3, 6, 9)]
    assert not list(out.rglob("*.tmp"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("at", [1, 4, 7])
def test_stopped_and_resumed_run_equals_the_uninterrupted_one(tmp_path, whole_run, at, number):
    def stop(model):
        os.kill(os.getpid(), number)

    first = replace(
        RECIPE, validate_every=1, validation=partial(Script, at=at, action=stop, figures=(0.0,))
    )
    out = tmp_path / "run"
    summary = train(first, out=out, console=QUIET)
    assert (summary.steps, summary.finished, summary.signal) == (at, False, number)
    assert escsr.load(summary.weights).facts["steps"] == at
    assert last_state(out)["step"] == at  # saved there, not only at the regular steps

    summary = train(first, out=out, resume=True, console=QUIET)
    assert summary.finished
    whole = last_state(whole_run[0])["engine"]
    assert_equal(last_state(out)["engine"], whole)
    losses = [record for record in log(out) if "loss" in record]
    assert losses == log(whole_run[0])


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_parts_that_draw_from_global_generators_are_resumed_too(tmp_path, workers):
    def stop(model):
        os.kill(os.getpid(), signal.SIGTERM)

    recipe = replace(RECIPE, loss=partial(Noisy), validate_every=5, workers=workers)
    whole = replace(recipe, validation=partial(Script))
    train(whole, out=tmp_path / "whole", console=QUIET)
    stopped = replace(recipe, validation=partial(Script, at=1, action=stop))
    assert train(stopped, out=tmp_path / "run", console=QUIET).steps == 5
    train(stopped, out=tmp_path / "run", resume=True, console=QUIET)
    assert_equal(last_state(tmp_path / "run")["engine"], last_state(tmp_path / "whole")["engine"])


def test_crashed_run_is_saved_and_goes_on_from_there(tmp_path, whole_run):
    def crash(model):
        raise MemoryError("no more")

    recipe = replace(RECIPE, validate_every=1, validation=partial(Script, at=5, action=crash))
    out = tmp_path / "run"
    with pytest.raises(MemoryError):
        train(recipe, out=out, console=QUIET)
    assert [path.name for path in checkpoints(out / "checkpoints")][-1] == "step_000000005.pt"
    assert escsr.load(out / "model.safetensors").facts["steps"] == 5
    with (out / "log.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')  # a line cut off by a kill
    summary = train(recipe, out=out, resume=True, console=QUIET)
    assert summary.finished
    assert_equal(last_state(out)["engine"], last_state(whole_run[0])["engine"])
    assert [record for record in log(out) if "loss" in record] == log(whole_run[0])


class Broken(FolderDataset):
    """Photos of which one vanishes in the middle of a run."""

    def __getitem__(self, index):
        if index == 9:
            raise ValueError("a photo has vanished")
        return super().__getitem__(index)


def test_error_of_the_data_loses_no_step(tmp_path, whole_run):
    broken = replace(RECIPE, data=partial(Broken, **RECIPE.data.keywords))
    with pytest.raises(ValueError, match="vanished"):
        train(broken, out=tmp_path, console=QUIET)
    assert last_state(tmp_path)["step"] == 4
    train(RECIPE, out=tmp_path, resume=True, changing=["data"], console=QUIET)
    assert_equal(last_state(tmp_path)["engine"], last_state(whole_run[0])["engine"])


def test_weights_that_are_half_changed_are_not_saved(tmp_path, monkeypatch, whole_run):
    def interrupt(self, model):
        if self.updates == 4:
            raise KeyboardInterrupt
        return update(self, model)

    update = WeightAverage.update
    monkeypatch.setattr(WeightAverage, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(RECIPE, out=tmp_path, console=QUIET)
    assert last_state(tmp_path)["step"] == 3
    monkeypatch.undo()
    train(RECIPE, out=tmp_path, resume=True, console=QUIET)
    assert_equal(last_state(tmp_path)["engine"], last_state(whole_run[0])["engine"])


def test_second_run_in_a_folder_is_refused_while_the_first_goes_on(tmp_path):
    seen = []

    def begin_another(model):
        for resume in (False, True):
            with pytest.raises(
                FileExistsError, match=f"goes on in.*process {os.getpid()}"
            ) as error:
                train(replace(RECIPE, seed=1), out=tmp_path, resume=resume, console=QUIET)
            seen.append(error)

    recipe = replace(
        RECIPE, validate_every=9, validation=partial(Script, at=1, action=begin_another)
    )
    assert train(recipe, out=tmp_path, console=QUIET).finished
    assert len(seen) == 2
    assert len(events(tmp_path, "begun")) == 1
    assert not (tmp_path / ".lock").exists()


def test_run_that_ended_before_its_first_checkpoint_begins_again(tmp_path, whole_run):
    out = tmp_path / "run"
    folder = run_folder.RunFolder(out)  # as a kill leaves it
    folder.begin({}, None)
    folder.log({"step": 4, "loss": 1.0})
    train(RECIPE, out=out, resume=True, console=QUIET)
    assert_equal(last_state(out)["engine"], last_state(whole_run[0])["engine"])
    assert log(out) == log(whole_run[0])


def test_finished_run_resumed_changes_nothing(tmp_path):
    recipe = replace(RECIPE, steps=3)
    out = tmp_path / "run"
    train(recipe, out=out, console=QUIET)
    before = last_state(out)
    summary = train(recipe, out=out, resume=True, console=QUIET)
    assert summary.finished
    assert_equal(last_state(out), before)


def test_existing_run_is_not_overwritten(whole_run):
    out, _ = whole_run
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(FileExistsError, match="--resume"):
        train(RECIPE, out=out, console=QUIET)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_changed_recipe_is_refused_on_resume_and_every_change_named(whole_run):
    out, _ = whole_run
    changed = replace(
        RECIPE, batch=3, optimizer=partial(RECIPE.optimizer, lr=2e-3), log_every=1, seed=1
    )
    with pytest.raises(ValueError, match="changed") as caught:
        train(changed, out=out, resume=True, console=QUIET)
    for part in ("batch: was 2, is 3", "optimizer.lr: was 0.001, is 0.002", "seed: was 0, is 1"):
        assert part in str(caught.value)
    assert "log_every" not in str(caught.value)


def stopped_at(out, step, recipe=RECIPE):
    """Begin a run that is stopped after a step; return its recipe."""
    stop = partial(os.kill, os.getpid())
    recipe = replace(
        recipe,
        validate_every=step,
        validation=partial(Script, at=1, action=lambda model: stop(signal.SIGTERM)),
    )
    assert train(recipe, out=out, console=QUIET).steps == step
    return recipe


def test_harmless_change_is_allowed_on_resume_and_noted(tmp_path):
    recipe = stopped_at(tmp_path, 2)
    train(replace(recipe, log_every=1), out=tmp_path, resume=True, console=QUIET)
    (event,) = events(tmp_path, "resumed")
    assert (event["step"], event["changed"]) == (2, {"log_every": [4, 1]})


@pytest.mark.parametrize("named", ["optimizer", "optimizer.lr"])
def test_named_change_is_allowed_on_resume_noted_and_used(tmp_path, named):
    recipe = stopped_at(tmp_path, 2)
    changed = replace(recipe, steps=4, optimizer=partial(recipe.optimizer, lr=5e-3))
    with pytest.raises(ValueError, match=r"(?s)--change.*steps: was 9, is 4") as caught:
        train(changed, out=tmp_path, resume=True, changing=["loss", named], console=QUIET)
    assert "optimizer" not in str(caught.value)
    train(changed, out=tmp_path, resume=True, changing=["steps", named], console=QUIET)
    (event,) = events(tmp_path, "resumed")
    assert event["changed"] == {"optimizer.lr": [1e-3, 5e-3], "steps": [9, 4]}
    rate = 5e-3 * cosine(3, steps=4, warmup=2)
    assert last_state(tmp_path)["engine"]["optimizer"]["param_groups"][0]["lr"] == rate
    assert json.loads((tmp_path / "recipe.json").read_text())["optimizer"]["lr"] == 5e-3


def test_name_of_a_key_does_not_stand_for_longer_names(tmp_path):
    recipe = stopped_at(tmp_path, 2)
    changed = replace(recipe, save_every=4, start_from_head="fresh")
    with pytest.raises(ValueError, match="start_from_head"):
        train(changed, out=tmp_path, resume=True, changing=["start_from"], console=QUIET)


def test_settings_of_the_optimiser_are_those_of_the_changed_recipe(tmp_path):
    recipe = stopped_at(tmp_path, 2)
    changed = replace(recipe, optimizer=partial(recipe.optimizer, betas=(0.8, 0.7)))
    train(changed, out=tmp_path, resume=True, changing=["optimizer"], console=QUIET)
    group = last_state(tmp_path)["engine"]["optimizer"]["param_groups"][0]
    assert tuple(group["betas"]) == (0.8, 0.7)


def test_setting_that_an_older_version_did_not_have_is_no_change(tmp_path, monkeypatch):
    recipe = stopped_at(tmp_path, 2)
    load = run_folder.load_state

    def older(path):
        state = load(path)
        description = json.loads(state["recipe"])
        del description["accumulate"]
        return state | {"recipe": json.dumps(description)}

    monkeypatch.setattr(run_folder, "load_state", older)
    with pytest.raises(ValueError, match="accumulate: was 1, is 2"):
        train(replace(recipe, accumulate=2), out=tmp_path, resume=True, console=QUIET)
    assert train(recipe, out=tmp_path, resume=True, console=QUIET).finished


def test_weights_that_a_run_once_started_from_are_not_needed_any_more(tmp_path, whole_run):
    start = tmp_path / "start.safetensors"
    shutil.copyfile(whole_run[1].weights, start)
    recipe = stopped_at(tmp_path / "run", 2, replace(RECIPE, start_from=str(start)))
    start.unlink()
    with pytest.raises(RecipeError, match="start_from"):
        train(recipe, out=tmp_path / "other", console=QUIET)
    assert train(recipe, out=tmp_path / "run", resume=True, console=QUIET).finished


def test_full_disk_ends_the_run_and_the_checkpoint_before_resumes(tmp_path, whole_run):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(model):
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))

    recipe = replace(RECIPE, validate_every=5, validation=partial(Script, at=1, action=fill))
    try:
        with pytest.raises(OSError, match="cannot write the checkpoint"):
            train(recipe, out=tmp_path, console=QUIET)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_000000003.pt"]
    assert train(recipe, out=tmp_path, resume=True, console=QUIET).finished
    assert_equal(last_state(tmp_path)["engine"], last_state(whole_run[0])["engine"])


@pytest.mark.parametrize("pieces", [2, 4])
def test_batch_in_pieces_takes_the_steps_of_the_whole_batch(tmp_path, pieces):
    recipe = replace(RECIPE, batch=4, steps=20, save_every=20)
    train(recipe, out=tmp_path / "whole", console=QUIET)
    train(replace(recipe, accumulate=pieces), out=tmp_path / "pieces", console=QUIET)
    whole, parts = (last_state(tmp_path / n)["engine"]["model"] for n in ("whole", "pieces"))
    for name, value in whole.items():
        assert torch.allclose(value, parts[name], rtol=0, atol=1e-6), name
    for a, b in zip(log(tmp_path / "whole"), log(tmp_path / "pieces"), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)


def test_last_bad_batch_is_kept(tmp_path):
    recipe = replace(
        RECIPE, loss=partial(NotFinite, calls=range(2, 99)), max_bad_steps=3, accumulate=2
    )
    with pytest.raises(TrainingError, match="bad_batch_3_process_0"):
        train(recipe, out=tmp_path, console=QUIET)
    kept = torch.load(tmp_path / "bad_batch_3_process_0.pt", weights_only=True)
    dataset = FolderDataset(roots=(PHOTOS,), scale=2, patch=8, seed=RECIPE.seed)
    assert kept["step"] == 3
    for index, piece in enumerate(kept["pieces"]):  # one sample each
        assert_equal({k: v[0] for k, v in piece.items()}, dataset[3 * RECIPE.batch + index])


def test_terms_of_a_loss_are_logged_and_their_sum_is_trained_on(tmp_path, whole_run):
    class Terms(L1):
        def forward(self, sr, gt):
            loss = super().forward(sr, gt)
            return {"pixel": loss * 0.75, "rest": loss * 0.25}

    train(replace(RECIPE, loss=partial(Terms)), out=tmp_path, console=QUIET)
    for record, plain in zip(log(tmp_path), log(whole_run[0]), strict=True):
        assert record["loss"] == pytest.approx(plain["loss"], rel=1e-4)
        assert record["pixel"] + record["rest"] == pytest.approx(record["loss"], rel=1e-6)


def test_tensorboard_gets_curves_and_pictures(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    recipe = replace(
        RECIPE,
        steps=4,
        log_every=2,
        validation=partial(CropValidation, roots=(PHOTOS,), scale=2, crop=32, count=1),
        data=partial(RECIPE.data, roots=(PHOTOS.parents[1] / "examples",)),
    )
    train(recipe, out=tmp_path, console=QUIET)
    board = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    records = log(tmp_path)
    losses = [(record["step"], record["loss"]) for record in records if "loss" in record]
    found = [(event.step, event.value) for event in board.Scalars("train/loss")]
    assert found == [(step, pytest.approx(loss, rel=1e-6)) for step, loss in losses]
    (figure,) = board.Scalars("validation/psnr_y")
    assert figure.value == pytest.approx(records[-1]["validation"]["psnr_y"], rel=1e-6)
    (picture,) = (tag for tag in board.Tags()["images"])
    panel = cv2.imdecode(
        np.frombuffer(board.Images(picture)[0].encoded_image_string, np.uint8), cv2.IMREAD_COLOR
    )
    assert panel.shape == (32, 4 * 32 + 3 * 2, 3)  # four squares with lines of two between
    gt = recipe.validation()
    gt(escsr.load("esc_tiny_x2").eval())
    assert (panel[:, -32:, ::-1] == gt._pairs[0][1]).all()


def test_resumed_curve_has_no_point_twice(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    stopped = replace(RECIPE, log_every=1)
    recipe = stopped_at(tmp_path, 2, stopped)
    train(recipe, out=tmp_path, resume=True, console=QUIET)
    board = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [event.step for event in board.Scalars("train/loss")] == list(range(1, 10))


def test_best_validation_is_kept(tmp_path):
    figures = (30.0, 33.0, 32.0, math.nan, 31.0)
    seen = []

    class Keep(Script):
        def __call__(self, model):
            seen.append({name: value.clone() for name, value in model.state_dict().items()})
            return super().__call__(model)

    recipe = replace(RECIPE, validate_every=2, validation=partial(Keep, figures=figures))
    summary = train(recipe, out=tmp_path / "run", console=QUIET)
    assert Script.calls == 5  # after steps 2, 4, 6, 8 and at the end
    assert (summary.best, summary.best_step) == (33.0, 4)
    assert summary.metrics == {"psnr_y": 31.0}
    best = escsr.load(tmp_path / "run" / "best.safetensors")
    assert best.facts["steps"] == 4
    assert_equal(dict(best.state_dict()), seen[1])
    assert load_state(tmp_path / "run" / "checkpoints" / "best.pt")["step"] == 4
    validated = [record["step"] for record in log(tmp_path / "run") if "validation" in record]
    assert validated == [2, 4, 6, 8, 9]


def test_lowest_value_is_best_where_the_validation_says_so(tmp_path):
    class Lower(Script):
        lower_is_better = ("psnr_y",)

    script = partial(Lower, figures=(0.4, 0.2, 0.3))
    recipe = replace(RECIPE, validate_every=3, validation=script)
    summary = train(recipe, out=tmp_path / "run", console=QUIET)
    assert (summary.best, summary.best_step) == (0.2, 6)


WANDB = """
import json
calls = []
def note(*what): calls.append(what)
class Run:
    def log(self, values, step=None, **more): note("log", step, dict(values))
    def finish(self): note("finish")
class config:
    @staticmethod
    def update(values, **more): note("config", dict(values))
def init(project, **more):
    note("init", project)
    return Run()
"""


def test_trackers_get_the_figures(tmp_path, monkeypatch):
    """Oracle: the log, against what a stand-in for Weights & Biases was told."""
    tracking = pytest.importorskip("accelerate.tracking")
    (tmp_path / "wandb.py").write_text(WANDB)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    wrong = check(replace(RECIPE, trackers=("wandbb", "tensorboard", "wandb")))
    assert "'wandbb' is unknown to accelerate; it knows:" in wrong[0]
    assert "tensorboard=true" in wrong[1]
    monkeypatch.setattr(tracking, "_available_trackers", [tracking.LoggerType.WANDB])
    recipe = replace(RECIPE, trackers=("wandb",), validate_every=9, validation=partial(Script))
    train(recipe, out=tmp_path / "run", console=QUIET)
    calls = sys.modules.pop("wandb").calls
    assert [call[0] for call in calls] == ["init", "config", *["log"] * 4, "finish"]
    assert calls[0][1] == "test"
    assert calls[1][1]["optimizer.lr"] == 1e-3
    sent = {step: values for _, step, values in calls[2:5]}
    for record in log(tmp_path / "run")[:3]:
        assert sent[record["step"]]["train/loss"] == record["loss"]
    assert calls[5] == ("log", 9, {"validation/psnr_y": 1.0})


def test_opening_says_what_is_trained_and_where(tmp_path):
    console = Console(file=io.StringIO(), width=200)
    train(replace(RECIPE, steps=1, device="cpu"), out=tmp_path, console=console)
    first = console.file.getvalue().splitlines()[0]
    parameters = sum(p.numel() for p in RECIPE.model().parameters())
    wanted = f"esc_tiny + pixel_shuffle, ×2, {parameters:,} parameters; 1 photo; cpu, fp32"
    assert first == wanted


def test_unknown_best_figure_is_refused(tmp_path):
    recipe = replace(RECIPE, validate_every=1, validation=partial(Script), best="lpips")
    with pytest.raises(ValueError, match="psnr_y"):
        train(recipe, out=tmp_path / "run", console=QUIET)


@pytest.mark.parametrize("where", ["loss", "gradient"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_step_that_is_not_finite_is_skipped_and_counted(tmp_path, where, precision):
    recipe = replace(
        RECIPE,
        steps=6,
        log_every=1,
        precision=precision,
        loss=partial(NotFinite, calls=(2, 3), where=where),
        ema=0,
    )
    summary = train(recipe, out=tmp_path / "run", console=QUIET)
    records = log(tmp_path / "run")
    assert [record["skipped"] for record in records] == [0, 0, 1, 2, 2, 2]
    assert [record["loss"] is None for record in records] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]
    assert summary.skipped == 2
    assert all(bool(value.isfinite().all()) for value in escsr.load(summary.weights).parameters())


def test_skipped_step_leaves_weights_and_optimiser_alone(tmp_path):
    bad = partial(NotFinite, calls=range(3, 9))
    recipe = replace(RECIPE, loss=bad, max_bad_steps=7)
    train(recipe, out=tmp_path / "bad", console=QUIET)
    after_three, after_nine = (
        load_state(path)["engine"] for path in checkpoints(tmp_path / "bad" / "checkpoints")[::2]
    )
    for key in ("model", "average"):
        assert_equal(after_nine[key], after_three[key])
    assert_equal(after_nine["optimizer"]["state"], after_three["optimizer"]["state"])


def test_run_without_finite_steps_stops_with_a_clear_error(tmp_path):
    recipe = replace(RECIPE, loss=partial(NotFinite, calls=range(3, 99)), max_bad_steps=3)
    with pytest.raises(TrainingError, match="3 steps in a row") as caught:
        train(recipe, out=tmp_path / "run", console=QUIET)
    assert "learning rate" in str(caught.value)
    found = [load_state(path)["step"] for path in checkpoints(tmp_path / "run" / "checkpoints")]
    assert found == [3, 5]  # the last good one stays, and what led to the end can be looked at


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_gradient_is_clipped_at_its_true_size_in_every_precision(tmp_path, precision):
    # oracle: under plain gradient descent one step moves the weights by lr x clip at most,
    # and by just that if the gradient is larger; a norm of scaled gradients would move less
    recipe = replace(
        RECIPE,
        steps=1,
        precision=precision,
        optimizer=partial(torch.optim.SGD, lr=0.1),
        schedule=partial(cosine),
        grad_clip=0.01,
        ema=0,
    )
    summary = train(recipe, out=tmp_path / "run", console=QUIET)
    torch.manual_seed(recipe.seed)
    before = recipe.model().state_dict()
    after = escsr.load(summary.weights).state_dict()
    moved = math.sqrt(sum(float(((after[n] - before[n]).double() ** 2).sum()) for n in before))
    (record,) = log(tmp_path / "run")
    assert 0.05 < record["grad_norm"] < 50  # larger than the limit, and not scaled by 65536
    assert moved == pytest.approx(0.1 * 0.01, rel=1e-2)


def test_run_starts_from_other_weights(tmp_path, whole_run):
    weights = whole_run[1].weights
    frozen = partial(torch.optim.SGD, lr=0.0)
    base = replace(RECIPE, steps=1, schedule=partial(cosine), optimizer=frozen)
    same = train(replace(base, start_from=str(weights)), out=tmp_path / "same", console=QUIET)
    before = escsr.load(weights).state_dict()
    assert_equal(dict(escsr.load(same.weights).state_dict()), dict(before))

    x3 = replace(
        base,
        model=partial(base.model, scale=3),
        data=partial(base.data, scale=3),
        start_from=str(weights),
    )
    with pytest.raises(RecipeError, match="start_from"):
        train(x3, out=tmp_path / "refused", console=QUIET)
    assert not (tmp_path / "refused").exists()
    fresh = train(replace(x3, start_from_head="fresh"), out=tmp_path / "fresh", console=QUIET)
    after = escsr.load(fresh.weights).state_dict()
    torch.manual_seed(base.seed)
    drawn = x3.model().state_dict()
    for name in after:
        expected = before[name] if name.startswith("backbone.") else drawn[name]
        assert torch.equal(after[name], expected), name


def test_run_starts_from_a_network_of_half_its_width(tmp_path, whole_run):
    weights = whole_run[1].weights
    wide = replace(
        RECIPE,
        model=partial(escsr.build, "esc_small", scale=2, backbone_args=TINY),
        steps=1,
        schedule=partial(cosine),
        optimizer=partial(torch.optim.SGD, lr=0.0),
        start_from=str(weights),
    )
    with pytest.raises(RecipeError, match="start_from"):
        train(wide, out=tmp_path / "refused", console=QUIET)
    doubled = replace(wide, start_from_width="doubled")
    summary = train(doubled, out=tmp_path / "wide", console=QUIET)
    lq = torch.rand(1, 3, 12, 14)
    with torch.inference_mode():
        expected, got = (escsr.load(path)(lq) for path in (weights, summary.weights))
    assert (expected - got).abs().max() < 1e-4


def test_callers_generators_are_left_alone(tmp_path):
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    expected = [torch.rand(1).item(), np.random.rand(), random.random()]
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    train(replace(RECIPE, steps=3), out=tmp_path / "run", console=QUIET)
    assert [torch.rand(1).item(), np.random.rand(), random.random()] == expected


def test_signal_handlers_are_given_back(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train(replace(RECIPE, steps=3), out=tmp_path / "run", console=QUIET)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_wrong_recipe_writes_nothing(tmp_path):
    with pytest.raises(RecipeError, match="steps"):
        train(replace(RECIPE, steps=0), out=tmp_path / "run", console=QUIET)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_is_plain_lines_in_a_file_and_a_bar_on_a_terminal(tmp_path, terminal):
    path = tmp_path / "output.txt"
    with path.open("w") as file:
        console = Console(file=file, force_terminal=terminal, width=120, highlight=False)
        recipe = replace(RECIPE, validate_every=4, validation=partial(Script))
        train(recipe, out=tmp_path / "run", console=console)
    text = path.read_text()
    assert "validation: psnr_y 1.000  (best so far)" in text
    if terminal:
        assert "\x1b[" in text
        assert "9/9" in text
    else:
        assert "\x1b" not in text
        lines = [line for line in text.splitlines() if "images/s" in line]
        assert [line.split()[1] for line in lines] == ["4/9", "8/9", "9/9"]
        for part in ("loss 0.", "lr ", "data wait ", "left "):
            assert part in lines[0]
