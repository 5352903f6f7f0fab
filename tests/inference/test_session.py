"""`Upscaler` from many threads. Oracles: the same calls one after the other, the network itself."""

import copy
import gc
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
import torch
from torch import nn

import escsr
from escsr.inference import MemoryBudget, UpscaleNotice, estimate_memory, parse_memory
from escsr.inference.memory import OutOfBudgetError, RoughBound
from escsr.inference.networks import private_network
from escsr.layers import Derived

pytestmark = pytest.mark.filterwarnings("ignore::escsr.inference.UpscaleNotice")

SMALL = {"num_blocks": 1, "conv_blocks": 1}


@pytest.fixture
def model() -> escsr.SuperResolver:
    torch.manual_seed(0)
    return escsr.build("esc_tiny", scale=2, backbone_args=SMALL)


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def requests(count: int) -> list[tuple[object, dict]]:
    """Pictures of mixed sizes and kinds, with mixed requests."""
    kinds = []
    for number in range(count):
        pixels = photo(8 + number % 7, 8 + number % 5, number)
        image: object = [
            pixels,
            pixels[..., 0],
            pixels.astype(np.uint16) * 257,
            np.dstack([pixels, pixels[..., :1]]),
            torch.from_numpy(pixels / 255).movedim(-1, 0).float(),
            escsr.images.Picture(pixels=pixels),
        ][number % 6]
        asked = [{"scale": 2}, {"scale": 2.5}, {"width": 31}, {"size": (19, 23)}][number % 4]
        kinds.append((image, asked))
    return kinds


def numbers(result: object) -> np.ndarray:
    return np.asarray(getattr(result, "pixels", result))


def test_threads_share_a_session_bit_for_bit() -> None:
    up = escsr.Upscaler("default", device="cpu")
    work = requests(240)
    expected = [numbers(up(image, **asked)) for image, asked in work]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda order: numbers(up(order[0], **order[1])), work))
    for one, other in zip(expected, found, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("training", [True, False])
def test_the_users_network_is_left_alone(model: escsr.SuperResolver, training: bool) -> None:
    model.train(training)
    model.backbone.blocks[0].eval()  # a frozen part
    calls: list[int] = []
    model.head.register_forward_hook(lambda *_: calls.append(1))
    modes = [m.training for m in model.modules()]
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    weights = copy.deepcopy(model.state_dict())
    pointers = [p.data_ptr() for p in model.parameters()]
    up = escsr.Upscaler(model, device="cpu")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: up(photo(9, 9 + n % 4)), range(24)))
        list(pool.map(lambda n: escsr.upscale(photo(9, 9 + n % 4), model=model), range(24)))
    assert len(calls) == 48  # hooks of the user's own still see each pass
    assert [m.training for m in model.modules()] == modes
    assert hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    assert pointers == [p.data_ptr() for p in model.parameters()]
    assert all(torch.equal(weights[name], t) for name, t in model.state_dict().items())
    kept = [v for m in model.modules() for v in vars(m).values() if isinstance(v, Derived)]
    assert all(derived.enabled for derived in kept)


def test_a_session_keeps_the_weights_it_was_made_of(model: escsr.SuperResolver) -> None:
    picture = photo(10, 12)
    up = escsr.Upscaler(model, device="cpu")
    before = up(picture)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    assert np.array_equal(up(picture), before)
    # A single call sees the weights of now, and so does the next one.
    now = escsr.upscale(picture, model=model)
    assert not np.array_equal(now, before)
    assert np.array_equal(escsr.Upscaler(model)(picture), now)


def test_twins_share_tensors_and_nothing_else(model: escsr.SuperResolver) -> None:
    twin = private_network(model, torch.device("cpu"), share=True)
    theirs = dict(twin.named_parameters())
    assert all(theirs[name] is p for name, p in model.named_parameters())
    own = {id(m) for m in model.modules()}
    assert not own & {id(m) for m in twin.modules()}
    assert model.training
    assert not any(m.training for m in twin.modules())
    twin.head.register_forward_hook(lambda *_: None)
    assert not model.head._forward_hooks
    shared_twice = nn.ModuleList([model.head, model.head])
    model.extra = shared_twice
    twice = private_network(model, torch.device("cpu"), share=True).extra
    assert twice[0] is twice[1]


def test_compiled_networks_are_taken(model: escsr.SuperResolver) -> None:
    model.eval()
    compiled = torch.compile(model, backend="eager")
    picture = photo(10, 12)
    expected = escsr.upscale(picture, model=model)
    for result in (escsr.Upscaler(compiled)(picture), escsr.upscale(picture, model=compiled)):
        assert np.abs(result.astype(int) - expected).max() <= 1


def test_what_is_no_network_is_refused() -> None:
    for wrong in (nn.Conv2d(3, 3, 1), 7, None):
        with pytest.raises(TypeError, match="name of escsr.list_models.*not a"):
            escsr.Upscaler(wrong)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------- plans


