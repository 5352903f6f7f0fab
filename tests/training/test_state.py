"""Checkpoints. Oracles: the bytes on the disk, and the numbers that generators give."""

import pickle
import random
import resource

import numpy as np
import pytest
import torch

from escsr.training.state import (
    FORMAT,
    checkpoints,
    load_state,
    rng_state,
    save_state,
    set_rng_state,
)


def state(step, size=10):
    return {"format": FORMAT, "step": step, "weights": torch.full((size,), float(step))}


def test_last_ones_and_the_best_are_kept(tmp_path):
    for step in range(1, 6):
        save_state(tmp_path, state(step), keep=2, best=step == 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.pt",
        "step_000000004.pt",
        "step_000000005.pt",
    ]
    assert load_state(tmp_path / "best.pt")["step"] == 2
    assert load_state(checkpoints(tmp_path)[-1])["weights"].tolist() == [5.0] * 10


def test_the_best_is_replaced_and_may_be_saved_twice(tmp_path):
    for step in (1, 2, 2):
        save_state(tmp_path, state(step), keep=1, best=True)
    assert load_state(tmp_path / "best.pt")["step"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "step_000000002.pt"]


def test_full_disk_is_told_and_leaves_the_previous_checkpoint(tmp_path):
    # a limit on the size of files fails in the middle of the write, as a full disk does
    save_state(tmp_path, state(1), keep=3)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"step_000000002\.pt"):
            save_state(tmp_path, state(2, size=100_000), keep=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = save_state(tmp_path, state(1, size=10_000), keep=1)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match="damaged"):
        load_state(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="damaged"):
        load_state(path)
    torch.save({"step": 1}, path)
    with pytest.raises(ValueError, match="format"):
        load_state(path)


def test_nothing_is_run_when_a_checkpoint_is_read(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path = tmp_path / "step_000000001.pt"
    for write in (torch.save, lambda trap, path: path.write_bytes(pickle.dumps(trap, protocol=2))):
        write(Trap(), path)
        with pytest.raises(ValueError, match="damaged or no checkpoint"):
            load_state(path)
        assert not (tmp_path / "sprung").exists()


def test_generators_go_on_where_they_were(tmp_path):
    def draw():
        return [torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()]

    random.gauss(0, 1)  # leaves a second value behind, which is part of the state
    np.random.randn()
    saved = save_state(tmp_path, state(1) | {"rng": rng_state()}, keep=1)
    expected = [*draw(), random.gauss(0, 1), np.random.randn()]
    draw()
    set_rng_state(load_state(saved)["rng"])
    assert [*draw(), random.gauss(0, 1), np.random.randn()] == expected
