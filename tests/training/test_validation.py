"""Validation on crops. Oracles: the evaluation's own figures, and a model that is bicubic."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from escsr.evaluation import psnr_y
from escsr.resize import imresize
from escsr.training import CropValidation
from escsr.training.progress import Window, duration

ROOT = Path(__file__).parents[2]


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
    assert Window(images=4, seconds=2.0, waited=0.5).means() == {"loss": None, "grad_norm": None}
    assert Window(images=4, seconds=2.0, waited=0.5).speed() == {"images_per_s": 2, "wait": 0.25}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (61, "1 min"), (3599, "1 h 00 min"), (11100, "3 h 05 min")],
)
def test_duration_reads_well(seconds, text):
    assert duration(seconds) == text
