"""Names to networks. Oracles: the paper's parameter counts, and what errors must say."""

from pathlib import Path

import pytest
import torch

import escsr
from escsr import checkpoints
from escsr.backbones import BACKBONES, Backbone
from escsr.build import build_from_config
from escsr.heads import HEADS
from escsr.layers import reflect_pad
from escsr.registry import Registry

# arXiv 2503.06671 and the published files.
PARAMETERS = [
    ("esc", None, 2, {}, 946_728),
    ("esc", None, 3, {}, 955_383),
    ("esc", None, 4, {}, 967_500),
    ("esc_light", None, 2, {}, 603_600),
    ("esc_light", None, 3, {}, 612_255),
    ("esc_light", None, 4, {}, 624_372),
    ("esc_fp", None, 2, {}, 523_675),
    ("esc_fp", None, 3, {}, 530_170),
    ("esc_fp", None, 4, {}, 539_263),
    ("esc_xl", None, 2, {}, 12_455_916),
    ("esc_xl", None, 3, {}, 12_481_851),
    ("esc_xl", None, 4, {}, 12_518_160),
    ("esc_rib", None, 2, {}, 1_007_796),
    ("esc_rib", None, 3, {}, 1_016_451),
    ("esc_rib", None, 4, {}, 1_028_568),
    ("esc_real", None, 4, {}, 2_265_307),
    ("esc_real", "dysample", 4, {}, 2_169_499),
    ("esc_real", "pixel_shuffle", 4, {}, 2_180_488),
    ("esc_real", "pixel_shuffle_multi", 4, {}, 2_348_059),
    ("esc_real", "nearest_conv", 4, {"conv_first": True}, 2_265_307),
    ("esc_real", "dysample", 4, {"mid_dim": 48}, 2_193_051),
]


@pytest.mark.parametrize(("backbone", "head", "scale", "head_args", "count"), PARAMETERS)
def test_parameters(backbone: str, head: str, scale: int, head_args: dict, count: int) -> None:
    model = escsr.build(backbone, head=head, scale=scale, head_args=head_args)
    assert sum(p.numel() for p in model.parameters()) == count


def test_tiny_is_tiny() -> None:
    model = escsr.build("esc_tiny", scale=4)
    assert 90_000 < sum(p.numel() for p in model.parameters()) < 110_000


def test_defaults_of_the_families() -> None:
    assert escsr.build("esc", scale=2).config.head_args["image_skip"] == "nearest"
    assert escsr.build("esc_fp", scale=2).config.head_args["image_skip"] == "bicubic"
    real = escsr.build("esc_real", scale=2)
    assert (real.config.head, real.backbone.stride, real.head.scale, real.scale) == (
        "nearest_conv",
        2,
        4,
        2,
    )
    assert escsr.build("esc_real", scale=1).backbone.stride == 4
    assert escsr.build("esc_real", scale=3).backbone.stride == 1
    plain = escsr.build("esc_real", scale=2, backbone_args={"unshuffle": 1})
    assert (plain.backbone.stride, plain.scale) == (1, 2)
    assert escsr.build("esc_real", head="conv", scale=1).backbone.stride == 1


class Folding(Backbone):
    """What a plug-in may be: a backbone that folds pixels, by an argument of its own naming."""

    def __init__(self, *, dim: int = 8, fold: int = 2) -> None:
        super().__init__()
        self.out_channels, self.stride = dim, fold
        self.conv = torch.nn.Conv2d(3, dim, fold, stride=fold)

    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        """One strided convolution of the padded picture."""
        height, width = lq.shape[-2:]
        return self.conv(reflect_pad(lq, right=-width % self.stride, bottom=-height % self.stride))


