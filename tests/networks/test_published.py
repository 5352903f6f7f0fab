"""Published files of every layout: recognised, and the published output.

Oracles: `literal.py` in double precision for small networks of every kind, and the golden files
(outputs of the published code) for those of full size.
"""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import escsr
from escsr.bench import make_literal
from tests.conftest import TOLERANCE, drawn, golden_files, read_golden
from tests.networks.literal import Literal, buffers, shapes

SMALL = {
    "dim": 16,
    "pdim": 8,
    "kernel_size": 7,
    "n_blocks": 2,
    "conv_blocks": 2,
    "window_size": 4,
    "num_heads": 2,
    "exp_ratio": 1.25,
}


FLASH = {"attn_type": "FlashBias", "flashbias_rank": 16}
# The window leaves no trace in the file, so all have that of ESC-RIB; one block is slow enough.
RIB = {
    "attn_type": "RIB",
    "rank": 16,
    "rib_hidden_dim": 32,
    "rib_n_freqs": 10,
    "window_size": 64,
    "n_blocks": 1,
}


def real_m(upsampler: str, scale: int, **more: object) -> tuple[str, dict]:
    return "ESCRealM", {"upsampler": upsampler, "upscaling_factor": scale, "exp_ratio": 2} | more


CASES = [
    *[("ESC", {"upscaling_factor": s}) for s in (1, 2, 3, 4)],
    ("ESC", {"upscaling_factor": 2, "n_blocks": 3, "dim": 24, "num_heads": 3}),
    ("ESC", {"upscaling_factor": 4, "use_ln": True, "pdim": 12, "window_size": 5}),
    *[("ESCFP", {"upscaling_factor": s}) for s in (2, 3, 4)],
    ("ESCReal", {"upscaling_factor": 4, "exp_ratio": 2}),
    ("ESCReal", {"upscaling_factor": 4, "exp_ratio": 2, "use_dysample": True}),
    *[
        real_m(kind, scale)
        for kind in ("pixelshuffledirect", "pixelshuffle", "nearest+conv", "dysample")
        for scale in (1, 2, 3, 4)
    ],
    *[
        real_m(kind, scale, unshuffle_mod=False)
        for kind in ("pixelshuffledirect", "pixelshuffle", "nearest+conv", "dysample")
        for scale in (1, 2, 8)
    ],
    real_m("conv", 1, unshuffle_mod=False),
    real_m("dysample", 3, mid_dim=16),
    real_m("pixelshuffle", 2, mid_dim=20),
    *[("ESC", {"upscaling_factor": s, **FLASH}) for s in (2, 3)],
    ("ESCReal", {"upscaling_factor": 4, "exp_ratio": 2, **FLASH, "flashbias_rank": 7}),
    ("ESCRIB", {"upscaling_factor": 2, **RIB}),
    ("ESCRIB", {"upscaling_factor": 3, **RIB, "rank": 5, "rib_hidden_dim": 6, "rib_n_freqs": 3}),
]


def written(
    arch: str, config: dict, folder: Path, wrap: str = "params", salt: str = ""
) -> tuple[Path, dict[str, torch.Tensor]]:
    """A file as the authors write it, with drawn weights, and those weights."""
    tensors = drawn(shapes(arch, config).items(), salt)
    stored = tensors | buffers(arch, config)
    if wrap == "module":
        content: object = {f"module.{name}": tensor for name, tensor in stored.items()}
    elif wrap == "both":
        raw = {name: torch.zeros_like(tensor) for name, tensor in stored.items()}
        content = {"params": raw, "params_ema": stored}
    else:
        content = {wrap: stored} if wrap else stored
    path = folder / "network.pth"
    torch.save(content, path)
    return path, tensors


@pytest.mark.parametrize(
    ("arch", "config"),
    CASES,
    ids=lambda v: v if isinstance(v, str) else "-".join(map(str, v.values())),
)
def test_small_networks_equal_the_definition(arch: str, config: dict, tmp_path: Path) -> None:
    config = SMALL | config
    path, tensors = written(arch, config, tmp_path, salt="small")
    model = escsr.load(path).double()
    assert model.trained
    assert model.scale == config["upscaling_factor"]
    literal = Literal(arch, config, {name: t.double() for name, t in tensors.items()})
    # Sides below, at and above a window; batches take another path than singles.
    sizes = ((1, 9, 14), (3, 8, 5), (2, 1, 2), (1, 1, 1))
    # A window of 64 takes the literal way seconds, the tests of layers do the rest.
    for batch, height, width in sizes if config["window_size"] < 64 else ((2, 9, 14),):
        lq = torch.from_numpy(np.random.RandomState(height).rand(batch, 3, height, width))
        with torch.no_grad():
            assert (model(lq) - literal(lq)).abs().max() < TOLERANCE[torch.float64]


@pytest.mark.parametrize("wrap", ["params", "params_ema", "both", "", "module"])
def test_every_wrapping_is_opened(wrap: str, tmp_path: Path) -> None:
    config = SMALL | {"upscaling_factor": 2}
    path, tensors = written("ESC", config, tmp_path, wrap=wrap)
    model = escsr.load(path)
    assert torch.equal(model.backbone.large_kernel.weight, tensors["plk_filter"])
    assert not model.training


