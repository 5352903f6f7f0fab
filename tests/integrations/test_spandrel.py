"""spandrel opens what escsr opens.

Oracle: the picture of `escsr.load`, and spandrel's own detection of other architectures.
"""

from pathlib import Path

import pytest
import torch

import escsr
from escsr import checkpoints
from escsr.models import embedded
from tests.conftest import TOLERANCE, read_golden
from tests.networks.test_published import RIB, SMALL, golden, real_m, written
from tests.networks.test_published_implicit import state, write

spandrel = pytest.importorskip("spandrel")
from escsr.integrations.spandrel import ID, ESCArch, install  # noqa: E402 - needs spandrel

FLASH = {"attn_type": "FlashBias", "flashbias_rank": 16}
PUBLISHED = [
    ("ESC", {"upscaling_factor": 2}),
    ("ESC", {"upscaling_factor": 3, "use_ln": True}),
    ("ESCFP", {"upscaling_factor": 4}),
    ("ESCReal", {"upscaling_factor": 4, "exp_ratio": 2}),
    ("ESCReal", {"upscaling_factor": 4, "exp_ratio": 2, "use_dysample": True}),
    real_m("pixelshuffledirect", 1),
    real_m("pixelshuffle", 2),
    real_m("nearest+conv", 3),
    real_m("dysample", 4),
    ("ESC", {"upscaling_factor": 2, **FLASH}),
    ("ESCRIB", {"upscaling_factor": 2, **RIB}),
]


@pytest.fixture
def registry():
    """spandrel's main registry with us in it, and not for other tests."""
    own = spandrel.MAIN_REGISTRY.copy()
    install(own)
    return own


def opened(path: Path, registry) -> "spandrel.ImageModelDescriptor":
    return spandrel.ModelLoader(registry=registry).load_from_file(path)


def check_same(path: Path, registry, scale: int | None = None):
    """Same scale and picture as `escsr.load`, for one picture and two."""
    model, ours = opened(path, registry), escsr.load(path)
    assert model.architecture.id == ID
    assert model.scale == (ours.scale or scale)
    for batch in (1, 2):
        lq = torch.rand(batch, 3, 8, 12, generator=torch.Generator().manual_seed(batch))
        with torch.inference_mode():
            expected = ours(lq, scale=model.scale).clamp(0, 1)
        assert (model(lq) - expected).abs().max() < 1e-5
        assert (model.model(lq).clamp(0, 1) - expected).abs().max() < 1e-5
    return model


@pytest.mark.parametrize(("arch", "config"), PUBLISHED, ids=str)
def test_published_files_of_every_kind(arch, config, tmp_path, registry):
    path, _ = written(arch, SMALL | config, tmp_path, wrap="params_ema")
    model = check_same(path, registry)
    assert model.purpose == ("SR" if model.scale > 1 else "Restoration")
    assert model.tiling is spandrel.ModelTiling.INTERNAL
    assert (model.input_channels, model.output_channels) == (3, 3)
    assert model.size_requirements.none
    assert {"16dim", f"{(SMALL | config)['n_blocks']} blocks"} <= set(model.tags)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["esc_fp_x2", "esc_x2"])
def test_outputs_of_the_published_code(name, tmp_path, registry):
    lq, wanted, meta = read_golden(golden(name))
    path, _ = written(meta["arch"], meta["config"], tmp_path, salt=meta["salt"])
    model = opened(path, registry)
    with torch.inference_mode():
        sr = model.model(lq)  # calling the descriptor would clip
    kept = slice(*meta.get("kept_rows", (None,)))
    assert (sr[..., kept, :] - wanted).abs().max() < TOLERANCE["golden"]


@pytest.mark.parametrize("kind", ["liif", "lte", "lte-fast"])
def test_files_of_any_scale(kind, tmp_path, registry):
    path = write(tmp_path, kind, state(kind))
    model = check_same(path, registry, scale=4)
    assert "any scale" in model.tags
    other = spandrel.ArchRegistry()
    install(other, any_scale=3)
    assert check_same(path, other, scale=3).scale == 3


@pytest.mark.parametrize("name", embedded())
def test_embedded_files(name, registry):
    check_same(embedded()[name], registry, scale=4)


def test_what_other_programs_make_of_our_files(tmp_path, registry):
    """They pass on the tensors, in a file of another kind or with half the bits."""
    path = embedded()["esc_tiny_x4"]
    tensors = spandrel.ModelLoader().load_state_dict_from_file(path)
    torch.save(tensors, tmp_path / "converted.pth")
    check_same(tmp_path / "converted.pth", registry)
    torch.save({k: t.half() for k, t in tensors.items()}, tmp_path / "half.pth")
    assert opened(tmp_path / "half.pth", registry).scale == 4
    again = spandrel.ModelLoader(registry=registry).load_from_state_dict(tensors)
    assert again.tags[:2] == ["esc_tiny", "pixel_shuffle"]
    assert escsr.load(tmp_path / "converted.pth").facts["recipe"] == "classic_tiny_x4"


def test_folded_pixels_under_queries_are_padded(tmp_path, registry):
    arguments = {"num_blocks": 1, "conv_blocks": 1, "window_size": 4, "unshuffle": 2}
    model = escsr.build("esc_tiny", head="metasr", backbone_args=arguments)
    checkpoints.save(model, tmp_path / "folded.safetensors")
    model = opened(tmp_path / "folded.safetensors", registry)
    assert model.size_requirements.multiple_of == 2
    assert model(torch.rand(1, 3, 5, 7)).shape == (1, 3, 20, 28)


