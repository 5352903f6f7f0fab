"""What of a GPU shows without one. Oracle: PyTorch's own shape functions on fake CUDA tensors.

They refuse operations whose tensors lie on different devices, and a counter sees all that would
make the host wait for the device: copies between them, and shapes that depend on contents.
"""

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import escsr
from escsr.backbones.stages import FEATURES, PICTURE
from escsr.data import on_device
from escsr.degradations import filtering, jpeg, preset, resizing
from escsr.heads.base import query_heads
from escsr.layers import ATTENTION_MODES, Band, Overlap, attention
from escsr.layers.tables import forget_tables
from escsr.model import Features, SuperResolver
from escsr.training import discriminator, losses
from escsr.training.adversarial import discriminator_loss, generator_loss
from escsr.training.engine import Enlarging

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")

SMALL = {"num_blocks": 1, "conv_blocks": 1, "window_size": 8}
PRECISIONS = (None, torch.bfloat16, torch.float16)
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "is_nonzero")


# What PyTorch lacks, or lacked in versions that we take, on Apple's GPUs, beside float64.
LACKING = ("grid_sampler_3d", "_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa")
LACKING += ("_linalg_eigh", "_linalg_svd", "linalg_lstsq")


class Waits(TorchDispatchMode):
    """Names what would make the host wait for the device, and what other devices could not do."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        by_mask = "index" in func.name() and any(t.dtype == torch.bool for t in given)
        if by_mask or any(func.name().startswith(f"aten::{name}") for name in WAITING):
            self.found.append(func.name())
        made = func(*args, **(kwargs or {}))
        tensors = [*given, *(t for t in tree_leaves(made) if isinstance(t, Tensor))]
        # Numbers in tensors without dimensions travel with the call.
        if any(t.is_cuda and t.dtype == torch.float64 for t in tensors):
            self.found.append(f"{func.name()} in float64")
        if any(func.name().startswith(f"aten::{name}") for name in LACKING):
            self.found.append(func.name())
        devices = {t.device.type for t in tensors if t.ndim}
        if len(devices) > 1:
            self.found.append(f"{func.name()} on {sorted(devices)}")
        return made


def forget() -> None:
    """Give up all tables that are kept: fake ones would outlive the test."""
    forget_tables()
    for kept in (filtering._gaussian, jpeg._table, resizing._taps, on_device._filter):
        kept.cache_clear()


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # On a GPU flex is compiled, which needs one to compile for.
    uncompiled = attention._flex_function(compiled=False)
    monkeypatch.setattr(attention, "_flex_function", lambda compiled: uncompiled)
    forget()
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield
    forget()


def build(backbone: str = "esc_tiny", **settings: Any) -> SuperResolver:
    args = {**SMALL, **({"bias_rank": 4} if backbone == "esc_rib" else {})}
    with torch.device("cuda"):
        return escsr.build(backbone, backbone_args=args, **settings).eval()


@contextlib.contextmanager
def autocast(dtype: torch.dtype | None) -> Iterator[None]:
    """As `torch.autocast`, which does nothing where there is no device."""
    before = torch.get_autocast_dtype("cuda")
    torch.set_autocast_enabled("cuda", dtype is not None)
    torch.set_autocast_dtype("cuda", dtype or before)
    try:
        yield
    finally:
        torch.set_autocast_enabled("cuda", False)
        torch.set_autocast_dtype("cuda", before)
        torch.clear_autocast_cache()


def picture(height: int = 20, width: int = 24, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, height, width, device="cuda")


def waits(call: Callable[[], Tensor]) -> list[str]:
    """What a second call of the same waits for."""
    call()
    with Waits() as counter:
        made = call()
    assert made.device.type == "cuda"
    return counter.found


def test_the_counter_sees_what_waits() -> None:
    values = picture()
    with Waits() as counter:
        torch.arange(5).to("cuda")
        values.index_select(3, torch.arange(5, device="cuda"))
        assert len(counter.found) == 1
        values.cpu()
        torch.tensor([1.0, 2.0], device="cuda")
        assert len(counter.found) == 3
        for data_dependent in (values.sum().item, values.nonzero, lambda: values[values > 0]):
            before = len(counter.found)
            # Fake tensors have no contents to depend on.
            with contextlib.suppress(DataDependentOutputException, DynamicOutputShapeException):
                data_dependent()
            assert len(counter.found) > before
    with Waits() as counter:
        values.double()
        torch.linalg.eigvalsh(torch.rand(4, 4, device="cuda"))
        assert len(counter.found) == 2
    with pytest.raises(RuntimeError, match="device"):
        values + torch.rand(20, 24)


def cases(names: Sequence[str]) -> list[Any]:
    """Every name in one precision, all of them among the names; the rest is slow."""
    return [
        pytest.param(name, dtype, marks=() if (i - j) % 3 == 0 else pytest.mark.slow)
        for (i, name), (j, dtype) in itertools.product(enumerate(names), enumerate(PRECISIONS))
    ]


@pytest.mark.parametrize(("mode", "dtype"), cases(ATTENTION_MODES))
@pytest.mark.parametrize("backbone", escsr.list_backbones())
def test_backbones_wait_for_nothing(backbone: str, mode: str, dtype: torch.dtype | None) -> None:
    model = build(backbone, scale=2, attention=mode)
    lq = picture(batch=1 if dtype is None else 2)
    with torch.inference_mode(), autocast(dtype):
        if mode == "flex":  # PyTorch runs it under no mode but its own
            assert model(lq).device.type == "cuda"
        else:
            assert waits(functools.partial(model, lq)) == []


@pytest.mark.parametrize(("head", "dtype"), cases(escsr.list_heads()))
def test_heads_wait_for_nothing(head: str, dtype: torch.dtype | None) -> None:
    scale = None if head in query_heads() else 1 if head == "conv" else 2
    model = build(head=head, scale=scale)
    # ×2 and ×2.5 repeat themselves; the third size does not.
    sizes = [(40, 48), (50, 60), (47, 61)]
    size = sizes[PRECISIONS.index(dtype)] if scale is None else (20 * scale, 24 * scale)
    with torch.inference_mode(), autocast(dtype):
        features = model.encode(picture())
        render = functools.partial(model.render, features, size=size)
        assert waits(render) == []
        if head != "dysample":  # which rows it reads, its learned offsets say
            assert waits(functools.partial(render, rows=(9, 17))) == []
        if scale is None:
            coords = torch.rand(1, 9, 2, device="cuda")
            for queries in (1, 9):
                cells = torch.full((1, queries, 2), 0.05, device="cuda")
                assert waits(functools.partial(model.at, features, coords, cells)) == []


@pytest.mark.parametrize("backbone", ["esc", "esc_fp", "esc_real", "esc_rib"])
def test_bands_wait_for_nothing(backbone: str) -> None:
    model = build(backbone, scale=4)

    def middle_band() -> Tensor:
        maps = {PICTURE: picture(48, 16)}
        statistic = None
        for stage in model.backbone.stages():
            given = {
                name: maps[name][:, :, 8 - stage.halo : 24 + stage.halo] for name in stage.reads
            }
            made, now = stage.apply(given, Overlap(stage.halo, stage.halo), statistic)
            assert all(values.shape[2] == 16 for values in made.values())
            statistic = now
            # The rows around the band come from other bands.
            maps.update((n, v.new_zeros(*v.shape[:2], 48, v.shape[3])) for n, v in made.items())
        band = Band(maps[FEATURES][:, :, 4:28], 4, 48), Band(maps[PICTURE][:, :, 4:28], 4, 48)
        return model.render(Features(*band), scale=4, rows=(40, 80))

    with torch.inference_mode():
        assert waits(middle_band) == []


@pytest.mark.parametrize(("head", "dtype"), cases(["pixel_shuffle", *query_heads()]))
def test_a_training_step_waits_for_nothing_before_its_gradients(
    head: str, dtype: torch.dtype | None
) -> None:
    fixed = head not in query_heads()
    model = Enlarging(build(head=head, scale=2 if fixed else None).train())
    batch = {"lq": picture(16, 16, batch=2), "gt": picture(32, 32, batch=2)}
    if not fixed:
        batch["gt"] = torch.rand(2, 30, 3, device="cuda")
        batch["coords"] = torch.rand(2, 30, 2, device="cuda")
        batch["cells"] = torch.full((2, 30, 2), 0.05, device="cuda")

    def step() -> Tensor:
        with autocast(dtype):
            sr = model(**batch)
            return losses.L1()(sr, batch["gt"]) + losses.Charbonnier()(sr, batch["gt"])

    assert waits(step) == []


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_an_adversary_waits_for_nothing_before_its_gradients(dtype: torch.dtype | None) -> None:
    with torch.device("cuda"):
        critic = discriminator.UNetDiscriminator(features=8)
    sr, gt = (picture(32, 32, batch=2).requires_grad_() for _ in range(2))

    def step() -> Tensor:
        with autocast(dtype):
            found = generator_loss(critic(sr), "vanilla")
            return found + discriminator_loss(critic(gt), critic(sr.detach()), "hinge")

    assert waits(step) == []


def test_degradations_ask_nothing_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    # Their numbers are drawn on the host and copied, each time others; nothing goes back.
    monkeypatch.setattr("escsr.degradations.noise._generator", lambda images, seed: None)
    pipeline = preset("real")
    rngs = [np.random.default_rng(number) for number in range(4)]
    drawn = [pipeline.draw(rng, size=(48, 48), lq_size=(12, 12)) for rng in rngs]
    made = pipeline.apply(picture(48, 48, batch=4), drawn)
    assert made.shape == (4, 3, 12, 12)
    assert made.device.type == "cuda"
