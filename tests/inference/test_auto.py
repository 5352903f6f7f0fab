"""`model="auto"`, the hint of "default". Oracles: what was done to a picture, both networks."""

import io
import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import escsr
from escsr.cli.main import app
from escsr.images import Picture, read_image, write_image
from escsr.images.jpeg_tables import LUMA_TABLE, luma_table, quality_of
from escsr.inference.damage import measure_damage

ROOT = Path(__file__).parents[2]
CLEAN = read_image(ROOT / "tests" / "data" / "photo.png").pixels


def jpeg(quality: int, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(CLEAN).save(file, "jpeg", quality=quality, **options)
    return file.getvalue()


def noisy(deviation: float, top: int = 255) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, deviation, CLEAN.shape)
    pixels = np.clip(CLEAN + noise, 0, 255) * (top / 255)
    return np.rint(pixels).astype(np.uint8 if top == 255 else np.uint16)


def chosen(image: object, up: escsr.Upscaler) -> str:
    return chosen_at(1.5, image, up)


def chosen_at(scale: float, image: object, up: escsr.Upscaler) -> str:
    said: list[str] = []
    up(image, scale=scale, notify=said.append)
    assert len(said) == 1
    return said[0]


@pytest.fixture(scope="module")
def auto() -> escsr.Upscaler:
    return escsr.Upscaler("auto", device="cpu")


@pytest.mark.parametrize("quality", [1, 10, 25, 49, 50, 77, 95, 99])
def test_quality_by_the_tables(quality):
    with Image.open(io.BytesIO(jpeg(quality))) as image:
        sums = [sum(table) for table in image.quantization.values()]
    assert luma_table(quality).sum() == sums[0]
    # Below 13 tables are cut at 255, and above 98 at 1.
    if 13 < quality < 99:
        assert quality_of(sums[0]) == pytest.approx(quality, abs=0.5)
        assert read_image(jpeg(quality)).jpeg_quality == pytest.approx(quality, abs=0.5)
    assert luma_table(50).tolist() == [list(row) for row in LUMA_TABLE]


@pytest.mark.parametrize("quality", [20, 40, 57, 70, 76])
def test_a_jpeg_saved_as_png_is_recognised(quality):
    with Image.open(io.BytesIO(jpeg(quality, subsampling=0))) as image:
        pixels = np.asarray(image)
    found = measure_damage(Picture(pixels=pixels)).jpeg_quality
    assert found == pytest.approx(quality, abs=2)
    assert measure_damage(Picture(pixels=CLEAN)).jpeg_quality is None


def test_a_bad_jpeg_saved_as_a_good_one_is_bad():
    with Image.open(io.BytesIO(jpeg(40))) as image:
        file = io.BytesIO()
        image.save(file, "jpeg", quality=97, subsampling=0)
    assert measure_damage(read_image(file.getvalue())).jpeg_quality == pytest.approx(40, abs=2)


@pytest.mark.parametrize("top", [255, 65535])
def test_noise_is_measured(top):
    clean = measure_damage(Picture(pixels=noisy(0, top))).noise
    assert clean < 3
    for deviation in (8, 15):
        found = measure_damage(Picture(pixels=noisy(deviation, top))).noise
        assert found == pytest.approx(deviation, rel=0.2)


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (16, 16), (8, 700)])
def test_pictures_of_any_size_are_looked_at(shape):
    flat = np.full((*shape, 3), 128, np.uint8)
    assert measure_damage(Picture(pixels=flat)).reasons == []


def test_auto_chooses_and_says_why(auto):
    assert "'real': JPEG of quality 40" in chosen(jpeg(40), auto)
    assert "'default': no damage" in chosen(jpeg(95), auto)
    assert "'default'" in chosen(CLEAN, auto)
    assert "noise of" in chosen(noisy(12), auto)
    assert "JPEG of quality 60" in chosen(Image.open(io.BytesIO(jpeg(60))), auto)


def test_auto_is_the_network_that_it_chose(auto):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for pixels, name in ((CLEAN, "default"), (noisy(12), "real")):
            expected = escsr.upscale(pixels, scale=1.5, model=name)
            assert np.array_equal(auto(pixels, scale=1.5), expected)
            assert np.array_equal(escsr.upscale(pixels, scale=1.5, model="auto"), expected)
        batch = torch.from_numpy(np.stack([noisy(12), noisy(15), CLEAN])).movedim(-1, 1) / 255
        expected = escsr.upscale(batch, scale=1.5, model="real")
        assert torch.equal(auto(batch, scale=1.5), expected)
    assert "2 of 3 pictures" in chosen(batch, auto)


