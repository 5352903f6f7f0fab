"""`engine="onnx"` and ONNX files as models. Oracle: the same call through PyTorch."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from typer.testing import CliRunner

import escsr
from escsr.cli.main import app
from escsr.export import to_onnx
from escsr.images import Picture, write_image
from escsr.inference import UpscaleNotice
from escsr.inference.onnx_engine import pick_providers
from escsr.inference.tiles import TiledMap
from escsr.layers import Band

PHOTO = Path(__file__).resolve().parents[1] / "data" / "photo.png"

pytestmark = pytest.mark.filterwarnings("ignore::escsr.inference.UpscaleNotice")


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("model", ["default", "esc_tiny_x2"])
@pytest.mark.parametrize("asked", [{"scale": 3}, {"scale": 2.5}, {"size": (61, 40)}, {"width": 20}])
def test_both_engines_make_the_same_picture(model: str, asked: dict[str, object]) -> None:
    array = picture(23, 31, 4)  # with transparency
    torch_made = escsr.upscale(array, model=model, **asked)
    onnx_made = escsr.upscale(array, model=model, engine="onnx", **asked)
    assert onnx_made.shape == torch_made.shape
    assert np.abs(onnx_made.astype(int) - torch_made).max() <= 1


def test_batches_half_precision_and_the_ensemble() -> None:
    lq = torch.rand(3, 3, 12, 17)
    exact = escsr.upscale(lq, scale=2)
    up = escsr.Upscaler(engine="onnx", providers=["cpu"])
    torch.testing.assert_close(up(lq, scale=2), exact, rtol=0, atol=1e-5)
    half = escsr.upscale(lq, scale=2, engine="onnx", precision="fp16")
    assert 0 < (half - exact).abs().max() < 2 / 255
    means = [escsr.upscale(lq[:1], scale=2, ensemble=True, engine=e) for e in ("torch", "onnx")]
    torch.testing.assert_close(*means, rtol=0, atol=1e-5)


def test_what_does_not_fit_is_made_in_bands() -> None:
    array = picture(300, 120)
    up = escsr.Upscaler("esc_tiny_x2", engine="onnx", memory="60MiB")
    assert up.plan((300, 120)).way.kind == "bands"
    assert np.abs(up(array).astype(int) - escsr.upscale(array, model="esc_tiny_x2")).max() <= 1


def test_files_are_models(tmp_path: Path) -> None:
    lq = torch.rand(2, 3, 9, 14)
    fixed, free, own = (tmp_path / f"{name}.onnx" for name in ("fixed", "free", "own"))
    to_onnx("default", fixed, scale=3)
    to_onnx("default", free)
    to_onnx("esc_tiny_x2", own, target="openvino")  # one picture at a time
    up = escsr.Upscaler(fixed)
    assert up.scale == 3
    torch.testing.assert_close(up(lq), escsr.upscale(lq, scale=3), rtol=0, atol=1e-5)
    assert escsr.Upscaler(free).scale is None
    made = escsr.upscale(lq, model=free, size=(20, 33))
    torch.testing.assert_close(made, escsr.upscale(lq, size=(20, 33)), rtol=0, atol=1e-5)
    made = escsr.upscale(lq, model=str(own))
    torch.testing.assert_close(made, escsr.upscale(lq, model="esc_tiny_x2"), rtol=0, atol=1e-5)


def test_what_does_not_fit_is_made_in_tiles_by_a_file(tmp_path: Path) -> None:
    small = {"num_blocks": 1, "conv_blocks": 1, "window_size": 8, "dim": 8, "partial_dim": 4}
    model = escsr.build("esc_tiny", head="metasr", backbone_args=small).eval()
    to_onnx(model, tmp_path / "free.onnx")
    to_onnx(model, tmp_path / "fixed.onnx", scale=2)
    photo = escsr.images.read_rgb(PHOTO)[:, :100]
    photo = np.concatenate([photo, photo[::-1]])[:150]
    whole = escsr.upscale(photo, model=model, scale=2).astype(int)
    for file in ("free", "fixed"):
        up = escsr.Upscaler(tmp_path / f"{file}.onnx", memory="40MiB")
        way = up.plan((150, 100), scale=2).way
        assert way.kind == "tiles"
        assert str(way) == "tiles of 32×32"
        with pytest.warns(UpscaleNotice, match="overlapping tiles, which differ a little"):
            made = up(photo, scale=2)
        assert np.abs(made - whole).max() <= 4
        assert np.abs(made - whole).mean() < 0.5
    assert escsr.Upscaler(tmp_path / "free.onnx").plan((150, 100), scale=2).way.kind == "whole"
    # The network behind a file has no weights, so nothing may be made by it.
    up = escsr.Upscaler(tmp_path / "free.onnx", memory="40MiB")
    with pytest.raises(MemoryError, match="Ask for a whole scale"):
        up(photo, scale=1.5)
    with pytest.raises(MemoryError, match="GiB"):
        escsr.Upscaler(tmp_path / "fixed.onnx", memory="1MiB")(photo)


def test_large_pictures_are_cut_where_that_was_asked(tmp_path: Path) -> None:
    small = {"num_blocks": 1, "conv_blocks": 1, "window_size": 8, "dim": 8, "partial_dim": 4}
    to_onnx(escsr.build("esc_tiny", scale=2, backbone_args=small), tmp_path / "m.onnx")
    up = escsr.Upscaler(tmp_path / "m.onnx", tiles="fast")
    assert [up.plan((20, side)).way.kind for side in (512, 513)] == ["whole", "tiles"]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*overlapping tiles")
        assert up(picture(8, 513)).shape == (16, 1026, 3)


def test_when_memory_runs_out_a_file_makes_the_picture_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = escsr.load("esc_tiny_x2")
    to_onnx(model, tmp_path / "m.onnx")
    up = escsr.Upscaler(tmp_path / "m.onnx")
    honest, seen = onnxruntime.InferenceSession.run, []

    def tight(self, names, fed):
        seen.append(fed["input"].shape[2])
        if seen[-1] > 100:
            raise RuntimeError("Failed to allocate memory for requested buffer of size 9")
        return honest(self, names, fed)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", tight)
    array = picture(130, 20)
    with pytest.warns(UpscaleNotice, match="memory ran out: the work is done again in parts"):
        made = up(array)
    assert seen == [130, 96, 98, 34]  # tiles of 64 rows, and what is around them
    assert np.abs(made.astype(int) - escsr.upscale(array, model=model)).max() <= 4


@pytest.mark.parametrize("factor", [1, 3])
def test_tiles_of_a_result_that_depends_on_neighbours_only_are_exact(factor: int) -> None:
    lq = torch.rand(2, 3, 50, 37)

    def make(part: torch.Tensor) -> torch.Tensor:
        return F.interpolate(part, scale_factor=factor, mode="bicubic", align_corners=False)

    made = torch.zeros(2, 3, 50 * factor, 37 * factor)
    seen: list[float] = []
    tiles = TiledMap(make, Band.whole(lq), align=8, halo=8, factor=factor, tile=16)

    def write(top: int, rows: torch.Tensor) -> None:
        made[:, :, top : top + rows.shape[2]] += rows

    tiles.run(write, seen.append)
    torch.testing.assert_close(made, make(lq), rtol=0, atol=1e-5)
    assert seen[-1] == 1


def test_files_that_are_no_models(tmp_path: Path) -> None:
    tile = tmp_path / "tile.onnx"
    to_onnx("esc_tiny_x2", tile, image_size=(8, 8))
    with pytest.raises(ValueError, match="8 rows and 8 columns only"):
        escsr.Upscaler(tile)
    foreign = tmp_path / "foreign.onnx"
    proto = onnx.load(tile)
    del proto.metadata_props[:]
    onnx.save(proto, foreign)
    with pytest.raises(ValueError, match="not written by 'escsr export'"):
        escsr.Upscaler(foreign)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.onnx"):
        escsr.Upscaler(tmp_path / "nowhere.onnx")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "tvm"}, "torch, onnx"),
        ({"engine": "onnx", "precision": "bf16"}, "fp32 or fp16"),
        ({"engine": "onnx", "device": "cuda"}, "providers"),
        ({"providers": ["cpu"]}, "engine='onnx'"),
        ({"engine": "onnx", "providers": ["cdua"]}, "cuda"),
        ({"engine": "onnx", "providers": ["tensorrt"]}, "which has: .*cpu"),
    ],
)
def test_impossible_requests(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        escsr.Upscaler("esc_tiny_x2", **options)  # type: ignore[arg-type]


def test_providers_by_name() -> None:
    assert pick_providers(["cpu"]) == ["CPUExecutionProvider"]
    assert pick_providers(None)[-1] == "CPUExecutionProvider"


def test_untrained_networks_are_told_of(tmp_path: Path) -> None:
    small = {"num_blocks": 1, "conv_blocks": 1}
    to_onnx(escsr.build("esc_tiny", scale=2, backbone_args=small), tmp_path / "m.onnx")
    with pytest.warns(UpscaleNotice, match="untrained"):
        escsr.upscale(picture(8, 8), model=tmp_path / "m.onnx")


def test_the_command(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", Picture(pixels=picture(10, 12)))
    to_onnx("esc_tiny_x2", tmp_path / "m.onnx")
    command = ["upscale", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for options in (["--engine", "onnx"], ["-m", str(tmp_path / "m.onnx")]):
            result = CliRunner().invoke(app, [*command, *options, "--scale", "2"])
            assert result.exit_code == 0, result.output
            assert (tmp_path / "b.png").is_file()