@pytest.fixture
def folding(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(BACKBONES._entries, "folding", Folding)
    return "folding"


@pytest.mark.parametrize("head", ["pixel_shuffle", "nearest_conv", "dysample"])
def test_a_backbone_that_folds_is_undone_by_the_head(folding: str, head: str) -> None:
    """Oracle: the size asked, which a head of the bare scale would not make."""
    for scale, args in ((4, {}), (2, {"fold": 4}), (2, {"fold": 1})):
        model = escsr.build(folding, head=head, scale=scale, backbone_args=args)
        assert model.scale == scale
        assert model.head.scale == scale * args.get("fold", 2)
        assert model(torch.rand(1, 3, 11, 6)).shape == (1, 3, 11 * scale, 6 * scale)
        again = build_from_config(model.config)
        assert (again.scale, again.config) == (scale, model.config)


def test_a_backbone_that_folds_under_heads_that_cannot_undo_it(folding: str) -> None:
    with pytest.raises(ValueError, match="cannot enlarge by 2"):
        escsr.build(folding, head="conv", scale=1)
    with torch.inference_mode():
        model = escsr.build(folding, head="lte", head_args={"hidden_dim": 8})
        assert model(torch.rand(1, 3, 6, 8), scale=2).shape == (1, 3, 12, 16)


def test_networks_are_drawn_once(folding: str) -> None:
    """Oracle: the same parts made by hand from the same state of the generator."""
    torch.manual_seed(3)
    model = escsr.build(folding, scale=2)
    torch.manual_seed(3)
    conv, head = Folding().conv, HEADS.get("pixel_shuffle")(8, scale=4)
    assert torch.equal(model.backbone.conv.weight, conv.weight)
    assert torch.equal(model.head.conv.weight, head.conv.weight)


def test_errors_name_the_options() -> None:
    with pytest.raises(ValueError, match="Did you mean 'esc_light'.*esc_tiny"):
        escsr.build("esc_lihgt", scale=2)
    with pytest.raises(ValueError, match="Did you mean 'dysample'"):
        escsr.build("esc", head="disample", scale=2)
    with pytest.raises(TypeError, match="backbone 'esc'.*'num_block'.*Did you mean 'num_blocks'"):
        escsr.build("esc", scale=2, backbone_args={"num_block": 3})
    with pytest.raises(TypeError, match="head 'pixel_shuffle'.*'groups'"):
        escsr.build("esc", scale=2, head_args={"groups": 3})
    with pytest.raises(TypeError, match="scale is an argument of build"):
        escsr.build("esc", scale=2, head_args={"scale": 3})
    with pytest.raises(ValueError, match=r"\(scale=2, …\)"):
        escsr.build("esc")
    with pytest.raises(ValueError, match=r"not 2\.5"):
        escsr.build("esc", scale=2.5)
    with pytest.raises(ValueError, match="power of two or by 3, not by 6"):
        escsr.build("esc", head="nearest_conv", scale=6)
    with pytest.raises(ValueError, match="cannot enlarge by 2"):
        escsr.build("esc", head="conv", scale=2)
    with pytest.raises(ValueError, match="unknown attention 'fast'"):
        escsr.build("esc_tiny", scale=2, attention="fast")
    with pytest.raises(ValueError, match="5 channels do not divide into 4 groups"):
        escsr.build("esc_tiny", head="dysample", scale=2, head_args={"mid_dim": 5})
    with pytest.raises(FileNotFoundError, match="no model of that name"):
        escsr.load("no_such_model")


def test_requests_are_checked() -> None:
    model = escsr.build("esc_tiny", scale=2)
    lq = torch.rand(1, 3, 5, 6)
    assert model(lq, size=(10, 12)).shape == model(lq, scale=2).shape == (1, 3, 10, 12)
    with pytest.raises(ValueError, match="×2 only.*not scale 3"):
        model(lq, scale=3)
    with pytest.raises(ValueError, match="not size 10×13"):
        model(lq, size=(10, 13))
    with pytest.raises(ValueError, match="not both"):
        model(lq, scale=2, size=(10, 12))
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\)"):
        model(torch.rand(3, 5, 6))
    with pytest.raises(TypeError, match=r"torch\.uint8"):
        model(torch.zeros(1, 3, 5, 6, dtype=torch.uint8))


def test_save_and_load_keep_everything(tmp_path: Path) -> None:
    model = escsr.build("esc_tiny", scale=3, backbone_args={"num_blocks": 1})
    assert not model.trained
    path = tmp_path / "mine.safetensors"
    checkpoints.save(model, path, facts={"steps": 7})
    assert not escsr.load(path).trained, "notes on weights do not train them"
    model.trained = True
    checkpoints.save(model, path, facts={"steps": 7})
    again = escsr.load(path)
    assert again.trained
    assert again.facts["steps"] == 7
    assert again.config == model.config
    assert [p.name for p in tmp_path.iterdir()] == ["mine.safetensors"]
    other = escsr.build("esc_tiny", scale=3, backbone_args={"num_blocks": 1}, weights=path)
    assert torch.equal(other.head.conv.weight, model.head.conv.weight)
    with pytest.raises(ValueError, match="does not fit esc_tiny"):
        escsr.build("esc_tiny", scale=2, weights=path)


