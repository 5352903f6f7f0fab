"""Oracles: the definitions of the benchmarks written out, and Pillow."""

import numpy as np
import pytest
import torch

from escsr.evaluation import (
    CLASSIC,
    DIV2K,
    LIIF,
    PROTOCOLS,
    Degraded,
    Protocol,
    Shrunk,
    evaluate,
    find_protocol,
)
from escsr.evaluation.protocol import parse_crop
from escsr.images import Picture, write_image

RNG = np.random.default_rng(5)


class Given(torch.nn.Module):
    """Answers with a known picture."""

    def __init__(self, answer: np.ndarray) -> None:
        super().__init__()
        self.answer = torch.from_numpy(answer.transpose(2, 0, 1)[None].astype(np.float32))

    def forward(self, lq, scale=None, size=None):
        return self.answer


@pytest.fixture
def known(tmp_path):
    """A ground truth on disk, and a float answer that leaves [0, 1] in places."""
    gt = RNG.integers(0, 256, (48, 60, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", Picture(pixels=gt))
    answer = (gt / 255 + RNG.normal(0, 0.05, gt.shape)).astype(np.float32)
    assert answer.min() < 0
    assert answer.max() > 1
    return tmp_path, gt, answer


def decibels(error: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean(error.astype(np.float64) ** 2)))


def test_liif_by_its_definition(known):
    folder, gt, answer = known
    difference = np.clip(answer.astype(np.float64), 0, 1) - gt / 255
    luma = difference @ (np.array([65.738, 129.057, 25.064]) / 256)  # as that code writes it
    report = evaluate(Given(answer), data=folder, scale=3, protocol=LIIF)
    assert report.means["psnr_y"] == pytest.approx(decibels(luma[3:-3, 3:-3]), abs=1e-3)
    on_div2k = LIIF.override(**parse_crop("scale+6"))
    report = evaluate(Given(answer), data=folder, scale=3, protocol=on_div2k, metrics=["psnr"])
    assert report.means["psnr"] == pytest.approx(decibels(difference[9:-9, 9:-9]), abs=1e-9)
    assert report.conditions["protocol"] == "liif, but other crop"


def test_div2k_by_its_definition(known):
    folder, gt, answer = known
    rounded = np.rint(np.clip(answer, 0, 1) * 255)
    report = evaluate(Given(answer), data=folder, scale=2, protocol=DIV2K)
    expected = decibels((rounded - gt)[8:-8, 8:-8] / 255)
    assert report.means["psnr"] == pytest.approx(expected, abs=1e-6)
    assert set(report.means) == {"psnr", "ssim"}
    assert report.conditions["crop"] == 8


def test_centre_compares_the_middle(tmp_path):
    photo = RNG.integers(0, 256, (26, 25, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", Picture(pixels=photo))
    middle = photo[1:25, 0:24]
    model = Given(middle / 255)
    rules = CLASSIC.override(alignment="centre", crop_scales=0)
    report = evaluate(model, data=tmp_path, scale=3, protocol=rules)
    assert report.means["psnr_y"] == float("inf")
    report = evaluate(model, data=tmp_path, scale=3, protocol=CLASSIC)
    assert report.means["psnr_y"] < 20


def test_resizers():
    from PIL import Image

    photo = RNG.integers(0, 256, (24, 30, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(photo).resize((10, 8), Image.Resampling.BICUBIC))
    assert np.array_equal(Shrunk(resizer="pillow")(photo, (8, 10), "a"), expected)
    clamp, mirrored = (Shrunk(resizer=r)(photo, (8, 10), "a") for r in ("matlab_clamp", "matlab"))
    assert not np.array_equal(clamp, mirrored)  # their outermost pixels differ
    assert np.array_equal(clamp[2:-2, 2:-2], mirrored[2:-2, 2:-2])


def test_degraded_pictures_hang_on_seed_and_name_only():
    photo = RNG.integers(0, 256, (64, 72, 3), dtype=np.uint8)
    make = Degraded(preset="real_light", seed=1)
    first = make(photo, (16, 18), "a")
    assert first.shape == (16, 18, 3)
    make(photo, (16, 18), "b")
    assert np.array_equal(make(photo, (16, 18), "a"), first)
    others = [Degraded(preset="real_light", seed=2)(photo, (16, 18), "a")]
    others.append(make(photo, (16, 18), "b"))
    assert not any(np.array_equal(first, other) for other in others)
    with pytest.raises(ValueError, match="Did you mean 'real'"):
        Degraded(preset="rael")
    with pytest.raises(ValueError, match="seed"):
        Degraded(preset="real", seed=-1)


@pytest.mark.parametrize(
    ("text", "scale", "pixels"),
    [("4", 3, 4), ("0", 3, 0), ("scale", 3, 3), ("scale+6", 4, 10), (" 2*scale + 1 ", 2.5, 6)],
)
def test_crops_as_text(text, scale, pixels):
    rules = CLASSIC.override(**parse_crop(text))
    assert rules.crop(scale) == pixels
    assert parse_crop(rules.crop_text) == parse_crop(text)


@pytest.mark.parametrize("text", ["", "scales", "-1", "scale-1", "scale+", "1.5"])
def test_crops_that_are_none(text):
    with pytest.raises(ValueError, match="a crop is written"):
        parse_crop(text)


def test_names_and_words():
    assert list(PROTOCOLS) == ["classic", "div2k", "liif", "real"]
    with pytest.raises(ValueError, match="Did you mean 'classic'"):
        find_protocol("clasic")
    with pytest.raises(ValueError, match="resizer"):
        Protocol(name="x", metrics=("psnr",), resizer="lanczos")
    with pytest.raises(ValueError, match="negative"):
        Protocol(name="x", metrics=("psnr",), crop_pixels=-1)
    assert CLASSIC.override(rounding="uint8", resizer=None) is CLASSIC
