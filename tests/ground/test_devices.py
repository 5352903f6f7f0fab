"""Devices, precisions and evaluation mode. Oracle: PyTorch's own flags."""

import pytest
import torch
from torch import nn

from escsr.devices import autocast, evaluating, pick_device, pick_devices, pick_precision


def test_devices():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device(torch.device("cpu")) == torch.device("cpu")
    assert pick_device("auto").type in ("cpu", "cuda", "xpu", "mps")
    for wrong in ("gpu", "cuda:99", ""):
        with pytest.raises(ValueError, match="'auto' or 'cpu' always can"):
            pick_device(wrong)


def test_several_devices(monkeypatch):
    cpu = torch.device("cpu")
    assert pick_devices("cpu, cpu") == [cpu, cpu]
    with pytest.raises(ValueError, match="names several devices"):
        pick_device("cpu,cpu")
    with pytest.raises(ValueError, match="'gpu' cannot be used"):
        pick_devices("cpu,gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_devices("auto") == [torch.device("cuda:0"), torch.device("cuda:1")]


def test_precisions():
    assert pick_precision("fp32") is None
    assert pick_precision("bf16") is torch.bfloat16
    assert pick_precision("fp16") is torch.float16
    with pytest.raises(ValueError, match="unknown precision 'bf61'. Did you mean 'bf16'"):
        pick_precision("bf61")


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_autocast(precision, dtype):
    layer, x = nn.Linear(3, 3), torch.rand(1, 3)
    with autocast(torch.device("cpu"), precision):
        assert layer(x).dtype == dtype
    assert layer(x).dtype == torch.float32


def test_every_module_gets_its_mode_back():
    network = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4), nn.Linear(4, 4)).train()
    network[1].eval()  # a frozen normalisation stays frozen
    x = torch.rand(8, 4)
    with evaluating(network):
        assert not any(module.training for module in network.modules())
        first, second = network(x), network(x)
        assert torch.equal(first, second)  # no dropout
        assert not first.requires_grad
    assert [module.training for module in network.modules()] == [True, True, False, True]
    assert network(x).requires_grad


def test_modes_return_after_an_error():
    network = nn.Sequential(nn.Dropout()).train()
    with pytest.raises(KeyError), evaluating(network):
        raise KeyError
    assert network.training
    assert network[0].training
