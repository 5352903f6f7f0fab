"""What of a GPU shows without one. Oracle: PyTorch's own shape functions on fake CUDA tensors.

They refuse operations whose tensors lie on different devices, and a counter sees all that would
make the host wait for the device: copies between them, and shapes that depend on contents.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

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
from escsr.heads.base import query_heads
from escsr.layers import Band, Overlap
from escsr.layers.tables import forget_tables
from escsr.model import Features, SuperResolver
from escsr.training import discriminator, losses
from escsr.training.adversarial import discriminator_loss, generator_loss

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")

SMALL = {"num_blocks": 1, "conv_blocks": 2, "window_size": 8}
PRECISIONS = (None, torch.bfloat16, torch.float16)
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "is_nonzero")


class Waits(TorchDispatchMode):
    """Names the operations that would make the host wait for the device."""

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
        devices = {t.device.type for t in tensors if t.ndim}
        if len(devices) > 1:
            self.found.append(f"{func.name()} on {sorted(devices)}")
        return made


@pytest.fixture(autouse=True)
def fake() -> Iterator[None]:
    forget_tables()
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield
    forget_tables()


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
    with pytest.raises(RuntimeError, match="device"):
        values + torch.rand(20, 24)


# Flex is compiled, which needs a device to compile for.
@pytest.mark.parametrize("attention", ["auto", "math", "sdpa", "concat"])
@pytest.mark.parametrize("backbone", escsr.list_backbones())
def test_backbones_wait_for_nothing(backbone: str, attention: str) -> None:
    model = build(backbone, scale=2, attention=attention)
    for dtype, batch in zip(PRECISIONS, (1, 2, 1), strict=True):
        lq = picture(batch=batch)
        with torch.inference_mode(), autocast(dtype):
            assert waits(functools.partial(model, lq)) == []


@pytest.mark.parametrize("head", escsr.list_heads())
def test_heads_wait_for_nothing(head: str) -> None:
    scale = None if head in query_heads() else 1 if head == "conv" else 2
    model = build(head=head, scale=scale)
    lq = picture()
    # ×2 and ×2.5 repeat themselves; the third size does not.
    sizes = [(40, 48), (50, 60), (47, 61)] if scale is None else [(20 * scale, 24 * scale)]
    for dtype, size in zip(PRECISIONS, sizes * (3 // len(sizes)), strict=True):
        with torch.inference_mode(), autocast(dtype):
            assert waits(functools.partial(model, lq, size=size)) == []
            features = model.encode(lq)
            if head != "dysample":  # which rows it reads, its learned offsets say
                render = functools.partial(model.render, features, size=size)
                assert waits(functools.partial(render, rows=(9, 17))) == []
            if scale is None:
                coords = torch.rand(1, 9, 2, device="cuda")
                cells = torch.full((1, 1, 2), 0.05, device="cuda")
                assert waits(functools.partial(model.query, lq, coords, cells)) == []


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


@pytest.mark.parametrize("head", ["pixel_shuffle", *query_heads()])
def test_a_training_step_waits_for_nothing_before_its_gradients(head: str) -> None:
    fixed = head not in query_heads()
    model = build(head=head, scale=2 if fixed else None).train()
    with torch.device("cuda"):
        critic = discriminator.UNetDiscriminator(features=8)
    lq, gt = picture(32, 32, batch=2), picture(64, 64, batch=2)
    for dtype in PRECISIONS[:2]:

        def step(dtype: torch.dtype | None = dtype) -> Tensor:
            with autocast(dtype):
                sr = model(lq, size=(64, 64))
                found = losses.L1()(sr, gt) + losses.Charbonnier()(sr, gt)
                fake = critic(sr)
                found = found + generator_loss(fake, "vanilla")
                return found + discriminator_loss(critic(gt), critic(sr.detach()), "hinge")

        assert waits(step) == []
