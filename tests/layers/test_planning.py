"""Planning, and kept tensors where threads meet. Oracles: counted calls, the tensors themselves."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

import escsr
from escsr.layers import Derived, is_planning, planned_steps, planning


def doubled(weight: torch.Tensor) -> torch.Tensor:
    return weight * 2


def test_planning_is_seen_in_its_own_thread_only() -> None:
    seen = []
    with planning():
        assert is_planning()
        thread = threading.Thread(target=lambda: seen.append(is_planning()))
        thread.start()
        thread.join()
        assert list(planned_steps(range(5))) == [0]
        with planning("work"):
            assert is_planning()
            assert list(planned_steps(range(5))) == [0, 1, 2, 3, 4]
    assert seen == [False]
    assert not is_planning()
    assert list(planned_steps(range(5))) == [0, 1, 2, 3, 4]


def test_nothing_without_contents_is_kept() -> None:
    model = escsr.build("esc_tiny", scale=2).eval()
    with planning(), torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
        assert isinstance(model(torch.empty(1, 3, 20, 20)), FakeTensor)
    with torch.no_grad():
        assert not isinstance(model(torch.rand(1, 3, 20, 20)), FakeTensor)


def test_planning_in_one_thread_leaves_the_others_caches_on() -> None:
    calls = []
    derived = Derived(lambda weight: calls.append(1) or weight * 2)  # type: ignore[func-returns-value]
    weight = torch.ones(3)
    derived(weight)
    inside, done = threading.Event(), threading.Event()

    def plan() -> None:
        with planning():
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=plan)
    thread.start()
    inside.wait(10)
    derived(weight)
    done.set()
    thread.join()
    derived(weight)
    assert len(calls) == 1


def test_a_call_returns_its_own_value_while_others_forget() -> None:
    derived, weight = Derived(doubled), torch.arange(1000.0)
    expected = doubled(weight)

    def work(number: int) -> bool:
        if number % 3 == 0:
            derived.clear()
        return torch.equal(derived(weight), expected)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(3000)))


def test_copies_and_pickles_begin_empty() -> None:
    derived, weight = Derived(doubled), torch.ones(1000)
    derived(weight)
    for other in (copy.deepcopy(derived), pickle.loads(pickle.dumps(derived))):
        assert other.kept is None
        assert torch.equal(other(weight), doubled(weight))
