"""Weights as training programs keep them: wrapped, prefixed, averaged, compiled, or bare.

Oracle: the same tensors, opened without anything around them.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch.optim.swa_utils import AveragedModel

import escsr
from escsr import checkpoints
from escsr.model import unwrapped
from tests.networks.test_published import SMALL, written

Tensors = Mapping[str, torch.Tensor]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Tensors:
    """A network of the authors, by their names."""
    path, _ = written("ESC", SMALL | {"upscaling_factor": 2}, tmp_path_factory.mktemp("theirs"))
    return torch.load(path, weights_only=True)["params"]


def prefixed(tensors: Tensors, prefix: str) -> Tensors:
    return {prefix + name: tensor for name, tensor in tensors.items()}


WRAPPINGS: dict[str, Callable[[Tensors], object]] = {
    "compiled": lambda t: prefixed(t, "_orig_mod."),
    "DDP of compiled": lambda t: prefixed(t, "module._orig_mod."),
    "compiled DDP": lambda t: {"state_dict": prefixed(t, "_orig_mod.module.")},
    "averaged": lambda t: {"n_averaged": torch.tensor(3), **prefixed(t, "module.")},
    "a part compiled": lambda t: {
        name.replace("blocks.0.", "blocks.0._orig_mod."): x for name, x in t.items()
    },
    "model": lambda t: {"model": t, "epoch": 3, "optimizer": {"state": {}}},
    "state_dict": lambda t: {"state_dict": t},
    "model in a state": lambda t: {"model": {"state_dict": prefixed(t, "module.")}},
    "averaged weights first": lambda t: {
        "model": {name: torch.zeros_like(x) for name, x in t.items()},
        "ema": t,
    },
    "Lightning": lambda t: {
        "state_dict": {**prefixed(t, "net."), "vgg.features.0.weight": torch.zeros(4, 3, 3, 3)}
    },
}


@pytest.mark.parametrize("name", WRAPPINGS)
def test_wrapped_files_open(name: str, theirs: Tensors, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(WRAPPINGS[name](theirs), path)
    model = escsr.load(path)
    assert torch.equal(model.backbone.large_kernel.weight, theirs["plk_filter"])
    assert torch.equal(model.head.conv.weight, theirs["to_img.weight"])


def test_prefixes_in_safetensors(theirs: Tensors, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(dict(prefixed(theirs, "module._orig_mod.")), path)
    assert torch.equal(escsr.load(path).backbone.large_kernel.weight, theirs["plk_filter"])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (lambda t: {"model": {}}, "an empty table below 'model'"),
        (lambda t: {"model": {**t, "steps": 4}}, "no tensors below 'model'.*'steps'"),
        (lambda t: {**t, **prefixed(t, "_orig_mod.")}, "two networks at once"),
        (lambda t: {"state_dict": prefixed({"x": torch.zeros(1)}, "module.")}, "starts with x"),
    ],
    ids=["empty", "numbers", "twice", "another network"],
)
def test_what_is_wrong_is_told(
    content: Callable[[Tensors], object], told: str, theirs: Tensors, tmp_path: Path
) -> None:
    path = tmp_path / "w.pth"
    torch.save(content(theirs), path)
    with pytest.raises(ValueError, match=told):
        escsr.load(path)


def tiny() -> escsr.SuperResolver:
    return escsr.build("esc_tiny", scale=2, backbone_args={"num_blocks": 1})


def test_a_bare_state_of_ours_needs_its_network(tmp_path: Path) -> None:
    model, path = tiny(), tmp_path / "mine.pth"
    torch.save(AveragedModel(model).state_dict(), path)
    with pytest.raises(ValueError, match=r"state_dict\(\) of an escsr network.*weights=FILE"):
        escsr.load(path)
    again = escsr.build("esc_tiny", scale=2, backbone_args={"num_blocks": 1}, weights=path)
    assert torch.equal(again.head.conv.weight, model.head.conv.weight)
    assert again.trained
    relative = escsr.initialise_from(tiny(), path)
    assert torch.equal(relative.head.conv.weight, model.head.conv.weight)
    with pytest.raises(ValueError, match=r"does not fit esc_tiny.*lacks backbone\.blocks\.1"):
        escsr.build("esc_tiny", scale=2, weights=path)


def test_a_wrapped_network_is_taken_where_a_network_is(tmp_path: Path) -> None:
    model = escsr.load("esc_tiny_x2")
    wrapped = torch.compile(torch.nn.DataParallel(AveragedModel(model)))
    assert unwrapped(wrapped) is wrapped.module.module
    path = tmp_path / "w.safetensors"
    checkpoints.save(wrapped, path)
    assert torch.equal(escsr.load(path).head.conv.weight, model.head.conv.weight)
    fresh = torch.compile(escsr.build("esc_tiny", scale=2))
    assert escsr.initialise_from(fresh, path) is fresh
    assert unwrapped(fresh).trained
    lq = torch.rand(3, 9, 8)
    assert torch.equal(
        escsr.upscale(lq, model=AveragedModel(model)), escsr.upscale(lq, model=model)
    )
    with pytest.raises(TypeError, match="not a Linear"):
        unwrapped(torch.nn.Linear(1, 1))
