"""Large pictures in bands of rows; the oracle is the network on the whole picture."""

import itertools
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import escsr
from escsr.backbones import BACKBONES, Backbone
from escsr.inference import UpscaleNotice
from escsr.inference.attempts import Attempts
from escsr.inference.bands import BandEncoder, next_cut, render_bands
from escsr.inference.sources import InRange
from escsr.inference.stores import RowStore, check_disk, open_stores
from escsr.inference.tiles import TileEncoder
from escsr.layers import Band, is_planning

CPU = torch.device("cpu")
# Each kind of stage that the families have, small.
SMALL = {"dim": 16, "partial_dim": 4, "num_heads": 2, "num_blocks": 2, "conv_blocks": 2}
BACKBONES_TRIED = {
    "esc": {**SMALL, "window_size": 8},
    "esc_fp": {**SMALL, "window_size": 8},
    "esc_xl": {**SMALL, "window_size": 12, "conv_blocks": 1},
    "esc_real": {**SMALL, "window_size": 8},
    "esc_rib": {**SMALL, "window_size": 8, "bias_rank": 4},
}
HEADS_TRIED = ("pixel_shuffle", "nearest_conv", "dysample", "liif", "lte", "metasr", "lmf_lte")


def lively(model: escsr.SuperResolver) -> escsr.SuperResolver:
    """Draw weights by which the whole-picture mean matters, as it does in trained networks."""
    generator = torch.Generator().manual_seed(3)
    for name, weight in model.named_parameters():
        if "excite" in name:
            nn.init.normal_(weight, std=0.3, generator=generator)
    return model.eval()


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def whole(model: escsr.SuperResolver, lq: Tensor, size: tuple[int, int]) -> Tensor:
    with torch.inference_mode():
        return model(lq, size=size)


def in_bands(
    model: escsr.SuperResolver,
    lq: Tensor,
    size: tuple[int, int],
    *,
    rows: int,
    result_rows: int = 7,
    spool: bool = False,
    precision: str = "fp32",
    notify=lambda text: None,
) -> Tensor:
    made = torch.full((1, 3, *size), torch.nan)

    def write(top: int, sr: Tensor) -> None:
        made[:, :, top : top + sr.shape[2]] = sr

    attempts = Attempts(CPU, precision, rows=rows, notify=notify)
    picture = InRange(Band.whole(lq), *model.head.pixel_range)
    with open_stores(spool=spool) as stores:
        encoder = BandEncoder(
            model, picture, stores=stores, attempts=attempts, progress=lambda share: None
        )
        features = encoder.run(model.backbone.stages())
        attempts.rows = result_rows
        render_bands(
            model,
            features,
            picture,
            size,
            attempts=attempts,
            write=write,
            progress=lambda share: None,
        )
    return made


@pytest.mark.parametrize("backbone", BACKBONES_TRIED)
@pytest.mark.parametrize("head", HEADS_TRIED)
def test_bands_equal_the_whole_picture(backbone, head):
    fixed = head in ("pixel_shuffle", "nearest_conv", "dysample")
    args = {"backbone_args": BACKBONES_TRIED[backbone], "scale": 2 if fixed else None}
    model = lively(escsr.build(backbone, head=head, **args))
    lq = noise(29, 21)
    size = (58, 42) if fixed else (78, 57)
    difference = in_bands(model, lq, size, rows=1, spool=True) - whole(model, lq, size)
    assert difference.abs().max() < 1e-5


def test_the_check_of_bands_can_fail():
    """Without the mean over the whole picture, as tiles do it, the result is another."""
    model = lively(escsr.build("esc", scale=2, backbone_args=BACKBONES_TRIED["esc"]))
    lq = noise(48, 21)
    size = (96, 42)
    parts = [whole(model, lq[:, :, a : a + 16], (32, 42)) for a in (0, 16, 32)]
    assert (torch.cat(parts, dim=2) - whole(model, lq, size)).abs().max() > 1e-3


def test_bands_of_random_sizes():
    model = lively(escsr.load("default"))
    draw = random.Random(5)
    for _ in range(6):
        height, width = draw.choice([1, 16, 33, draw.randint(2, 80)]), draw.randint(1, 60)
        scale = draw.choice([1, 2, 2.7, 4])
        size = round(height * scale), round(width * scale)
        lq, rows = noise(height, width), draw.randint(1, 50)
        made = in_bands(
            model, lq, size, rows=rows, result_rows=draw.randint(1, 90), spool=draw.random() < 0.5
        )
        difference = (made - whole(model, lq, size)).abs().max()
        assert difference < 1e-4, f"{height}×{width} ×{scale}, {rows} rows: {difference}"


