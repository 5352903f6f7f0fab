"""The command and the script. Oracles: exit codes, the files written, and `escsr.load`."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from typer import Typer
from typer.testing import CliRunner

import escsr
from escsr.cli.train import train
from escsr.data import BatchLoader, Share
from escsr.training.state import checkpoints, load_state

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "recipes" / "smoke.py"

app = Typer()
app.command()(train)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def start(*arguments):
    command = [sys.executable, ROOT / "tools" / "train.py", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_smoke_recipe_trains(tmp_path):
    result = run(SMOKE, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    losses = [record["loss"] for record in records if "loss" in record]
    assert losses[-1] < 0.75 * losses[0]
    figures = [record["validation"]["psnr_y"] for record in records if "validation" in record]
    assert figures[-1] > figures[0]
    model = escsr.load(tmp_path / "run" / "model.safetensors")
    assert model.trained
    assert model(torch.rand(1, 3, 9, 7)).shape == (1, 3, 18, 14)
    assert (tmp_path / "run" / "recipe.py").read_bytes() == SMOKE.read_bytes()


def test_all_problems_are_printed_at_once_with_exit_code_2_and_nothing_written(tmp_path):
    result = run(
        SMOKE,
        "stepps=3",
        "batch=0",
        "optimizer.lr=-1",
        "data.roots=nowhere",
        "model.scale=4",
        "--out",
        tmp_path / "run",
    )
    assert result.exit_code == 2
    for part in ("steps", "batch: must be", "Invalid learning rate", "nowhere", "×4"):
        assert part in result.output
    assert not (tmp_path / "run").exists()


WRONG = {
    "optimizer.learning_rate=1e-3": ["optimizer.learning_rate", "did you mean", "lr"],
    "data.patchh=16": ["data.patchh", "patch"],
    "lr=1e-3": ["lr", "optimizer.lr"],
    "steps=many": ["steps", "many"],
    "batch=2.5": ["batch", "2.5"],
    "optimizer.betas=0.9": ["optimizer.betas", "0.9"],
    "model.scale=3": ["data.scale: is 2, but the model makes ×3"],
    "data.patch=5000": ["patch 5000 x scale 2", "smaller than"],
    "data.roots=no/such/folder": ["no/such/folder"],
    "validation.roots=no/such/folder": ["validation", "no/such/folder"],
    "loss.epsilon=1": ["loss.epsilon", "eps"],
    "schedule.gamma=2": ["gamma", "2"],
    "precision=fp8": ["precision", "fp8", "fp16"],
    "device=gpu": ["device", "gpu"],
    "ema=1": ["ema", "below 1"],
    "best=psnr": ["best", "psnr_y"],
    "accumulate=3": ["accumulate", "3", "4"],
    "start_from=no/such/file.pth": ["start_from", "no/such/file.pth"],
    "model.head=pixelshuffle": ["pixelshuffle", "pixel_shuffle"],
}


@pytest.mark.parametrize("override", WRONG)
def test_each_wrong_value_is_named_beside_another_one(tmp_path, override):
    result = run(SMOKE, override, "workers=-1", "--out", tmp_path / "run")
    assert result.exit_code == 2
    for part in [*WRONG[override], "workers: must be at least 0, got -1"]:
        assert part in result.output, result.output
    assert not (tmp_path / "run").exists()


def test_recipe_with_an_unknown_loss_is_told(tmp_path):
    recipe = tmp_path / "mine.py"
    recipe.write_text(SMOKE.read_text().replace("Charbonnier", "Charbonier"), encoding="utf-8")
    result = run(recipe, "--out", tmp_path / "run")
    assert result.exit_code != 0
    assert "Charbonier" in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_patches_that_do_not_fill_windows_are_noted(tmp_path):
    result = run(SMOKE, "data.patch=24", "--check")
    assert result.exit_code == 0
    assert "note: data.patch: 24 is reflected up to 32 for windows of 16" in result.output
    assert "note" not in run(SMOKE, "--check").output


def test_check_trains_nothing(tmp_path):
    result = run(SMOKE, "--check", "--out", tmp_path / "run")
    assert result.exit_code == 0
    assert "is fine" in result.output
    assert not (tmp_path / "run").exists()
    assert run(SMOKE, "--check", "steps=0").exit_code == 2


def test_photo_cut_short_is_found_by_check(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    whole = (ROOT / "tests" / "data" / "photo.png").read_bytes()
    (photos / "whole.png").write_bytes(whole)
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])
    found = run(SMOKE, f"*.roots={photos}", "validation.include=w*", "data.exclude=w*", "--check")
    assert found.exit_code == 2
    assert "1 of 1 files are damaged" in found.output
    assert "cut.png: a damaged or truncated picture" in found.output
    skipped = run(SMOKE, f"data.roots={photos}", "data.bad_files=skip", "--check")
    assert skipped.exit_code == 0
    assert "note: data: 1 damaged files will be skipped" in skipped.output


MODULES = {
    "base.py": """
        from dataclasses import replace
        from functools import partial
        from escsr.data import ArbitraryScaleDataset
        from escsr.recipe import load
        smoke = load("smoke")
        data = dict(smoke.data.keywords) | {"scales": (1, 2), "queries": 16}
        del data["scale"]
        recipe = replace(smoke, data=partial(ArbitraryScaleDataset, **data))
    """,
    "own_noise.py": """
        import numpy as np

        def noisy(small, rng):
            return np.clip(small + rng.normal(0, 4, small.shape), 0, 255).astype(np.uint8)
    """,
    "mine.py": """
        from dataclasses import replace
        from functools import partial
        from pathlib import Path
        import escsr
        from escsr.data import ArbitraryScaleDataset
        from escsr.recipe import load
        from escsr.resize import imresize
        import own_noise

        base = load(Path(__file__).with_name("base.py"))

        def grainy(gt, size, rng):
            return own_noise.noisy(imresize(gt, size=size), rng)

        recipe = replace(
            base, name="mine",
            model=partial(escsr.build, "esc_tiny", head="liif", backbone_args={"num_blocks": 1}),
            data=partial(base.data, lq_from=grainy),
        )
    """,
}


@pytest.fixture
def own_recipe(tmp_path, monkeypatch):
    """A recipe with a function of its own, a module beside it, and another recipe under it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = tmp_path / "own"
    folder.mkdir()
    for name, text in MODULES.items():
        (folder / name).write_text(textwrap.dedent(text))
    yield folder / "mine.py"
    sys.modules.pop("own_noise", None)