def test_default_hints_and_others_do_not(tmp_path):
    for model in ("default", "esc_tiny_any"):
        up = escsr.Upscaler(model, device="cpu")
        assert "JPEG of quality 30" in chosen(jpeg(30), up)
        assert "'real'" in chosen(jpeg(30), up)
        assert up(CLEAN, scale=1.2, notify=pytest.fail) is not None
    real = escsr.Upscaler("real", device="cpu")
    assert real(jpeg(30), scale=1.2, notify=pytest.fail)


def test_no_network_is_chosen_where_none_is_needed(auto):
    assert "without the network" in chosen_at(0.5, jpeg(30), auto)
    assert "without the network" in chosen_at(0.5, jpeg(30), escsr.Upscaler("default"))


def test_auto_is_no_network():
    with pytest.raises(FileNotFoundError, match="'auto' is no network.*default"):
        escsr.load("auto")


def test_the_command_line_tells_the_choice(tmp_path, capsys):
    (tmp_path / "bad.jpg").write_bytes(jpeg(30))
    write_image(tmp_path / "good.png", Picture(pixels=CLEAN))
    app(
        ["upscale", str(tmp_path / "bad.jpg"), str(tmp_path / "good.png")]
        + ["-o", str(tmp_path / "out"), "-s", "1.5", "-m", "auto", "--name", "{stem}_{model}.png"],
        standalone_mode=False,
    )
    said = capsys.readouterr().out
    assert "note: auto chose 'real': JPEG of quality 30" in said
    assert "note: auto chose 'default'" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "bad_auto.png",
        "good_auto.png",
    ]


def test_the_result_is_no_jpeg():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = escsr.upscale(read_image(jpeg(30)), scale=1.2, model="real")
    assert picture.jpeg_quality is None


def test_texture_of_small_pictures_is_no_noise():
    """Gray texture that fills a small picture, against the same strength in each channel."""
    rng = np.random.default_rng(1)
    ground = np.full((48, 48, 3), 128.0)
    texture = ground + rng.normal(0, 12, (48, 48, 1))
    noise = ground + rng.normal(0, 12, (48, 48, 3))
    found = [measure_damage(Picture(pixels=p.round().astype("u1"))) for p in (texture, noise)]
    assert found[0].reasons == []
    assert found[1].noise == pytest.approx(12, rel=0.25)


def test_the_table_of_the_documents_holds_what_is_promised():
    """Never below bicubic, and within 0.1 dB of the better network."""
    page = (ROOT / "docs" / "real_photos.md").read_text(encoding="utf-8")
    lines = page.split("<!-- begin: auto -->\n")[1].split("<!-- end: auto -->")[0].splitlines()
    rows = [[float(cell) for cell in line.split("|")[3:7]] for line in lines[2:]]
    assert len(rows) == 20
    for bicubic, default, real, auto in rows:
        assert auto >= bicubic
        assert auto >= max(default, real) - 0.1


def test_the_script_that_measures_it(monkeypatch):
    script = runpy.run_path(str(ROOT / "tools" / "measure_auto.py"))
    row_of, measured = script["Row"], script["measured"]
    monkeypatch.setitem(measured.__globals__, "QUALITIES", (30, 95))
    sessions = {name: escsr.Upscaler(name, device="cpu") for name in ("default", "real", "auto")}
    rows = list(measured([script["middle"](CLEAN, 64)], sessions))
    assert [(row.scale, row.quality, row.damaged) for row in rows] == [
        (2, 30, 1),
        (2, 95, 0),
        (4, 30, 1),
        (4, 95, 0),
    ]
    for row in rows:
        assert row.psnr["auto"] == row.psnr["real" if row.damaged else "default"]
        assert -1 < row.psnr["default"] - row.psnr["bicubic"] < 10  # one picture, none other
    figures = {"bicubic": 30.0, "default": 31.0, "real": 31.2}
    for auto, holds in ((31.11, True), (31.09, False), (29.9, False)):
        assert row_of(2, 50, {**figures, "auto": auto}, 1, 1).holds == holds
    assert script["table"](rows).count("1 of 1") == 2
