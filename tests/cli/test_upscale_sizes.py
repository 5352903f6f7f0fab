"""`escsr upscale` makes exactly the size asked, of one picture and of a folder.

Oracle: the size in the written file.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import escsr
from escsr import checkpoints
from escsr.cli.main import app
from escsr.images import Picture, image_size, write_image


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = escsr.build("esc_tiny", scale=2, backbone_args={"num_blocks": 1, "conv_blocks": 1})
    model.trained = True
    path = tmp_path_factory.mktemp("weights") / "two.safetensors"
    checkpoints.save(model, path, facts={"recipe": "none"})
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A wide picture and a tall one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, shape in (("wide.png", (17, 31)), ("tall.png", (40, 20)), ("dot.png", (1, 1))):
        pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
        write_image(folder / name, Picture(pixels=pixels))
    return folder


def run(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(a) for a in args])
    return result.exit_code, result.output + (str(result.exception) if result.exception else "")


# (W, H) of the wide picture (31×17), the tall one (20×40) and the dot (1×1).
OPTIONS = {
    ("--scale", "2.5"): ((78, 42), (50, 100), (2, 2)),
    ("--size", "24x30"): ((24, 30), (24, 30), (24, 30)),
    ("--size", "29×7"): ((29, 7), (29, 7), (29, 7)),
    ("--width", "30"): ((30, 16), (30, 60), (30, 30)),
    ("--height", "30"): ((55, 30), (15, 30), (30, 30)),
    ("--min-side", "25"): ((46, 25), (25, 50), (25, 25)),
    ("--max-side", "25"): ((25, 14), (13, 25), (25, 25)),
}


@pytest.mark.parametrize("option", OPTIONS, ids=" ".join)
def test_every_option_on_a_folder(
    option: tuple[str, str], photos: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, said = run("upscale", photos, "-o", out, "-m", weights, *option)
    assert code == 0, said
    made = [image_size(out / f"{name}.png")[::-1] for name in ("wide", "tall", "dot")]
    assert made == list(OPTIONS[option])


def test_smaller_is_told(photos: Path, weights: Path, tmp_path: Path) -> None:
    code, said = run(
        "upscale", photos / "wide.png", "-o", tmp_path / "s.png", "-m", weights, "-s", 0.5
    )
    assert code == 0
    assert "smaller than the picture" in " ".join(said.split())
    assert image_size(tmp_path / "s.png") == (8, 16)


def test_a_wrong_request_is_said_once(photos: Path, weights: Path, tmp_path: Path) -> None:
    code, said = run("upscale", photos, "-o", tmp_path / "out", "-m", weights, "--scale", 99)
    assert code != 0
    assert said.count("up to 30") == 1
    assert not (tmp_path / "out").exists()