GOLDEN = [
    "esc_flashbias_x2",
    "esc_fp_x2",
    "esc_fp_x4",
    "esc_light_x4",
    "esc_real_dysample_x4",
    "esc_real_flashbias_x4",
    "esc_real_m_dysample_x3",
    "esc_real_m_nearest_conv_x1",
    "esc_real_m_nearest_conv_x4",
    "esc_real_m_pixelshuffle_x2",
    "esc_real_m_pixelshuffle_x2_plain",
    "esc_real_m_pixelshuffledirect_x4",
    "esc_real_x4",
    "esc_rib_x2",
    "esc_rib_x4",
    "esc_x2",
    "esc_x3",
    "esc_x4",
    "esc_xl_x4",
]


def golden(name: str) -> Path:
    """The file, or a skip where it is not at hand."""
    if name not in golden_files():
        pytest.skip(f"{name} is not in the repository, and ESCSR_SHARED names no folder with it")
    return golden_files()[name]


@pytest.mark.slow
@pytest.mark.parametrize("attention", escsr.layers.ATTENTION_MODES)
@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str, attention: str, tmp_path: Path) -> None:
    lq, wanted, meta = read_golden(golden(name))
    if name == "esc_xl_x4" and attention == "flex":
        pytest.skip("uncompiled FlexAttention holds all scores: minutes on a CPU")
    listed = {name: tuple(shape) for name, shape in meta["parameters"]}
    assert shapes(meta["arch"], meta["config"]) == listed, "literal.py has other names"
    path, _ = written(meta["arch"], meta["config"], tmp_path, salt=meta["salt"])
    model = escsr.load(path, attention=attention)
    with torch.inference_mode():
        sr = model(lq)
    kept = slice(*meta.get("kept_rows", (None,)))  # all, in files that came whole
    assert (sr[..., kept, :] - wanted).abs().max() < TOLERANCE["golden"]


@pytest.mark.slow
def test_golden_by_the_literal_path(tmp_path: Path) -> None:
    lq, wanted, meta = read_golden(golden("esc_x2"))
    path, _ = written(meta["arch"], meta["config"], tmp_path)
    model = make_literal(escsr.load(path))
    with torch.inference_mode():
        assert (model(lq) - wanted).abs().max() < TOLERANCE["golden"]


@pytest.mark.slow
def test_float16_stays_finite_where_features_outgrow_it(tmp_path: Path) -> None:
    """Features of this network reach 1e13 in float32; see ESCBlock."""
    lq, wanted, meta = read_golden(golden("esc_x2"))
    path, _ = written(meta["arch"], meta["config"], tmp_path, salt=meta["salt"])
    model = escsr.load(path)
    with torch.inference_mode(), torch.autocast("cpu", torch.float16):
        sr = model(lq).float()
    assert torch.isfinite(sr).all()
    assert (sr - wanted).abs().max() < 0.05 * wanted.abs().max()


# ------------------------------------------------------------------ bad files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written("ESC", SMALL | {"upscaling_factor": 2}, tmp_path)[0]


def test_truncated(file: Path) -> None:
    data = file.read_bytes()
    for length in (0, 1, 8, 100, len(data) // 2, len(data) - 10):
        file.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"network\.pth.*(not a whole|not a file of tensors)"):
            escsr.load(file)


def test_one_key_missing(file: Path) -> None:
    content = torch.load(file, weights_only=True)["params"]
    for name in list(content):
        fewer = {n: t for n, t in content.items() if n != name}
        torch.save(fewer, file)
        with pytest.raises(ValueError, match="lacks|incomplete|neither 'plk_filter'"):
            escsr.load(file)


def test_one_key_too_many(file: Path) -> None:
    content = torch.load(file, weights_only=True)["params"]
    torch.save(content | {"blocks.0.extra": torch.zeros(3)}, file)
    with pytest.raises(ValueError, match=r"blocks\.0\.extra"):
        escsr.load(file)


def test_wrong_shape(file: Path) -> None:
    content = torch.load(file, weights_only=True)["params"]
    content["last.weight"] = torch.zeros(16, 16, 5, 5)
    torch.save(content, file)
    with pytest.raises(ValueError, match=r"last\.weight of shape \(16, 16, 5, 5\)"):
        escsr.load(file)


def test_another_network(file: Path) -> None:
    torch.save({"params": {"conv_first.weight": torch.zeros(64, 3, 3, 3)}}, file)
    with pytest.raises(ValueError, match="not a network of the ESC family.*ESC-RealM"):
        escsr.load(file)


class Harmful:
    def __reduce__(self) -> tuple:
        return (print, ("this must not run",))


def test_pickle_that_runs_code(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(pickle.dumps({"params": Harmful()}, protocol=2))
    with pytest.raises(ValueError, match="refused"):
        escsr.load(file)
    torch.save({"params": Harmful()}, file)
    with pytest.raises(ValueError, match="refused"):
        escsr.load(file)
    assert "must not run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "content", [[1, 2], {"a": 1}, {}, {"params": {"a": "text"}}, torch.ones(3)]
)
def test_no_table_of_tensors(file: Path, content: object) -> None:
    torch.save(content, file)
    with pytest.raises(ValueError, match="tensors"):
        escsr.load(file)


def test_two_layouts_at_once(file: Path) -> None:
    content = torch.load(file, weights_only=True)["params"]
    torch.save(content | {"proj.1.weight": content["proj.weight"]}, file)
    with pytest.raises(ValueError, match="two layouts"):
        escsr.load(file)


def test_ambiguous_scale_is_not_guessed(tmp_path: Path) -> None:
    arch, config = real_m("nearest+conv", 3)
    path, tensors = written(arch, SMALL | config, tmp_path)
    torch.save(tensors, path)  # without the buffer that says ×3
    with pytest.raises(ValueError, match="cannot tell ×2 from ×3"):
        escsr.load(path)
