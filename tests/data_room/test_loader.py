"""Loading ahead. Oracle: the dataset asked sample by sample."""

import threading

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


def test_wrong_use_is_refused():
    with pytest.raises(ValueError, match="batch"):
        BatchLoader(Counting(), batch=0, start=0, stop=1)
    with pytest.raises(RuntimeError, match="with"):
        next(BatchLoader(Counting(), batch=1, start=0, stop=1))
