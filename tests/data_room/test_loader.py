"""Loading ahead. Oracle: the dataset asked sample by sample."""

import random
import threading
from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from escsr.data import BatchLoader


class Counting(Dataset):
    """Sample n is n; sample `broken` raises."""

    def __init__(self, broken=None):
        self.broken = broken

    def __getitem__(self, index):
        if index == self.broken:
            raise ValueError(f"sample {index} is broken")
        return {"lq": torch.tensor([float(index)])}


class Careless(Dataset):
    """Samples from the global generators, as other people's datasets make them."""

    def __getitem__(self, index):
        return {"lq": torch.tensor([random.random(), np.random.rand(), float(torch.rand(()))])}


@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_batches_hold_the_samples_in_order(start, workers):
    with BatchLoader(Counting(), batch=4, start=start, stop=7, workers=workers) as loader:
        got = [batch["lq"].flatten().tolist() for batch in loader]
    assert got == [[4 * k, 4 * k + 1, 4 * k + 2, 4 * k + 3] for k in range(start, 7)]


def test_thread_ends_with_the_loop():
    def running():
        return [thread for thread in threading.enumerate() if thread.name == "escsr-data"]

    with BatchLoader(Counting(), batch=2, start=0, stop=10**6) as loader:
        next(loader)
        assert len(running()) == 1
    assert not running()


def test_errors_of_the_dataset_reach_the_loop_in_their_place():
    with BatchLoader(Counting(broken=5), batch=2, start=0, stop=10) as loader:
        assert next(loader)["lq"].tolist() == [[0], [1]]
        assert next(loader)["lq"].tolist() == [[2], [3]]
        with pytest.raises(ValueError, match="sample 5 is broken"):
            next(loader)


@pytest.mark.parametrize(
    ("taken", "workers"), [(0, 0), (2, 0), (99, 0), pytest.param(2, 1, marks=pytest.mark.slow)]
)
def test_loader_entered_again_begins_again(taken, workers):
    # oracle: the first time; left before, in the middle of, or after all batches
    loader = BatchLoader(Counting(), batch=2, start=1, stop=4, workers=workers)
    for _ in range(2):
        with loader as batches:
            got = [batch["lq"].flatten().tolist() for batch in islice(batches, taken)]
        assert got == [[2, 3], [4, 5], [6, 7]][:taken]
    with pytest.raises(RuntimeError, match="with"):
        next(loader)
    with loader, pytest.raises(RuntimeError, match="in use"):
        loader.__enter__()


def test_wrong_use_is_refused():
    with pytest.raises(ValueError, match="batch"):
        BatchLoader(Counting(), batch=0, start=0, stop=1)
    with pytest.raises(RuntimeError, match="with"):
        next(BatchLoader(Counting(), batch=1, start=0, stop=1))


@pytest.mark.slow
def test_global_generators_of_workers_follow_seed_and_index():
    # oracle: all of it by one worker, against the second half by two; and another seed
    def drawn(start, workers, seed=5):
        options = {"batch": 3, "start": start, "stop": 6, "workers": workers, "seed": seed}
        with BatchLoader(Careless(), **options) as loader:
            return torch.cat([batch["lq"] for batch in loader])

    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    whole = drawn(0, 1)
    assert torch.equal(drawn(3, 2), whole[9:])
    assert not torch.isclose(drawn(5, 1, seed=6), whole[15:]).any()
    assert all(len(torch.unique(whole[:, k])) == 18 for k in range(3))
    assert random.getstate() == states[0]  # and the loop's own are left alone
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert torch.equal(torch.get_rng_state(), states[2])


def test_samples_of_different_shapes_are_named():
    class Growing(Dataset):
        def __getitem__(self, index):
            return {"lq": torch.zeros(3, 2, 2), "gt": torch.zeros(3, index + 1, 4)}

    with (
        BatchLoader(Growing(), batch=2, start=0, stop=1) as loader,
        pytest.raises(ValueError, match=r"gt of shapes \(3, 1, 4\), \(3, 2, 4\)"),
    ):
        next(loader)