HALF = [
    ("esc_fp", "pixel_shuffle", 4),
    ("esc_real", "nearest_conv", 4),
    ("esc_real", "dysample", 4),
    ("esc_real", "pixel_shuffle_multi", 2),
    ("esc_real", "conv", 1),
    ("esc_real", "metasr", None),
    ("esc_tiny", "pixel_shuffle", 2),
    ("esc_tiny", "metasr", None),
    ("esc_real", "lte", None),
]


@pytest.mark.parametrize(("backbone", "head", "scale"), HALF)
def test_half_precision_where_it_is_said_to_work(backbone, head, scale, tmp_path, registry):
    torch.manual_seed(0)
    small = {"num_blocks": 1, "conv_blocks": 2, "window_size": 8}
    network = escsr.build(backbone, head=head, scale=scale, backbone_args=small)
    checkpoints.save(network, tmp_path / "x.safetensors")
    model = opened(tmp_path / "x.safetensors", registry)
    assert model.supports_bfloat16 == (head != "lte")
    assert model.supports_half == (head != "lte" and backbone != "esc_tiny")
    lq = torch.rand(1, 3, 12, 9)
    expected = model(lq)
    for dtype, supported, close in (
        (torch.float16, model.supports_half, 0.004),
        (torch.bfloat16, model.supports_bfloat16, 0.03),
    ):
        if not supported:
            with pytest.raises(spandrel.UnsupportedDtypeError):
                model.to(dtype)
            continue
        result = opened(tmp_path / "x.safetensors", registry).to(dtype)(lq.to(dtype))
        assert result.dtype == dtype
        assert (result.float() - expected).abs().max() < close


def others():
    """Small networks of other architectures, those nearest to ours by name or origin among them."""
    from spandrel.architectures.ATD import ATD
    from spandrel.architectures.Compact import Compact
    from spandrel.architectures.DAT import DAT
    from spandrel.architectures.ESRGAN import ESRGAN
    from spandrel.architectures.HAT import HAT
    from spandrel.architectures.MoSR import MoSR
    from spandrel.architectures.OmniSR import OmniSR
    from spandrel.architectures.PLKSR import PLKSR, RealPLKSR
    from spandrel.architectures.SAFMN import SAFMN
    from spandrel.architectures.SPAN import SPAN
    from spandrel.architectures.SwinIR import SwinIR

    swin = {"img_size": 16, "window_size": 4, "embed_dim": 12, "depths": [2], "num_heads": [2]}
    return {
        "Compact": Compact(num_feat=16, num_conv=4),
        "SPAN": SPAN(num_in_ch=3, num_out_ch=3, feature_channels=16),
        "SAFMN": SAFMN(dim=16, n_blocks=2),
        "PLKSR": PLKSR(dim=16, n_blocks=2),
        "PLKSR ": RealPLKSR(dim=16, n_blocks=2, dysample=True),
        "MoSR": MoSR(dim=16, n_block=2),
        "ESRGAN": ESRGAN(num_filters=8, num_blocks=2),
        "SwinIR": SwinIR(**swin, upscale=2, upsampler="pixelshuffle"),
        "HAT": HAT(**swin),
        "DAT": DAT(img_size=16, embed_dim=12, depth=[2], num_heads=[2], split_size=[2, 4]),
        "OmniSR": OmniSR(num_feat=16),
        "ATD": ATD(embed_dim=12, depths=(2,), num_heads=(2,), window_size=4),
    }


def test_other_architectures_are_detected_as_before(registry):
    def detected(known, tensors):
        order = known.architectures("detection")
        return next(s.architecture.id for s in order if s.detect(tensors))

    networks = others()
    for expected, network in networks.items():
        tensors = network.state_dict()
        assert not ESCArch().detect(tensors)
        assert detected(spandrel.MAIN_REGISTRY, tensors) == expected.strip()
        assert detected(registry, tensors) == expected.strip()
    assert len(networks) == 12


@pytest.mark.parametrize("content", [{}, {"a": 1}, {"model": 3}, {"x.y": torch.zeros(1)}], ids=str)
def test_strange_files_are_not_ours(content, registry):
    assert not ESCArch().detect(content)
    with pytest.raises(spandrel.UnsupportedModelError):
        spandrel.ModelLoader(registry=registry).load_from_state_dict(content)


def test_broken_layouts_of_plugins_disturb_nobody(monkeypatch):
    def broken(content):
        raise KeyError("a plug-in")

    monkeypatch.setattr("escsr.integrations.spandrel.is_known", broken)
    assert not ESCArch().detect({"a": torch.zeros(1)})


def test_installing_twice(registry):
    count = len(registry)
    assert install(registry) is registry[ID].architecture
    assert len(registry) == count
    with pytest.raises(ValueError, match="any_scale=4; give another registry for 2"):
        install(registry, any_scale=2)
    with pytest.raises(ValueError, match="from 1 to 30, not 31"):
        install(spandrel.ArchRegistry(), any_scale=31)
    assert ID not in spandrel.MAIN_REGISTRY  # this test session left it alone


def test_a_later_spandrel_with_esc_of_its_own_comes_second():
    class Theirs(spandrel.Architecture):
        def __init__(self):
            super().__init__(id="ESC", detect=lambda tensors: True)

        def load(self, state_dict):
            raise AssertionError("theirs was asked first")

    registry = spandrel.ArchRegistry()
    registry.add(spandrel.ArchSupport.from_architecture(Theirs()))
    install(registry)
    assert [s.architecture.id for s in registry.architectures("detection")] == [ID, "ESC"]


def test_a_file_without_its_configuration_says_what_to_do(registry):
    tensors = escsr.build("esc_tiny", scale=2).state_dict()
    with pytest.raises(ValueError, match="not the configuration.*escsr.checkpoints.save"):
        spandrel.ModelLoader(registry=registry).load_from_state_dict(tensors)
