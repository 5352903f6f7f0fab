"""Programs of `torch.export`. Oracle: the network itself; loaded where escsr cannot be imported."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch._inductor.exc import InvalidCxxCompiler
from typer.testing import CliRunner

import escsr
from escsr.cli.main import app
from escsr.export import to_pt2
from escsr.export.graphs import Options, make_onnx
from escsr.export.torch_program import TorchGraph

SMALL = {"num_blocks": 1, "conv_blocks": 1, "window_size": 8, "dim": 8, "partial_dim": 4}
ELSEWHERE = """
import sys, torch
sys.modules["escsr"] = None
lq, expected = torch.load("given.pt")
found = torch.export.load("m.pt2").module()(lq)
assert (found - expected).abs().max() < 1e-5
"""


def test_a_program_loads_without_escsr(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = escsr.build("esc_tiny", scale=2, backbone_args=SMALL).eval()
    made = to_pt2(model, tmp_path / "m.pt2")
    assert len(made.proof.checks) == 10  # from 1×1 on
    assert made.proof.worst.difference < 1e-5
    assert json.loads((tmp_path / "m.pt2.json").read_text("utf-8"))["facts"]["scale"] == "2"
    lq = torch.rand(3, 3, 9, 30)
    with torch.no_grad():
        torch.save((lq, model(lq)), tmp_path / "given.pt")
    subprocess.run([sys.executable, "-c", ELSEWHERE], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("esc_fp", {"scale": 2, "backbone_args": {**SMALL, "num_heads": 2}}),
        ("esc_real", {"scale": 2, "backbone_args": SMALL}),
        ("esc_real", {"scale": 4, "head": "dysample", "backbone_args": SMALL}),
        ("esc_rib", {"scale": 3, "backbone_args": SMALL}),
        ("esc_tiny", {"head": "metasr", "backbone_args": SMALL}),
    ],
)
@pytest.mark.parametrize("opset", [17, 20])
def test_graphs_run_in_pytorch(backbone: str, options: dict[str, object], opset: int) -> None:
    torch.manual_seed(0)
    model = escsr.build(backbone, **options).eval()  # type: ignore[arg-type]
    scale = None if model.scale is not None else 3
    graph = TorchGraph(make_onnx(model, Options(scale=scale, opset=opset), {}))
    for size in ((1, 1, 1), (2, 9, 5)):
        lq = torch.rand(size[0], 3, *size[1:])
        with torch.no_grad():
            torch.testing.assert_close(graph(lq), model(lq, scale=scale), rtol=0, atol=1e-5)


COMPILED = """
import sys, torch
sys.modules["escsr"] = None
lq, expected = torch.load("given.pt")
program = torch._inductor.aoti_load_package("m.pt2")
assert (program(lq) - expected).abs().max() < 1e-5
assert program.get_metadata()["scale"] == "3"
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_a_compiled_program_loads_without_escsr(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = escsr.build("esc_tiny", head="metasr", backbone_args=SMALL).eval()
    made = to_pt2(model, tmp_path / "m.pt2", scale=3, compiled_for=(11, 19))
    assert made.proof.worst.difference < 1e-5
    assert made.facts["alignment"] == "pictures of 11 rows and 19 columns"
    lq = torch.rand(1, 3, 11, 19)
    with torch.no_grad():
        torch.save((lq, model(lq, scale=3)), tmp_path / "given.pt")
    subprocess.run([sys.executable, "-c", COMPILED], cwd=tmp_path, check=True)


def test_compiling_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(*args: object, **options: object) -> None:
        raise InvalidCxxCompiler

    monkeypatch.setattr("torch._inductor.aoti_compile_and_package", without)
    model = escsr.build("esc_tiny", scale=2, backbone_args=SMALL).eval()
    with pytest.raises(ValueError, match="needs a C\\+\\+ compiler"):
        to_pt2(model, tmp_path / "m.pt2", compiled_for=(8, 8))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "aoti"], "set it with --image-size"),
        (["--format", "pt2", "--image-size", "8x8"], "takes no --image-size"),
        (["--format", "pt2", "--opset", "18"], "only --format onnx takes --opset"),
        (["--format", "ncn"], "ncnn"),
    ],
)
def test_formats_and_options_that_do_not_go_together(
    tmp_path: Path, options: list[str], message: str
) -> None:
    command = ["export", "esc_tiny_x2", "-o", str(tmp_path / "m.pt2"), *options]
    assert message in str(CliRunner().invoke(app, command).exception)


def test_impossible_requests(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"end in \.pt2"):
        to_pt2("esc_tiny_x2", tmp_path / "m.pt")
    with pytest.raises(ValueError, match=r"\(scale=2, …\)"):
        to_pt2("default", tmp_path / "m.pt2")
    with pytest.raises(ValueError, match="whole pixels"):
        to_pt2("esc_tiny_x2", tmp_path / "m.pt2", compiled_for=(0, 8))
