"""ONNX files compute what their networks do. Oracle: the network itself, and the ONNX checker."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import escsr
from escsr.export import to_onnx
from escsr.export.graph import FLOAT
from escsr.export.graphs import OPSETS, Options, make_onnx
from escsr.export.targets import TARGETS
from escsr.model import SuperResolver

SMALL = {"num_blocks": 1, "conv_blocks": 2, "window_size": 8}
# One pixel, a line, below a window, one off a window, several at once.
SIZES = [(1, 1, 1), (1, 1, 7), (1, 5, 3), (1, 7, 9), (2, 17, 12)]


def small(backbone: str, **options: object) -> SuperResolver:
    torch.manual_seed(0)
    args = {**SMALL, **options.pop("backbone_args", {})}  # type: ignore[dict-item]
    return escsr.build(backbone, backbone_args=args, **options).eval()


def written(
    model: SuperResolver,
    *,
    target: str = "generic",
    scale: int | None = None,
    size: tuple[int, int] | None = None,
    opset: int = 17,
    half: bool = False,
) -> onnx.ModelProto:
    options = Options(target=TARGETS[target], scale=scale, image_size=size, opset=opset, half=half)
    proto = make_onnx(model, options, {})
    onnx.checker.check_model(proto, full_check=True)
    return proto


def differences(
    proto: onnx.ModelProto,
    model: SuperResolver,
    sizes: list[tuple[int, int, int]],
    scale: int | None = None,
) -> list[float]:
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found = []
    for batch, height, width in sizes:
        lq = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            expected = model(lq, scale=scale).numpy()
        result = session.run(None, {"input": lq.numpy()})[0]
        assert result.shape == expected.shape
        found.append(float(np.abs(result - expected).max()))
    return found


@pytest.mark.parametrize(
    ("backbone", "scale"),
    [
        ("esc", 4),
        ("esc_light", 3),
        ("esc_fp", 2),
        ("esc_real", 4),
        ("esc_real", 2),  # folds the picture
        ("esc_real", 1),
        ("esc_rib", 2),
        ("esc_tiny", 1),
    ],
)
def test_backbones_of_any_size_and_batch(backbone: str, scale: int) -> None:
    model = small(backbone, scale=scale)
    assert max(differences(written(model), model, SIZES)) < 1e-5
    assert max(differences(written(model, half=True), model, SIZES)) < 2 / 255


@pytest.mark.parametrize(
    ("head", "scale", "args"),
    [
        ("pixel_shuffle", 3, {"image_skip": "bicubic"}),
        ("pixel_shuffle", 2, {"image_skip": None}),
        ("pixel_shuffle_multi", 4, {}),
        ("nearest_conv", 4, {}),
        ("nearest_conv", 3, {"conv_first": True}),
        ("dysample", 2, {}),
        ("dysample", 3, {"mid_dim": 16}),
        ("conv", 1, {}),
    ],
)
def test_heads_of_one_scale(head: str, scale: int, args: dict[str, object]) -> None:
    model = small("esc_tiny", head=head, scale=scale, head_args=args)
    assert max(differences(written(model), model, SIZES)) < 1e-5


def test_a_skip_of_the_picture_around_a_network_that_folds_it() -> None:
    model = small("esc_real", head="pixel_shuffle", scale=2, head_args={"image_skip": "bicubic"})
    assert max(differences(written(model), model, SIZES)) < 1e-5


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("image_skip", ["bilinear", None])
def test_metasr_at_a_whole_scale_is_a_convolution(scale: int, image_skip: str | None) -> None:
    model = small(
        "esc_tiny", head="metasr", head_args={"image_skip": image_skip, "cell_max_scale": 4}
    )
    proto = written(model, scale=scale)
    assert max(differences(proto, model, SIZES, scale)) < 1e-5
    assert not {"Gather", "Resize"} & {node.op_type for node in proto.graph.node[-12:]}


@pytest.mark.parametrize("opset", [OPSETS.start, 18, 20, OPSETS[-1]])
def test_every_kind_of_operators(opset: int) -> None:
    model = escsr.load("esc_tiny_x2")
    assert max(differences(written(model, opset=opset), model, SIZES)) < 1e-5


@pytest.mark.parametrize(
    ("model", "scale"),
    [
        (escsr.load("default"), 4),
        (small("esc_fp", scale=4), None),
        (small("esc_real", scale=4), None),
        (small("esc_rib", scale=4), None),
        (small("esc_tiny", head="dysample", scale=4), None),
    ],
)
def test_chainner_finds_the_scale(model: SuperResolver, scale: int | None) -> None:
    proto = written(model, target="chainner", scale=scale)
    assert "Shape" not in {node.op_type for node in proto.graph.node} or (
        model.config.head == "dysample"
    )
    for side in (16, 64, 256, 512):
        sized = onnx.ModelProto()
        sized.CopyFrom(proto)
        for dim, value in zip(
            sized.graph.input[0].type.tensor_type.shape.dim, (1, 3, side, side), strict=True
        ):
            dim.dim_value = value
        inferred = onnx.shape_inference.infer_shapes(
            sized, check_type=True, strict_mode=True, data_prop=False
        )
        dims = inferred.graph.output[0].type.tensor_type.shape.dim
        assert [dim.dim_value for dim in dims] == [1, 3, 4 * side, 4 * side]


def test_one_size_needs_no_shapes_and_takes_no_other() -> None:
    model = small("esc_real", scale=2)
    proto = written(model, target="web", size=(13, 10))
    assert not {"Shape", "Range", "Clip"} & {node.op_type for node in proto.graph.node}
    assert differences(proto, model, [(1, 13, 10)])[0] < 1e-5
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
        differences(proto, model, [(1, 14, 10)])


def test_what_overflows_float16_is_computed_in_float32() -> None:
    proto = onnx.shape_inference.infer_shapes(written(small("esc_tiny", scale=2), half=True))
    types = {v.name: v.type.tensor_type.elem_type for v in proto.graph.value_info}
    wide = [n for n in proto.graph.node if n.op_type in ("ReduceMean", "LayerNormalization")]
    assert wide
    assert {types[node.input[0]] for node in wide} == {FLOAT}
    half = {n.op_type for n in proto.graph.node if types.get(n.output[0]) == 10}
    assert {"MatMul", "Softmax", "Conv"} <= half


def test_a_file_says_what_it_is_and_how_it_was_proved(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    made = to_onnx("default", path, scale=3, licence="MIT")
    assert len(made.proof.checks) == 10
    assert made.proof.worst.difference < 1e-5
    kept = json.loads((tmp_path / "model.onnx.json").read_text("utf-8"))
    assert kept["facts"] == made.facts
    assert len(kept["checks"]) == 10
    facts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert facts == made.facts
    assert facts["scale"] == "3"
    assert facts["licence"] == "MIT"
    assert facts["name"] == "esc_tiny_any"
    assert "sRGB" in facts["colours"]


def test_a_file_that_differs_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small("esc_tiny", scale=2)
    honest = SuperResolver.forward

    def shifted(self: SuperResolver, lq: torch.Tensor, **options: object) -> torch.Tensor:
        return honest(self, lq, **options) + (0.001 if lq.shape[-1] == 7 else 0)  # type: ignore[arg-type]

    monkeypatch.setattr(SuperResolver, "forward", shifted)
    with pytest.raises(ValueError, match=r"1×7 pixels .* is 0\.001 from"):
        to_onnx(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "chanier"}, "chainner"),
        ({"opset": 16}, "from 17 to"),
        ({"scale": 3}, "makes ×2 only"),
        ({"image_size": (0, 4)}, "whole pixels"),
    ],
)
def test_impossible_requests(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_onnx(small("esc_tiny", scale=2), tmp_path / "model.onnx", **options)  # type: ignore[arg-type]


def test_parts_that_nobody_wrote_down_are_refused(tmp_path: Path) -> None:
    class Mine(torch.nn.Module):
        pixel_range = (0.0, 1.0)

    model = small("esc_tiny", scale=2)
    model.head = Mine()  # type: ignore[assignment]
    with pytest.raises(ValueError, match="write_head"):
        written(model, scale=2)


def test_a_model_for_darktable_is_a_folder(tmp_path: Path) -> None:
    made = to_onnx(
        "default", tmp_path / "model_x2.onnx", scale=2, target="darktable", image_size=(32, 32)
    )
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    assert config["task"] == "upscale"
    assert config["id"] == "upscale-esc-tiny-any"
    assert made.facts["alignment"] == "pictures of 32 rows and 32 columns"
    with pytest.raises(ValueError, match=r"must be model_x4\.onnx"):
        to_onnx("default", tmp_path / "m.onnx", scale=4, target="darktable")
    with pytest.raises(ValueError, match="×2 and ×4"):
        to_onnx("default", tmp_path / "m.onnx", scale=3, target="darktable")


def test_the_command(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from escsr.cli.main import app

    path = tmp_path / "model.onnx"
    command = ["export", "esc_tiny_x2", "-o", str(path), "--for", "web", "--image-size", "20x12"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "made-up photo" in result.output
    assert onnx.load(path).graph.input[0].type.tensor_type.shape.dim[3].dim_value == 20
