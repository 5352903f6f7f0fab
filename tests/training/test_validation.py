"""Validation on crops. Oracles: the evaluation's own figures, and a model that is bicubic."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from escsr.data import degraded, sharpened
from escsr.evaluation import psnr_y, ssim_y
from escsr.evaluation.perceptual import describe_metric
from escsr.resize import imresize
from escsr.training import CropValidation, ScalesValidation
from escsr.training import figures as figures_module
from escsr.training.progress import Pace, Window, duration

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT / "tests" / "data"


class Bicubic(nn.Module):
    """A model that computes MATLAB's bicubic, and one weight to have a device."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, lq, size):
        large = imresize(lq[0].numpy().transpose(1, 2, 0).astype(np.float64), size=size)
        return torch.from_numpy(large.transpose(2, 0, 1))[None]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_model_scores_as_bicubic(scale):
    validation = CropValidation(roots=(ROOT / "examples",), scale=scale, crop=100)
    figures = validation(Bicubic())
    assert figures["psnr_y"] == pytest.approx(figures["bicubic_psnr_y"], abs=1e-3)
    assert set(figures) == set(validation.figures)


def test_figure_is_the_mean_over_centre_crops(tmp_path):
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((50, 41), (64, 90))]
    for index, photo in enumerate(photos):
        Image.fromarray(photo).save(tmp_path / f"{index}.png")

    class Nearest(Bicubic):
        def forward(self, lq, size):
            assert size == (lq.shape[2] * 2, lq.shape[3] * 2)
            return lq.repeat_interleave(2, 2).repeat_interleave(2, 3)

    expected = []
    for photo, (top, left, height, width) in zip(
        photos, ((1, 0, 48, 40), (8, 21, 48, 48)), strict=True
    ):
        gt = photo[top : top + height, left : left + width]
        lq = imresize(gt, size=(height // 2, width // 2))
        expected.append(psnr_y(lq.repeat(2, 0).repeat(2, 1), gt, crop=2))
    figures = CropValidation(roots=(tmp_path,), scale=2, crop=49)(Nearest())
    assert figures["psnr_y"] == pytest.approx(np.mean(expected), abs=1e-9)


def test_a_flat_photo_does_not_make_the_mean_infinite(tmp_path):
    """Oracle: the same photos without the flat one, whose PSNR is infinite."""
    rng = np.random.default_rng(1)
    photos = {"noise": rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)}
    photos["flat"] = np.full((40, 40, 3), 77, np.uint8)
    for name, photo in photos.items():
        Image.fromarray(photo).save(tmp_path / f"{name}.png")
    options = {"roots": (tmp_path,), "scale": 2, "crop": 32}
    both = CropValidation(**options)(Bicubic())
    alone = CropValidation(**options, exclude=("flat*",))(Bicubic())
    assert both == alone
    assert np.isfinite(list(both.values())).all()
    flat = CropValidation(**options, include=("flat*",))(Bicubic())
    assert flat["bicubic_psnr_y"] == np.inf


def test_sharpened_truth_is_what_the_small_picture_is_made_of():
    """Oracle: the parts themselves; a preset that sharpens does not do it again."""
    given = []

    def keep(gt, size, rng):
        given.append(gt)
        return imresize(gt, size=size)

    options = {"roots": (PHOTOS,), "scale": 2, "crop": 64, "include": ("*.png",)}
    for sharpen in (False, True):
        CropValidation(**options, sharpen=sharpen, lq_from=keep)(Bicubic())
    assert np.array_equal(given[1], sharpened(given[0]))
    assert not np.array_equal(given[1], given[0])
    by_name, by_hand = (
        CropValidation(**options, sharpen=True, lq_from=lq_from)(Bicubic())
        for lq_from in ("real", degraded("real", sharpen=False))
    )
    assert by_name == by_hand


def test_last_photos_by_name_are_taken(tmp_path):
    for name in "dacb":
        Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / f"{name}.png")
    names = [p.stem for p in CropValidation(roots=(tmp_path,), scale=2, count=2).paths]
    assert names == ["c", "d"]
    assert len(CropValidation(roots=(tmp_path,), scale=2, count=None).paths) == 4
    assert len(CropValidation(roots=(tmp_path,), scale=2, count=9).paths) == 4


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"scale": 0}, ValueError, "scale"),
        ({"crop": 10}, ValueError, "crop"),
        ({"count": 0}, ValueError, "count"),
        ({"include": ("x*",)}, FileNotFoundError, "no photo"),
        ({"roots": ("nowhere",)}, FileNotFoundError, "nowhere"),
    ],
)
def test_wrong_options_are_refused(options, error, named):
    with pytest.raises(error, match=named):
        CropValidation(**({"roots": (ROOT / "examples",), "scale": 2} | options))