def test_a_plan_says_what_is_done(model: escsr.SuperResolver) -> None:
    up = escsr.Upscaler(model, device="cpu")
    plan = up.plan((30, 40), width=100)
    assert plan.size == (75, 100)
    assert plan.network_size == (60, 80)
    assert any("resized to 100×75" in notice for notice in plan.notices)
    assert plan is up.plan((30, 40), width=100)
    assert plan.seconds is None
    with pytest.warns(UpscaleNotice, match="resized"):
        assert up(photo(30, 40), width=100).shape == (75, 100, 3)
    assert plan.seconds is not None
    assert plan.seconds > 0
    assert up.plan((60, 80), width=200).seconds == pytest.approx(4 * plan.seconds)
    smaller = up.plan((30, 40), scale=0.5)
    assert smaller.network_size is None
    assert smaller.passes == 0
    assert up.plan((16, 16), batch=600).passes == 3  # 256 of 16x16 at once
    with pytest.raises(ValueError, match="empty"):
        up.plan((0, 40))


def test_the_estimate_is_made_once_per_size_and_not_for_small_pictures(
    model: escsr.SuperResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def estimate(*args: object, **options: object) -> int:
        made.append(args)
        return estimate_memory(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("escsr.inference.planning.estimate_memory", estimate)
    up = escsr.Upscaler(model, device="cpu")
    for _ in range(3):
        up(photo(24, 24))
    assert not made
    tight = escsr.Upscaler(model, device="cpu", memory="24MiB")
    for _ in range(3):
        tight(photo(24, 24))
    assert len(made) == 1


@pytest.mark.parametrize(("name", "side", "scale"), [("default", 200, 4), ("esc_tiny_x4", 220, 4)])
def test_the_rough_bound_is_above_the_estimate(name: str, side: int, scale: int) -> None:
    model = escsr.load(name)
    size = (scale * side, scale * side)
    assert RoughBound(model)(side, side, size) > estimate_memory(model, side, side, size)


def test_batches_go_through_together(model: escsr.SuperResolver) -> None:
    calls: list[tuple[int, ...]] = []
    model.backbone.register_forward_hook(lambda _m, inputs, _o: calls.append(inputs[0].shape))
    batch = torch.rand(5, 3, 12, 14)
    result = escsr.Upscaler(model, device="cpu")(batch, scale=2)
    assert calls == [(5, 3, 12, 14)]
    with torch.no_grad():
        expected = model.eval()(batch).clamp(0, 1)
    assert (result - expected).abs().max() < 2e-5
    assert not result.is_inference()


# ---------------------------------------------------------------------------- calls


def test_progress_and_cancellation_belong_to_their_call(model: escsr.SuperResolver) -> None:
    up = escsr.Upscaler(model, device="cpu")
    picture = photo(40, 40)
    shares: list[list[float]] = [[], []]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda mine: up(picture, progress=mine.append), shares))
    for mine in shares:
        assert mine == sorted(mine)
        assert mine[-1] == pytest.approx(1)
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(escsr.Cancelled):
        up(picture, cancel=stopped)
    asked = []

    def after_three() -> bool:
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(escsr.Cancelled):
        up(picture, cancel=after_three)
    assert len(asked) == 4  # between layers, and at once
    assert np.array_equal(up(picture), up(picture, cancel=lambda: False))


def test_notices_go_where_they_are_wanted(model: escsr.SuperResolver) -> None:
    up, told = escsr.Upscaler(model, device="cpu"), []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        up(photo(8, 8), scale=3, notify=told.append)
    assert any("untrained" in notice for notice in told)
    with pytest.warns(UpscaleNotice) as seen:
        escsr.upscale(photo(8, 8), scale=3, model=model)
    assert {notice.filename for notice in seen} == {__file__}


# ---------------------------------------------------------------------------- memory


def test_amounts_of_memory() -> None:
    assert parse_memory("2GB") == 2 * 10**9
    assert parse_memory("1.5 GiB") == 3 << 29
    assert parse_memory("512m") == 512 << 20
    assert parse_memory(1000) == parse_memory("1000") == parse_memory("1000 B") == 1000
    for wrong in ("", "2 cows", "-1GB", "1.2.3MB", 0, True):
        with pytest.raises(ValueError, match="amount of memory"):
            parse_memory(wrong)


def test_a_budget_lets_calls_wait_and_refuses_what_never_fits() -> None:
    budget, running, most = MemoryBudget(limit=100), [], []
    lock = threading.Lock()

    def work(_: int) -> None:
        with budget.reserved(40):
            with lock:
                running.append(1)
                most.append(len(running))
            time.sleep(0.01)
            with lock:
                running.pop()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(18)))
    assert max(most) == 2
    with pytest.raises(OutOfBudgetError), budget.reserved(101):
        pass
    stop = threading.Event()
    stop.set()
    with budget.reserved(80), pytest.raises(escsr.Cancelled), budget.reserved(40, stop):
        pass


def test_too_little_memory_is_told_with_both_amounts(model: escsr.SuperResolver) -> None:
    up = escsr.Upscaler(model, device="cpu", memory="5MB")
    with pytest.raises(MemoryError, match=r"24×24 pixels would take about 0.0. GiB.*0.00 GiB can"):
        up(photo(24, 24))


@pytest.mark.slow
def test_resident_memory_stays_flat() -> None:
    up = escsr.Upscaler("default", device="cpu")
    work = requests(60)
    process = psutil.Process()

    def run(rounds: int) -> int:
        for _ in range(rounds):
            for image, asked in work:
                up(image, **asked)
        gc.collect()
        return int(process.memory_info().rss)

    first = run(2)
    assert run(8) < 1.05 * first