@pytest.mark.parametrize("unshuffle", [2, 3])
def test_bands_of_folded_pictures(unshuffle):
    """Sides that are no multiples of the folding, down to less than one."""
    args = {**SMALL, "window_size": 4, "unshuffle": unshuffle}
    model = lively(escsr.build("esc_real", scale=4 // unshuffle, backbone_args=args))
    for height, width in ((1, 5), (2, 9), (31, 10)):
        lq = noise(height, width)
        scale = model.scale
        size = round(height * scale), round(width * scale)
        difference = in_bands(model, lq, size, rows=4) - whole(model, lq, size)
        assert difference.abs().max() < 1e-5


def test_cuts_follow_the_windows_and_end_with_a_whole_one():
    for height, rows, align in itertools.product((1, 7, 16, 17, 40, 47), (1, 20), (1, 8, 16)):
        top, tops = 0, []
        while top < height:
            tops.append(top)
            top = next_cut(top, height, rows, align)
        assert top == height
        assert all(place % align == 0 for place in tops)
        assert height - tops[-1] >= min(align, height)


# ---------------------------------------------------------------------------- stores


@pytest.mark.parametrize("spool", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_stores_give_back_what_was_written(spool, dtype):
    values = noise(9, 5).to(dtype)
    with open_stores(spool=spool) as stores:
        store = stores.make(3, 9, 5, dtype)
        for top in (0, 4, 7):
            store.write(top, values[:, :, top : top + 4])
        assert torch.equal(store.read(2, 8), values[:, :, 2:8])
        assert torch.equal(store.read_columns(1, 4), values[..., 1:4])


def test_a_spool_has_no_name_in_its_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ESCSR_SPOOL", str(tmp_path))
    with open_stores(spool=True) as stores:
        store: RowStore = stores.make(4, 10, 10, torch.float32)
        store.write(0, torch.ones(1, 4, 10, 10))
        assert not list(tmp_path.iterdir())
    monkeypatch.setenv("ESCSR_SPOOL", str(tmp_path / "none"))
    with pytest.raises(ValueError, match="no folder"), open_stores(spool=True):
        pass


def test_a_spool_that_does_not_fit_is_refused_before():
    with pytest.raises(OSError, match="GiB free"):
        check_disk(1 << 60)


# ---------------------------------------------------------------------------- sessions


@pytest.mark.parametrize(("model", "scale"), [("default", 2.5), ("esc_tiny_x4", None)])
def test_a_bound_on_memory_changes_nothing_but_the_way(model, scale):
    pixels = (noise(200, 180)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    free, bound = escsr.Upscaler(model), escsr.Upscaler(model, memory="40MB")
    assert free.plan((200, 180), scale=scale).way.kind == "whole"
    way = bound.plan((200, 180), scale=scale).way
    assert way.kind == "bands"
    assert way.memory <= 40_000_000
    shares = []
    made = bound(pixels, scale=scale, progress=shares.append).astype(int)
    assert np.abs(made - free(pixels, scale=scale)).max() <= 1  # roundings of 8 bits
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_another_size_than_the_network_makes_in_bands():
    pixels = (noise(240, 180)[0].permute(1, 2, 0).numpy() * 65535).astype(np.uint16)
    free, bound = escsr.Upscaler("esc_tiny_x4"), escsr.Upscaler("esc_tiny_x4", memory="60MB")
    options = {"size": (600, 500), "notify": lambda text: None}
    assert bound.plan((240, 180), size=(600, 500)).way.kind == "bands"
    difference = bound(pixels, **options).astype(int) - free(pixels, **options)
    assert np.abs(difference).max() <= 2  # of 65535


def test_what_fits_in_no_way_is_refused_with_figures():
    with pytest.raises(MemoryError, match=r"4000×3000 pixels .* GiB .* even in parts"):
        escsr.Upscaler(memory="30MB").plan((3000, 4000), scale=2).way  # noqa: B018


def test_a_cancelled_picture_in_bands_stops():
    asked = itertools.count()
    with pytest.raises(escsr.Cancelled):
        escsr.Upscaler(memory="40MB")(
            np.zeros((200, 180, 3), np.uint8), scale=2, cancel=lambda: next(asked) > 40
        )


# ---------------------------------------------------------------------------- recovery


def broken_once(monkeypatch, model, failing, times=1):
    """Let the network's layer ``failing`` raise or return what it should not, some times."""
    layer = model.backbone.blocks[0].ffn_in
    forward, calls = layer.forward, itertools.count()

    def broken(x):
        if not is_planning() and next(calls) < times:
            return failing(forward(x))
        return forward(x)

    monkeypatch.setattr(layer, "forward", broken)


def out_of_memory(_made):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def not_finite(made):
    return torch.full_like(made, torch.inf)


@pytest.mark.parametrize("memory", [None, "40MB"])
def test_memory_that_runs_out_is_met_with_smaller_bands(monkeypatch, memory):
    model = escsr.load("default")
    lq = noise(180, 150)
    wanted = escsr.Upscaler(model)(lq, scale=2)
    said: list[str] = []
    broken = escsr.Upscaler.sharing(model, memory=memory)
    broken_once(monkeypatch, broken._network, out_of_memory)
    made = broken(lq, scale=2, notify=said.append)
    assert (made - wanted).abs().max() < 1e-4
    assert any("memory ran out" in text for text in said)


def test_memory_that_always_runs_out_is_an_error(monkeypatch):
    session = escsr.Upscaler(memory="40MB")
    broken_once(monkeypatch, session._network, out_of_memory, times=1000)
    with pytest.raises(MemoryError, match="least that this network can work on"):
        session(noise(180, 150), scale=2, notify=lambda text: None)


@pytest.mark.parametrize("memory", [None, "30MB"])
def test_numbers_that_outgrow_half_precision_are_made_again(monkeypatch, memory):
    lq = noise(180, 150)
    wanted = escsr.Upscaler(precision="bf16")(lq, scale=2)
    session = escsr.Upscaler(precision="bf16", memory=memory)
    assert (session.plan((180, 150), scale=2, depth=32).way.kind == "bands") == (memory is not None)
    broken_once(monkeypatch, session._network, not_finite, times=1 if memory else 2)
    said: list[str] = []
    made = session(lq, scale=2, notify=said.append)
    assert (made - wanted).abs().max() < 0.05
    assert any("fp32" in text for text in said)


def test_numbers_that_are_not_finite_in_full_precision_are_an_error(monkeypatch):
    session = escsr.Upscaler()
    broken_once(monkeypatch, session._network, not_finite, times=1000)
    with pytest.raises(ValueError, match="not finite"):
        session(noise(20, 20), scale=2)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_a_killed_run_leaves_nothing(tmp_path):
    program = """
        import numpy as np, escsr
        print("ready", flush=True)
        escsr.upscale(np.zeros((400, 300, 3), np.uint8), scale=4, memory="40MB")
    """
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        env={**os.environ, "ESCSR_SPOOL": str(tmp_path)},
    )
    assert run.stdout is not None
    run.stdout.readline()
    time.sleep(0.3)
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------- tiles


class Blur(Backbone):
    """A plug-in that knows of no stages and looks at one pixel around its own."""

    out_channels = 3

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, lq: Tensor) -> Tensor:
        """One convolution."""
        made: Tensor = self.mix(lq)
        return made


def tiled(model: escsr.SuperResolver, lq: Tensor, tile: int) -> Tensor:
    with open_stores(spool=False) as stores:
        encoder = TileEncoder(
            model,
            Band.whole(lq),
            stores=stores,
            attempts=Attempts(CPU, "fp32", rows=1, notify=lambda text: None),
            progress=lambda share: None,
            tile=tile,
        )
        return encoder.run().read(0, lq.shape[2]).clone()


@pytest.fixture
def plug_in(monkeypatch):
    monkeypatch.setitem(BACKBONES._entries, "blur_of_the_test", Blur)
    return escsr.build("blur_of_the_test", scale=2).eval()


def test_tiles_of_a_network_that_looks_at_its_neighbours_only_are_exact(plug_in):
    for height, width in ((64, 64), (65, 200), (300, 130)):
        lq = noise(height, width)
        with torch.inference_mode():
            features = plug_in.backbone(lq)
        assert (tiled(plug_in, lq, 64) - features).abs().max() < 1e-6


def test_tiles_on_the_grid_are_near_the_whole_picture():
    model = escsr.load("default").eval()
    lq = noise(90, 75)
    with torch.inference_mode():
        features = model.backbone(lq)
    difference = (tiled(model, lq, 32) - features).abs().max()
    assert 0 < difference < 0.1 * features.abs().max()


def test_backbones_without_stages_are_said_to_be_approximate(plug_in):
    plug_in.trained = True
    session = escsr.Upscaler(plug_in, memory="75MB")
    lq = noise(900, 700)
    assert session.plan((900, 700), depth=32).way.kind == "tiles"
    with pytest.warns(UpscaleNotice, match="differ a little"):
        made = session(lq)
    assert (made - whole(plug_in, lq, (1800, 1400)).clamp(0, 1)).abs().max() < 1e-5


# ---------------------------------------------------------------------------- ensemble


def eight(model: escsr.SuperResolver, lq: Tensor, scale: float) -> Tensor:
    """The mean, written out."""
    results = []
    for quarter, flip in itertools.product(range(4), (False, True)):
        turned = torch.rot90(lq.flip(-1) if flip else lq, quarter, (-2, -1))
        with torch.inference_mode():
            back = torch.rot90(model(turned, scale=scale), -quarter, (-2, -1))
        results.append(back.flip(-1) if flip else back)
    return torch.stack(results).mean(0).clamp(0, 1)


@pytest.mark.parametrize("memory", [None, "40MB"])
def test_ensemble_is_the_mean_of_eight(memory):
    model = escsr.load("default").eval()
    lq = noise(190, 140)
    made = escsr.upscale(lq, scale=2, model=model, ensemble=True, memory=memory)
    assert (made - eight(model, lq, 2)).abs().max() < 1e-4


def test_ensemble_of_pixels():
    pixels = (noise(20, 31)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    lq = torch.from_numpy(pixels / np.float32(255)).permute(2, 0, 1)[None]
    made = escsr.upscale(pixels, scale=3, ensemble=True)
    wanted = eight(escsr.load("default").eval(), lq, 3)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(made - wanted).max() < 0.51


def test_unknown_tiles_are_refused():
    with pytest.raises(ValueError, match="exact, fast"):
        escsr.Upscaler(tiles="slow")