def test_window_of_skipped_steps_has_no_mean():
    assert Window().means() == {"loss": None, "grad_norm": None}


def test_window_and_pace_add_up():
    window, pace = Window(), Pace()
    for loss in (1.0, 4.0):
        window.add({"loss": loss, "grad_norm": 3.0})
        pace.add(8, 0.5, 2.0)
    assert window.means() == {"loss": 2.5, "grad_norm": 3.0}
    assert pace.figures() == {"images_per_s": 4.0, "wait": 0.25}
    assert pace.seconds_per_step() == 2.0


def test_scales_are_those_of_single_validations():
    options = {"roots": (PHOTOS,), "crop": 50, "count": 1}
    model = Bicubic()
    both = ScalesValidation(scales=(2, 2.5), **options)
    found = both(model)
    assert set(found) == set(both.figures)
    for scale in (2, 2.5):
        single = CropValidation(scale=scale, **options)(model)
        assert found[f"psnr_y_x{scale:g}"] == single["psnr_y"]
        # float32 pictures may round to the other of two values
        assert single["psnr_y"] == pytest.approx(single["bicubic_psnr_y"], abs=1e-3)
    assert found["psnr_y"] == pytest.approx((found["psnr_y_x2"] + found["psnr_y_x2.5"]) / 2)


def test_panel_shows_lq_bicubic_sr_and_gt():
    validation = CropValidation(roots=(PHOTOS,), scale=2.5, crop=50, count=1)
    ((name, panel),) = validation.panels(Bicubic(), 3).items()
    ((lq, gt),) = validation._pairs
    assert name == validation.paths[0].stem
    assert panel.shape == (50, 4 * 50 + 3 * 2, 3)
    assert (panel[:, -50:] == gt).all()
    bicubic, sr = panel[:, 52:102].astype(int), panel[:, 104:154].astype(int)
    assert np.abs(bicubic - sr).max() <= 1  # this network is bicubic itself, in float32
    rows = [int(r / 2.5) for r in range(50)]
    assert (panel[:, :50] == lq[rows][:, rows]).all()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (61, "1 min"), (3599, "1 h 00 min"), (11100, "3 h 05 min")],
)
def test_duration_reads_well(seconds, text):
    assert duration(seconds) == text


def test_any_metric_is_validated_on_and_bicubic_beside_it():
    """Oracle: the metrics themselves, of the crops that are shown."""
    wanted = ("ssim_y", "PSNR-Y")
    validation = CropValidation(roots=(PHOTOS,), scale=2, crop=64, count=1, metrics=wanted)
    figures = validation(Bicubic())
    assert tuple(figures) == validation.figures
    assert validation.figures == ("ssim_y", "psnr_y", "bicubic_ssim_y", "bicubic_psnr_y")
    (_, gt), (panel,) = validation._pairs[0], validation.panels(Bicubic(), 1).values()
    bicubic = panel[:, 66:130]
    assert figures["bicubic_ssim_y"] == ssim_y(bicubic, gt, crop=2)
    assert figures["bicubic_psnr_y"] == psnr_y(bicubic, gt, crop=2)
    plain = CropValidation(roots=(PHOTOS,), scale=2, crop=64, count=1)(Bicubic())
    assert plain == {name: figures[name] for name in ("psnr_y", "bicubic_psnr_y")}
    scales = ScalesValidation(roots=(PHOTOS,), scales=(2, 3), crop=64, metrics=("ssim_y",))
    assert scales.figures[-2:] == ("ssim_y_x3", "bicubic_ssim_y_x3")
    assert tuple(scales(Bicubic())) == scales.figures
    with pytest.raises(ValueError, match="ssim_y"):
        CropValidation(roots=(PHOTOS,), scale=2, metrics=("ssim_yy",))
    with pytest.raises(ValueError, match="list of names"):
        CropValidation(roots=(PHOTOS,), scale=2, metrics="ssim_y")


def test_networks_of_metrics_are_made_when_the_run_begins(monkeypatch):
    """Oracle: a stand-in for pyiqa's DISTS, which is lower where pictures are more alike."""
    pytest.importorskip("pyiqa")
    made = []

    def find(name, device):
        made.append(name)
        return dataclasses.replace(described, measure=lambda s: float(np.ptp(s.sr)))

    described = describe_metric("dists")
    monkeypatch.setattr(figures_module, "find_metric", find)
    validation = CropValidation(roots=(PHOTOS,), scale=2, crop=64, count=1, metrics=("dists",))
    assert validation.lower_is_better == {"dists", "bicubic_dists"}
    assert made == []
    validation.prepare()
    assert made == ["dists"]
    assert validation(Bicubic())["dists"] > 0
    assert made == ["dists"]
