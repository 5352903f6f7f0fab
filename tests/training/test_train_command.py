"""The command and the script. Oracles: exit codes, the files written, and `escsr.load`."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from typer import Typer
from typer.testing import CliRunner

import escsr
from escsr.cli.train import train
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


def test_check_trains_nothing(tmp_path):
    result = run(SMOKE, "--check", "--out", tmp_path / "run")
    assert result.exit_code == 0
    assert "is fine" in result.output
    assert not (tmp_path / "run").exists()
    assert run(SMOKE, "--check", "steps=0").exit_code == 2


def test_existing_run_is_refused_without_resume(tmp_path):
    arguments = (SMOKE, "steps=5", "schedule.milestones=4", "--out", tmp_path / "run")
    assert run(*arguments).exit_code == 0
    again = run(*arguments)
    assert again.exit_code != 0
    assert isinstance(again.exception, FileExistsError)
    assert run(*arguments, "--resume").exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_script_resumed_equals_the_uninterrupted_one(tmp_path, number):
    options = ("save_every=5", "validate_every=1000", "steps=60", "schedule.milestones=40")
    whole = start(SMOKE, *options, "--out", tmp_path / "whole")
    killed = start(SMOKE, *options, "--out", tmp_path / "killed")
    deadline = time.monotonic() + 120
    while len(checkpoints(tmp_path / "killed" / "checkpoints")) < 3:
        assert killed.poll() is None, killed.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.send_signal(number)
    output, _ = killed.communicate()
    assert killed.returncode == (-9 if number == signal.SIGKILL else 128 + 15), output
    assert not (tmp_path / "killed" / "checkpoints" / "step_000000060.pt").exists()
    resumed = start(SMOKE, *options, "--out", tmp_path / "killed", "--resume")
    for process in (whole, resumed):
        output, _ = process.communicate()
        assert process.returncode == 0, output
    a, b = (
        load_state(tmp_path / name / "checkpoints" / "step_000000060.pt")["engine"]
        for name in ("whole", "killed")
    )
    for key in ("model", "optimizer", "average"):
        assert str(a[key]) == str(b[key])
    for name, value in a["model"].items():
        assert torch.equal(value, b["model"][name])
    for name, value in a["average"]["model"].items():
        assert torch.equal(value, b["average"]["model"][name])


@pytest.mark.slow
def test_worker_processes_give_the_same_weights(tmp_path):
    options = ("steps=6", "schedule.milestones=4", "validate_every=1000")
    for workers in (0, 2):
        process = start(SMOKE, *options, f"workers={workers}", "--out", tmp_path / str(workers))
        output, _ = process.communicate()
        assert process.returncode == 0, output
    a, b = (escsr.load(tmp_path / str(n) / "model.safetensors").state_dict() for n in (0, 2))
    for name, value in a.items():
        assert torch.equal(value, b[name])
