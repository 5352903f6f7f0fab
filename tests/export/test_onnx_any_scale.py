"""ONNX files of networks for any scale, at free sizes and in parts. Oracle: the network itself."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from typer.testing import CliRunner

import escsr
from escsr.cli.main import app
from escsr.export import to_onnx, to_onnx_parts
from escsr.export.graphs import Options, make_onnx
from escsr.layers import make_cells, make_coords
from escsr.model import SuperResolver

SMALL = {"num_blocks": 1, "conv_blocks": 1, "dim": 8, "partial_dim": 4, "window_size": 8}
HEADS = {
    "liif": {"hidden_dim": 12},
    "lte": {"hidden_dim": 12},
    "lte_fast": {"hidden_dim": 12},
    "metasr": {"hidden_dim": 40, "image_skip": "bilinear"},
    "lmf_liif": {"hidden_dim": 12, "cell_max_scale": 3},
    "lmf_lte": {"hidden_dim": 12},
}


def small(head: str, **args: object) -> SuperResolver:
    torch.manual_seed(0)
    head_args = {**HEADS[head], **args}
    return escsr.build("esc_tiny", head=head, backbone_args=SMALL, head_args=head_args).eval()


@pytest.mark.parametrize("head", HEADS)
def test_free_sizes(tmp_path: Path, head: str) -> None:
    model = small(head)
    path = tmp_path / "model.onnx"
    made = to_onnx(model, path)
    assert made.proof.worst.difference < 2e-5
    assert made.facts["scale"] == "any"
    sizes = {(c.out_height / c.height, c.out_width / c.width) for c in made.proof.checks}
    assert len(sizes) > 4
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    lq = torch.rand(2, 3, 6, 11)
    size = np.asarray([29, 17], dtype=np.int64)
    (found,) = session.run(None, {"input": lq.numpy(), "size": size})
    with torch.inference_mode():
        expected = model(lq, size=(29, 17)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("head", "args"),
    [
        ("liif", {"local_ensemble": False, "cell_decode": False, "unfold": False}),
        ("lte", {"cell_decode": False, "image_skip": None, "cell_max_scale": None}),
        ("lmf_liif", {"cell_decode": False, "image_skip": "bilinear"}),
        ("lmf_lte", {"cell_decode": False, "local_ensemble": False}),
    ],
)
def test_other_arguments_of_heads(tmp_path: Path, head: str, args: dict[str, object]) -> None:
    made = to_onnx(small(head, **args), tmp_path / "model.onnx", scale=3)
    assert made.facts["scale"] == "3"
    assert made.proof.worst.difference < 2e-5


@pytest.mark.parametrize("head", HEADS)
def test_two_parts_answer_at_points(tmp_path: Path, head: str) -> None:
    model = small(head)
    paths = tmp_path / "encode.onnx", tmp_path / "at.onnx"
    made, _ = to_onnx_parts(model, *paths)
    assert made.proof.worst.difference < 2e-5
    kept = json.loads((tmp_path / "at.onnx.json").read_text("utf-8"))
    assert len(kept["checks"]) == 10
    encode, at = (
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in paths
    )
    lq, coords = torch.rand(1, 3, 7, 5), torch.rand(1, 40, 2) * 2 - 1
    cells = make_cells((21, 15)).expand(1, 40, 2).contiguous()
    (features,) = encode.run(None, {"input": lq.numpy()})
    given = {"features": features, "input": lq.numpy()}
    given |= {"coords": coords.numpy(), "cells": cells.numpy()}
    with torch.inference_mode():
        expected = model.query(lq, coords, cells).numpy()
    np.testing.assert_allclose(at.run(None, given)[0], expected, rtol=0, atol=2e-5)
    grid = make_coords((21, 15))[None].numpy()
    given |= {"coords": grid, "cells": cells[:, :1].expand(1, 315, 2).contiguous().numpy()}
    picture = at.run(None, given)[0].reshape(21, 15, 3).transpose(2, 0, 1)
    with torch.inference_mode():
        np.testing.assert_allclose(picture, model(lq, scale=3)[0].numpy(), rtol=0, atol=5e-5)


def test_the_default_model_in_half_precision(tmp_path: Path) -> None:
    made = to_onnx("default", tmp_path / "model.onnx", fp16=True)
    assert made.proof.worst.difference < 2 / 255


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\(scale=2, …\)"):
        to_onnx(small("lte"), tmp_path / "model.onnx", target="chainner")
    with pytest.raises(ValueError, match="only 'metasr'"):
        to_onnx(small("lte"), tmp_path / "model.onnx", target="chainner", scale=2)
    with pytest.raises(ValueError, match="answers at no points"):
        to_onnx_parts("esc_tiny_x2", tmp_path / "a.onnx", tmp_path / "b.onnx")
    folded = escsr.build("esc_real", head="lte", backbone_args={**SMALL, "unshuffle": 2})
    with pytest.raises(ValueError, match="do not fold"):
        make_onnx(folded, Options(scale=2), {})
    assert not list(tmp_path.iterdir())


def test_the_command_writes_two_parts(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", "default", "-o", str(tmp_path / "m"), "--parts"])
    assert result.exit_code == 0, result.output
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {f"m.{part}.onnx{end}" for part in ("encode", "at") for end in ("", ".json")}
    command = ["export", "default", "-o", str(tmp_path / "m"), "--parts", "--scale", "2"]
    refused = CliRunner().invoke(app, command)
    assert "takes no --scale" in str(refused.exception)
