"""Embedded models through `torch.compile`. Oracle: the same network, not compiled.

What once failed is the recording of graphs, which every backend shares: the quick one is enough.
"""

import shutil
from contextlib import AbstractContextManager

import pytest
import torch

import escsr
from escsr.models import embedded

BACKENDS = [*((name, "eager") for name in embedded()), ("default", "inductor")]


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "backend"), BACKENDS)
def test_compiled_network_equals_the_plain_one(name: str, backend: str) -> None:
    if backend == "inductor" and shutil.which("g++") is None and shutil.which("clang++") is None:
        pytest.skip("it needs a C++ compiler on a CPU")
    model = escsr.load(name)
    compiled = torch.compile(model, backend=backend)
    modes: list[type[AbstractContextManager]] = [torch.inference_mode, torch.no_grad]
    for mode in modes if backend != "inductor" else modes[:1]:
        lq = torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(3))
        size = None if model.scale else (43, 61)
        with mode():
            wanted, got = model(lq, size=size), compiled(lq, size=size)
        assert (got - wanted).abs().max() < 2e-5, mode


@pytest.mark.slow
def test_compiled_network_is_taken_by_a_session() -> None:
    model = escsr.load("esc_tiny_x2")
    picture = torch.rand(3, 20, 24, generator=torch.Generator().manual_seed(4))
    found = escsr.upscale(picture, model=torch.compile(model, backend="eager"))
    assert (found - escsr.upscale(picture, model=model)).abs().max() < 2e-5


@pytest.mark.slow
def test_points_are_compiled_with_gradients() -> None:
    model = escsr.build("esc_tiny", head="liif", backbone_args={"num_blocks": 1})
    lq, coords = torch.rand(2, 3, 12, 12), torch.rand(2, 30, 2) * 2 - 1
    cells = torch.full((2, 1, 2), 2 / 30)
    compiled = torch.compile(model.query, backend="eager")
    wanted, got = model.query(lq, coords, cells), compiled(lq, coords, cells)
    assert (got - wanted).abs().max() < 2e-5
    slopes = [
        torch.autograd.grad(sr.square().sum(), model.head.last.weight)[0] for sr in (got, wanted)
    ]
    torch.testing.assert_close(*slopes, rtol=1e-3, atol=1e-5)