SHORT = ("validation=none", "steps=2", "batch=2", "schedule.milestones=1", "schedule.warmup=0")


def test_functions_of_recipes_are_sent_to_workers(own_recipe, tmp_path):
    for workers in (0, 2):
        done = run(own_recipe, *SHORT, f"workers={workers}", "--out", tmp_path / f"w{workers}")
        assert done.exit_code == 0, done.output
    assert_same_run(tmp_path / "w0", tmp_path / "w2")
    found = json.loads((tmp_path / "w2" / "recipe.json").read_text())
    assert found["data"]["lq_from"] == "mine.grainy"
    text = own_recipe.read_text()
    own_recipe.write_text(text.replace("lq_from=grainy", "lq_from=lambda *given: grainy(*given)"))
    refused = run(own_recipe, *SHORT, "workers=1", "--check")
    assert refused.exit_code == 2
    assert "workers: the data cannot be sent to worker processes" in refused.output


def test_time_that_is_over_is_told(tmp_path):
    late = run(SMOKE, "--minutes", "0.0001", "--out", tmp_path / "run")
    assert "the time was up before training began" in str(late.exception)
    assert run(SMOKE, "steps=2", "--minutes", "9999", "--out", tmp_path / "run").exit_code == 0


def test_run_folder_alone_is_enough_to_resume(own_recipe, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "moved" / "run"
    options = (*SHORT, "save_every=1", "log_every=1")
    assert run(own_recipe, *options, "steps=3", "--out", whole).exit_code == 0
    assert run(own_recipe, *options, "--out", tmp_path / "run").exit_code == 0
    (tmp_path / "moved").mkdir()
    (tmp_path / "run").rename(out)
    shutil.rmtree(own_recipe.parent)
    sys.modules.pop("own_noise", None)
    done = run("--resume", "--out", out, "steps=3", "--change", "steps")
    assert done.exit_code == 0, (done.output, done.exception)
    assert_same_run(whole, out)
    sys.modules.pop("own_noise", None)
    again = run("--resume", "--out", out)  # the changed value is kept, too
    assert again.exit_code == 0, (again.output, again.exception)
    assert "done" in again.output


def test_recipe_is_named_or_there_is_a_run_to_resume(tmp_path):
    nothing = run("steps=3", "--out", tmp_path)
    assert "name a recipe" in str(nothing.exception)
    unknown = run("clasic_tiny", "--check")
    assert "classic_tiny" in str(unknown.exception)
    empty = run("--resume", "--out", tmp_path)
    assert "contains no recipe" in str(empty.exception)
    assert run("smoke", "--check").exit_code == 0


def test_existing_run_is_refused_without_resume(tmp_path):
    arguments = (SMOKE, "steps=5", "schedule.milestones=4", "--out", tmp_path / "run")
    assert run(*arguments).exit_code == 0
    again = run(*arguments)
    assert again.exit_code != 0
    assert isinstance(again.exception, FileExistsError)
    assert run(*arguments, "--resume").exit_code == 0


OPTIONS = ("save_every=5", "validate_every=20", "steps=40", "schedule.milestones=30", "batch=6")


def finish(process):
    output, _ = process.communicate()
    assert process.returncode == 0, output


def assert_same_run(one, other):
    """Compare weights, averages, optimiser state and log of two runs bit for bit."""
    a, b = (load_state(checkpoints(out / "checkpoints")[-1]) for out in (one, other))
    assert a["step"] == b["step"]
    for part in ("engine", "window", "metrics", "best", "rng"):
        assert list(leaves(a[part])) == list(leaves(b[part])), part
    assert (one / "log.jsonl").read_bytes() == (other / "log.jsonl").read_bytes()


def leaves(value, path=""):
    """All values of nested containers with their places; tensors as bytes."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]")
    else:
        yield path, value.numpy().tobytes() if isinstance(value, torch.Tensor) else value


@pytest.fixture(scope="module", params=[1, 3])
def whole_run(request, tmp_path_factory):
    """A run in a process of its own, never interrupted, and its number of pieces."""
    out = tmp_path_factory.mktemp("whole")
    finish(start(SMOKE, *OPTIONS, f"accumulate={request.param}", "--out", out))
    return out, request.param


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "workers"), [(signal.SIGKILL, 0), (signal.SIGKILL, 2), (signal.SIGTERM, 0)]
)
def test_killed_script_resumed_equals_the_uninterrupted_one(tmp_path, whole_run, number, workers):
    whole, pieces = whole_run
    options = (*OPTIONS, f"accumulate={pieces}", f"workers={workers}", "--out", tmp_path / "run")
    killed = start(SMOKE, *options)
    deadline = time.monotonic() + 120
    while len(checkpoints(tmp_path / "run" / "checkpoints")) < 2:
        assert killed.poll() is None, killed.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(random.random() * 0.5)  # at any moment of a step, a log or a save
    killed.send_signal(number)
    output, _ = killed.communicate()
    assert killed.returncode == (-9 if number == signal.SIGKILL else 128 + 15), output
    assert checkpoints(tmp_path / "run" / "checkpoints")[-1].name < "step_000000040.pt"
    finish(start(SMOKE, *options, "--resume"))
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.slow
def test_processes_that_share_a_run_take_its_steps(tmp_path):
    pytest.importorskip("accelerate")
    options = ("steps=20", "schedule.milestones=15", "validate_every=10", "device=cpu")
    finish(start(SMOKE, *options, "--out", tmp_path / "one"))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    command += ["--standalone", str(ROOT / "tools" / "train.py"), str(SMOKE), *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for arguments in (
        ("accumulate=2", "--out", tmp_path / "two"),
        ("save_every=5", "steps=10", "--out", tmp_path / "half"),
        ("save_every=5", "--out", tmp_path / "half", "--resume", "--change", "steps"),
    ):
        done = subprocess.run(
            [*command, *map(str, arguments)], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    one, two, half = (
        load_state(checkpoints(tmp_path / name / "checkpoints")[-1])
        for name in ("one", "two", "half")
    )
    assert [len(state["rng"]) for state in (one, two, half)] == [1, 2, 2]
    for other in (two, half):
        assert other["step"] == one["step"] == 20
        for part in ("model", "average"):
            for (name, a), (_, b) in zip(
                tensors(one["engine"][part]), tensors(other["engine"][part]), strict=True
            ):
                assert torch.allclose(a, b, rtol=0, atol=1e-6), name
    records = [json.loads(line) for line in (tmp_path / "two" / "log.jsonl").open()]
    alone = [json.loads(line) for line in (tmp_path / "one" / "log.jsonl").open()]
    assert [record["step"] for record in records] == [record["step"] for record in alone]
    for a, b in zip(records, alone, strict=True):
        if "loss" in a:
            assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)


def tensors(value, path=""):
    """All tensors of nested dictionaries, with their places."""
    for key, item in value.items():
        if isinstance(item, dict):
            yield from tensors(item, f"{path}.{key}")
        elif isinstance(item, torch.Tensor) and item.is_floating_point():
            yield f"{path}.{key}", item


def test_batch_that_processes_cannot_share_is_refused():
    with pytest.raises(ValueError, match="multiple of 6"):
        BatchLoader([], batch=4, start=0, stop=1, share=Share(pieces=2, process=0, processes=3))


@pytest.mark.parametrize(("pieces", "processes"), [(1, 1), (3, 1), (1, 2), (2, 3)])
def test_shares_make_up_the_batch(pieces, processes):
    dataset = [{"n": torch.tensor(index)} for index in range(36)]
    seen = []
    for process in range(processes):
        share = Share(pieces=pieces, process=process, processes=processes)
        with BatchLoader(dataset, batch=12, start=1, stop=3, share=share) as loader:
            parts = [part["n"].tolist() for part in loader]
        assert {len(part) for part in parts} == {12 // pieces // processes}
        seen += [number for part in parts[:pieces] for number in part]
    assert sorted(seen) == list(range(12, 24))


@pytest.mark.slow
def test_compiled_run_takes_the_same_steps(tmp_path):
    # in processes of their own: PyTorch's compiler minds what else was imported before
    if shutil.which("g++") is None and shutil.which("clang++") is None:
        pytest.skip("torch.compile needs a C++ compiler on a CPU")
    options = ("steps=4", "log_every=2", "validate_every=1000", "batch=2")
    for name, compiled in (("plain", "false"), ("compiled", "true")):
        finish(start(SMOKE, *options, f"compile={compiled}", "--out", tmp_path / name))
    plain, compiled = (
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").open()]
        for name in ("plain", "compiled")
    )
    assert len(plain) == len(compiled)
    for a, b in zip(plain, compiled, strict=True):
        assert a["step"] == b["step"]
        if "loss" in a:
            assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
    names = [
        set(escsr.load(tmp_path / n / "model.safetensors").state_dict())
        for n in ("plain", "compiled")
    ]
    assert names[0] == names[1]


def test_checking_does_not_load_the_compiler():
    code = (
        "import sys, escsr.recipe as r; "
        f"assert r.check(r.load({str(SMOKE)!r})) == []; print('torch._dynamo' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