def test_damaged_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    checkpoints.save(escsr.build("esc_tiny", scale=2), path)
    data = path.read_bytes()
    for length in (4, 60, 3000, len(data) - 5):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"mine\.safetensors"):
            escsr.load(path)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.safetensors"
    model = escsr.build("esc_tiny", scale=2)
    checkpoints.save(model, path)
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        checkpoints.save(model, path, facts={"steps": 1})
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_initialise_from_a_relative(tmp_path: Path) -> None:
    two = escsr.build("esc_tiny", scale=2)
    path = tmp_path / "two.safetensors"
    two.trained = True
    checkpoints.save(two, path)
    four = escsr.build("esc_tiny", scale=4)
    drawn_head = four.head.conv.weight.clone()
    with pytest.raises(ValueError, match="does not fit"):
        escsr.initialise_from(four, path)
    escsr.initialise_from(four, path, head="fresh")
    assert torch.equal(four.head.conv.weight, drawn_head)
    assert torch.equal(four.backbone.last.weight, two.backbone.last.weight)
    assert not four.trained, "its head is drawn"
    escsr.initialise_from(four, path, head="resample")
    assert four.trained
    # Bilinear resampling of a 2×2 grid to 4×4 keeps the corners and the mean.
    old = two.head.conv.weight.reshape(3, 2, 2, -1)
    new = four.head.conv.weight.reshape(3, 4, 4, -1)
    torch.testing.assert_close(new[:, 0, 0], old[:, 0, 0])
    torch.testing.assert_close(new[:, 3, 0], old[:, 1, 0])
    torch.testing.assert_close(new.mean((1, 2)), old.mean((1, 2)))
    other = escsr.build("esc_tiny", head="nearest_conv", scale=4)
    with pytest.raises(ValueError, match="pixel-shuffle heads"):
        escsr.initialise_from(other, path, head="resample")


def test_low_rank_biases_of_a_trained_network(tmp_path: Path) -> None:
    model = escsr.load("esc_tiny_x4")
    lq = torch.rand(1, 3, 40, 36, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = model(lq)
        differences, lost = [], []
        for rank in (4, 16, 256):
            other, errors = escsr.with_low_rank_bias(model, rank)
            assert set(errors) == {f"backbone.blocks.{i}.attention" for i in range(2)}
            assert all(len(per_head) == 2 for per_head in errors.values())
            lost.append(max(map(max, errors.values())))
            differences.append((other(lq) - wanted).abs().max().item())
    assert 1 > lost[0] > lost[1] > lost[2] < 1e-6
    assert differences[0] > differences[1] > differences[2] < 1e-5
    assert not other.training
    checkpoints.save(other, tmp_path / "low.safetensors")
    again = escsr.load(tmp_path / "low.safetensors")
    with torch.no_grad():
        assert torch.equal(again(lq), other(lq))
    with pytest.raises(ValueError, match="from 1 to 256"):
        escsr.with_low_rank_bias(model, 257)
    with pytest.raises(ValueError, match="has no bias tables"):
        escsr.with_low_rank_bias(other, 4)


def test_registry() -> None:
    table: Registry = Registry("thing", entry_point_group="escsr.tests.nothing")
    table.register("a", dict)
    with pytest.raises(ValueError, match="already taken"):
        table.register("a", list)
    with pytest.raises(ValueError, match="unknown thing 'b'.*There are: a"):
        table.get("b")
    assert "a" in table
    assert list(table) == ["a"]


def test_a_broken_plugin_is_named_and_harms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name, value = "bad", "nowhere:thing"

        def load(self) -> None:
            raise ImportError("no nowhere")

    monkeypatch.setattr("escsr.registry.entry_points", lambda group: [Point()])
    table: Registry = Registry("thing", entry_point_group="x")
    table.register("good", dict)
    with pytest.warns(UserWarning, match="plug-in 'bad'.*ImportError: no nowhere"):
        assert list(table) == ["good"]


def test_a_folder_of_that_name_is_no_weight_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("default", "real", "esc_tiny_x2", "other"):
        (tmp_path / name).mkdir()
    assert escsr.load("real").trained
    assert escsr.load("esc_tiny_x2").scale == 2
    with pytest.raises(ValueError, match="other is a folder"):
        escsr.load("other")
    (tmp_path / "real").rmdir()
    checkpoints.save(escsr.load("esc_tiny_x2"), tmp_path / "real")  # a file is meant as it is
    assert escsr.load("real").scale == 2


def test_half_files_are_half_as_large_and_compute_in_float32(tmp_path: Path) -> None:
    model = escsr.build("esc_tiny", scale=2).eval()
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    checkpoints.save(model, whole)
    checkpoints.save(model, half, half=True)
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    again = escsr.load(half)
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor.half().float())  # and so float32
    lq = torch.rand(1, 3, 12, 12)
    with torch.no_grad():
        assert 0 < (again(lq) - model(lq)).abs().max() < 0.01


def test_half_files_refuse_what_overflows(tmp_path: Path) -> None:
    model = escsr.build("esc_tiny", scale=2)
    with torch.no_grad():
        next(model.parameters())[0] = 7e4
    with pytest.raises(OverflowError, match=r"7e\+04.*65504"):
        checkpoints.save(model, tmp_path / "half.safetensors", half=True)
    assert not (tmp_path / "half.safetensors").exists()
