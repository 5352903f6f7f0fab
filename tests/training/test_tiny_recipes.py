"""The project's recipes for one CPU really run. Oracles: the files they leave and the networks in
them, which make the sizes asked for and are not those that they started from."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from rich.console import Console

import escsr
from escsr.recipe import load
from escsr.training import train

ROOT = Path(__file__).parents[2]

STARTS = {
    "arbitrary_tiny": "esc_tiny_x2",
    "real_arbitrary_tiny": "default",
    "real_gan_tiny": "real",
}
"""What each recipe starts from; the adversarial one's own start is a file of a run."""


def cut_short(name):
    """A recipe of the project on the project's own two photos, for two steps of two samples."""
    recipe = load(ROOT / "recipes" / f"{name}.py")
    return replace(
        recipe,
        data=partial(recipe.data, roots=(ROOT / "examples",), exclude=(), group=2),
        validation=partial(
            recipe.validation,
            roots=(ROOT / "tests" / "data",),
            include=("*.png",),
            crop=64,
            count=1,
        ),
        steps=2,
        batch=2,
        validate_every=2,
    )


@pytest.mark.parametrize("name", STARTS)
def test_recipe_for_any_scale_trains(tmp_path, name):
    recipe = cut_short(name)
    if name == "real_gan_tiny":
        recipe = replace(recipe, start_from="real")
    summary = train(recipe, out=tmp_path, console=Console(quiet=True))
    assert summary.finished
    assert summary.skipped == 0
    assert summary.metrics["psnr_y"] > 10
    model = escsr.load(summary.weights)
    with torch.inference_mode():
        assert model.eval()(torch.rand(1, 3, 9, 7), scale=2.7).shape == (1, 3, 24, 19)
    before, after = (
        m.state_dict()["backbone.last.bias"] for m in (escsr.load(STARTS[name]), model)
    )
    channels = after[:: len(after) // len(before)]  # one of each pair in a doubled network
    assert not torch.equal(before, channels)
    assert torch.allclose(before, channels, atol=0.02)
    assert (tmp_path / "discriminator.safetensors").is_file() == (name == "real_gan_tiny")
