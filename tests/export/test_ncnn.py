"""Files for ncnn. Oracle: the network itself; the files are run by ncnn's own package."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import escsr
from escsr.cli.main import app
from escsr.export import to_ncnn
from escsr.model import SuperResolver

ncnn = pytest.importorskip("ncnn")
pnnx = pytest.importorskip("pnnx")

SMALL = {"num_blocks": 1, "conv_blocks": 1, "window_size": 8}
PHOTO = Path(__file__).resolve().parents[1] / "data" / "photo.png"


def small(backbone: str, **options: object) -> SuperResolver:
    torch.manual_seed(0)
    return escsr.build(backbone, backbone_args=SMALL, **options).eval()


def test_both_files_are_run_by_ncnn_on_a_photo(tmp_path: Path) -> None:
    made = to_ncnn("default", tmp_path / "m.param", scale=3, image_size=(48, 64))
    assert made.proof.worst.difference < 2e-5
    assert made.proof.runtime.startswith("ncnn ")
    assert {p.name for p in tmp_path.iterdir()} == {"m.param", "m.bin", "m.param.json"}
    kept = json.loads((tmp_path / "m.param.json").read_text("utf-8"))
    assert kept["facts"]["alignment"] == "pictures of 48 rows and 64 columns"

    net = ncnn.Net()
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)
    assert net.load_param(str(tmp_path / "m.param")) == 0
    assert net.load_model(str(tmp_path / "m.bin")) == 0
    pixels = np.asarray(Image.open(PHOTO).convert("RGB"))[:48, :64]
    lq = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32) / 255
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(lq).clone())
    code, sr = extractor.extract("output")
    assert code == 0
    with torch.inference_mode():
        expected = escsr.load("default")(torch.from_numpy(lq)[None], scale=3)[0].numpy()
    np.testing.assert_allclose(np.array(sr), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("esc", {"scale": 2}),
        ("esc_fp", {"scale": 3}),  # factors of the bias beside q and k
        ("esc_real", {"scale": 2}),  # folds the picture, and has a skip around everything
        ("esc_rib", {"scale": 2}),  # gates
        ("esc_tiny", {"scale": 2, "head": "dysample"}),
    ],
)
def test_backbones_of_every_kind(tmp_path: Path, backbone: str, options: dict[str, object]) -> None:
    made = to_ncnn(small(backbone, **options), tmp_path / "m.param", image_size=(16, 32))
    assert made.proof.worst.difference < 1e-5


def test_half_precision_halves_the_weights(tmp_path: Path) -> None:
    model = small("esc_tiny", scale=2)
    for name, fp16 in (("whole", False), ("half", True)):
        to_ncnn(model, tmp_path / f"{name}.param", image_size=(16, 16), fp16=fp16)
    sizes = [(tmp_path / f"{name}.bin").stat().st_size for name in ("whole", "half")]
    assert 0.4 < sizes[1] / sizes[0] < 0.65


def test_what_does_not_convert_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small("esc_tiny", scale=2)
    with pytest.raises(ValueError, match="only 'metasr'"):
        to_ncnn(small("esc_tiny", head="lte"), tmp_path / "m.param", scale=2)
    with pytest.raises(ValueError, match=r"\(scale=2, …\)"):
        to_ncnn("default", tmp_path / "m.param")
    with pytest.raises(ValueError, match="multiples of 8 for this network, not 20x16"):
        to_ncnn(model, tmp_path / "m.param", image_size=(16, 20))
    with pytest.raises(ValueError, match=r"pass NAME\.param"):
        to_ncnn(model, tmp_path / "m.bin")
    unreadable = r"printf '7767517\n1 1\nPad x 0 1 in0\n' > network.ncnn.param"
    for script, message in (
        ("echo no such operator; exit 3", r"exit status 3\): no such operator"),
        (f"{unreadable}; : > network.ncnn.bin", "ncnn cannot run .* does not know"),
    ):
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        program.chmod(0o755)
        monkeypatch.setattr(pnnx, "EXEC_PATH", str(program))
        with pytest.raises(ValueError, match=message):
            to_ncnn(model, tmp_path / "m.param", image_size=(16, 16))
        program.unlink()
    monkeypatch.setitem(sys.modules, "pnnx", None)
    with pytest.raises(ModuleNotFoundError, match=r"escsr\[ncnn\]"):
        to_ncnn(model, tmp_path / "m.param")
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path: Path) -> None:
    command = ["export", "esc_tiny_x2", "-o", str(tmp_path / "m.param"), "--format", "ncnn"]
    result = CliRunner().invoke(app, [*command, "--image-size", "32x16"])
    assert result.exit_code == 0, result.output
    assert "at most" in result.output
    assert (tmp_path / "m.bin").is_file()
    refused = CliRunner().invoke(app, [*command, "--for", "web"])
    assert str(refused.exception) == "only --format onnx takes --for"
