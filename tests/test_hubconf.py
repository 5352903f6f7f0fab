"""torch.hub finds the models in a clone.

Oracle: torch.hub itself, and `escsr.load`.
"""

import importlib.util
import runpy
from pathlib import Path

import pytest
import torch

import escsr
from escsr.models import ALIASES, NotFetchedError, embedded, published

ROOT = str(Path(__file__).resolve().parents[1])


def test_every_model_is_an_entry():
    names = runpy.run_path(f"{ROOT}/hubconf.py")
    # torch.hub.list and help know only GitHub; this is their rule.
    entries = {n for n, thing in names.items() if callable(thing) and not n.startswith("_")}
    assert entries == {"load", "build", *embedded(), *published(), *ALIASES}
    assert "invents texture" in names["esc_real_x4_gan"].__doc__
    for dependency in names["dependencies"]:
        assert importlib.util.find_spec(dependency)


@pytest.mark.parametrize("words", [("esc_tiny_x4",), ("load", "esc_tiny_x4")], ids=str)
def test_models_are_those_of_load(words):
    model = torch.hub.load(ROOT, *words, source="local")
    lq = torch.rand(1, 3, 6, 7)
    with torch.inference_mode():
        assert torch.equal(model(lq), escsr.load("esc_tiny_x4")(lq))


def test_build_and_names_of_their_own():
    arguments = {"num_blocks": 1}
    model = torch.hub.load(
        ROOT, "build", "esc_tiny", source="local", scale=3, backbone_args=arguments
    )
    assert model.scale == 3
    # Each entry opens its own name, not the last one of the loop.
    assert torch.hub.load(ROOT, "esc_tiny_x2", source="local").scale == 2
    assert torch.hub.load(ROOT, "real", source="local", attention="math").scale is None


def test_published_ones_are_fetched_like_everywhere(monkeypatch, tmp_path):
    monkeypatch.setenv("ESCSR_OFFLINE", "1")
    monkeypatch.setenv("ESCSR_CACHE", str(tmp_path))
    with pytest.raises(NotFetchedError, match="esc_lte is not on this machine"):
        torch.hub.load(ROOT, "esc_lte", source="local")
