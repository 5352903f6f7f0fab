"""What our weight files say of their network, to programs that read tensors only.

Oracle: the network that was saved, and safetensors' own reader.
"""

import json

import pytest
import safetensors.torch
import torch

import escsr
from escsr import checkpoints
from escsr.checkpoints.headers import KEY, TENSOR
from escsr.models import embedded


@pytest.fixture
def saved(tmp_path):
    """A file, and the network in it."""
    arguments = {"num_blocks": 1, "conv_blocks": 1, "window_size": 4}
    model = escsr.build("esc_tiny", head="lte", backbone_args=arguments).eval()
    path = tmp_path / "own.safetensors"
    checkpoints.save(model, path, facts={"steps": 3})
    return path, model


def same(a, b):
    return a.config == b.config and all(
        torch.equal(x, y)
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("wrap", [None, "params", "module."])
def test_tensors_alone_are_enough(saved, tmp_path, wrap):
    path, model = saved
    tensors = safetensors.torch.load_file(path)
    if wrap == "module.":
        tensors = {f"module.{name}": tensor for name, tensor in tensors.items()}
    torch.save({wrap: tensors} if wrap == "params" else tensors, tmp_path / "other.pth")
    again = escsr.load(tmp_path / "other.pth")
    assert same(again, model)
    assert again.facts["steps"] == 3
    assert not again.trained


def test_safetensors_without_their_metadata(saved, tmp_path):
    path, model = saved
    safetensors.torch.save_file(safetensors.torch.load_file(path), tmp_path / "bare.safetensors")
    assert same(escsr.load(tmp_path / "bare.safetensors"), model)


def test_the_two_headers_are_one(saved):
    path, model = saved
    with safetensors.safe_open(path, framework="pt") as file:
        text = file.metadata()[KEY]
        assert bytes(file.get_tensor(TENSOR).tolist()).decode() == text
    assert json.loads(text)["facts"] == {"steps": 3}
    checkpoints.save(escsr.load(path), path)  # what reading adds is not written
    with safetensors.safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()[KEY])["facts"] == {"steps": 3}


def test_a_damaged_one_is_said(saved, tmp_path):
    path, _ = saved
    tensors = safetensors.torch.load_file(path)
    for header, said in (
        (b"{", "configuration in its header is damaged"),
        (b"\xff\xfe", "configuration in its header is damaged"),
        (b'{"format": 99, "version": "9", "config": {"backbone": "a", "head": "b"}}', "format 99"),
    ):
        tensors[TENSOR] = torch.tensor(list(header), dtype=torch.uint8)
        torch.save(tensors, tmp_path / "other.pth")
        with pytest.raises(ValueError, match=f"other.pth: .*{said}"):
            escsr.load(tmp_path / "other.pth")


@pytest.mark.parametrize("name", embedded())
def test_embedded_files_have_it(name):
    """A file of an older writer lacks it: checkpoints.save(escsr.load(path), path)."""
    tensors = safetensors.torch.load_file(embedded()[name])
    assert set(tensors) == {TENSOR, *escsr.load(name).state_dict()}
