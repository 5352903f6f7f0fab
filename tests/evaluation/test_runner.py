"""Oracles: the golden bicubic figures, a network that returns a known picture, the metrics."""

import csv
import json
import math
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from escsr.evaluation import CLASSIC, Dataset, Report, Row, compare, evaluate, psnr_y, ssim_y
from escsr.images import Picture, read_rgb, write_image
from escsr.resize import imresize
from tests.forking import run_python

SHARED = os.environ.get("ESCSR_SHARED")
PHOTO = Path(__file__).parents[1] / "data" / "photo.png"


class Nearest(nn.Module):
    """Repeats pixels, then adds a bias: easy to compute otherwise."""

    def __init__(self, scale: float | None = None, bias: float = 0.0) -> None:
        super().__init__()
        self.scale = scale
        self.bias = nn.Parameter(torch.tensor(bias))
        self.modes: list[tuple[bool, bool]] = []

    def forward(self, lq, scale=None, size=None):
        self.modes.append((self.training, torch.is_inference_mode_enabled()))
        assert lq.dtype == torch.float32
        assert 0 <= lq.min() <= lq.max() <= 1
        return nn.functional.interpolate(lq, size=size, mode="nearest-exact") + self.bias


@pytest.fixture
def folders(tmp_path):
    """Two HR crops (one of odd size, one gray) and their LQ pictures at x2."""
    hr, lq = tmp_path / "hr", tmp_path / "lq"
    hr.mkdir()
    lq.mkdir()
    photo = cv2.imread(str(PHOTO), cv2.IMREAD_COLOR_RGB)
    gray = np.repeat(photo[:48, 50:98, 1:2], 3, axis=2)
    for name, pixels, is_gray in (("a", photo[:61, :47], False), ("b", gray, True)):
        write_image(hr / f"{name}.png", Picture(pixels=pixels, gray=is_gray))
        even = pixels[: len(pixels) // 2 * 2, : pixels.shape[1] // 2 * 2]
        small = imresize(even, scale=0.5, border="clamp")
        write_image(lq / f"{name}x2.png", Picture(pixels=small, gray=is_gray))
    return hr, lq


@pytest.mark.skipif(not SHARED, reason="ESCSR_SHARED is not set")
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("dataset", ["Set5", "Set14"])
@pytest.mark.parametrize("given", [True, False], ids=["given", "made"])
def test_golden_bicubic(dataset, scale, given):
    golden = json.loads((Path(SHARED) / "golden" / "bicubic_metrics.json").read_text())
    expected = golden[f"{dataset}_x{scale}"]
    root = Path(SHARED) / "data" / "bench" / dataset
    lq = root / "LR_bicubic" / f"X{scale}" if given else None
    report = evaluate("bicubic", data=root / "HR", lq=lq, scale=scale)
    assert [row.name for row in report.rows] == list(expected["images"])
    for row in report.rows:
        figures = [row.values["psnr_y"], row.values["ssim_y"]]
        # The golden figures are rounded to 4 and 5 digits.
        np.testing.assert_allclose(figures[0], expected["images"][row.name][0], atol=1e-4)
        np.testing.assert_allclose(figures[1], expected["images"][row.name][1], atol=1e-5)
    assert report.means["psnr_y"] == pytest.approx(expected["mean_psnr_y"], abs=1e-4)
    assert report.means["ssim_y"] == pytest.approx(expected["mean_ssim_y"], abs=1e-5)


def test_bicubic_by_hand(folders):
    hr, lq = folders
    report = evaluate("bicubic", data=hr, lq=lq, scale=2)
    for row, size in zip(report.rows, [(60, 46), (48, 48)], strict=True):
        small = read_rgb(lq / f"{row.name}x2.png").astype(np.float64)
        sr = np.clip(np.floor(imresize(small, scale=2) + 0.5), 0, 255).astype(np.uint8)
        gt = read_rgb(hr / f"{row.name}.png")[: size[0], : size[1]]
        assert (row.height, row.width) == size
        assert row.values["psnr_y"] == psnr_y(sr, gt, crop=2)
        assert row.values["ssim_y"] == ssim_y(sr, gt, crop=2)


def test_given_and_made_lq_agree(folders):
    hr, lq = folders
    given, made = (evaluate("bicubic", data=hr, lq=x, scale=2) for x in (lq, None))
    assert given.rows == made.rows
    assert given.conditions["lq"] == str(lq)
    assert "MATLAB bicubic, clamp" in made.conditions["lq"]


def test_network_by_hand(folders):
    hr, lq = folders
    model = Nearest(scale=2, bias=0.4 / 255).train()
    report = evaluate(model, data=hr, lq=lq)
    small = read_rgb(lq / "ax2.png")
    sr = small.repeat(2, axis=0).repeat(2, axis=1)  # 0.4 of a step rounds down
    gt = read_rgb(hr / "a.png")[:60, :46]
    assert report.rows[0].values["psnr_y"] == psnr_y(sr, gt, crop=2)
    assert model.modes == [(False, True)] * 2
    assert model.training  # as it came
    assert report.conditions["scale"] == 2


def test_sr_is_clipped_and_rounded(folders):
    hr, lq = folders
    gt = read_rgb(hr / "a.png")[:60, :46]
    report = evaluate(Nearest(bias=0.6 / 255), data=hr, lq=lq, scale=2)
    small = read_rgb(lq / "ax2.png").astype(int)
    up = np.clip(small + 1, 0, 255).astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    assert report.rows[0].values["psnr_y"] == psnr_y(up, gt, crop=2)
    white = evaluate(Nearest(bias=9.0), data=hr, lq=lq, scale=2)
    assert white.rows[0].values["psnr_y"] == psnr_y(np.full_like(gt, 255), gt, crop=2)


def test_true_sizes_at_a_scale_that_is_no_integer(folders):
    hr, _ = folders
    report = evaluate(Nearest(), data=hr, scale=2.5)
    # 61 x 47 -> 24 x 18 -> 60 x 45; 48 x 48 -> 19 x 19 -> 48 x 48 (47.5, to even).
    assert [(row.height, row.width) for row in report.rows] == [(60, 45), (48, 48)]
    assert report.conditions["crop"] == 3


def test_perfect_network_has_infinite_psnr(tmp_path):
    write_image(tmp_path / "flat.png", Picture(pixels=np.full((32, 32, 3), 90, np.uint8)))
    report = evaluate(Nearest(scale=2), data=tmp_path)
    assert report.means == {"psnr_y": math.inf, "ssim_y": pytest.approx(1)}
    content = json.loads(report.to_json())
    assert content["means"]["psnr_y"] == "inf"


def test_exactly_enlarged_pictures_are_named_and_not_in_the_mean(tmp_path):
    """Oracle: the means without the flat picture; for every model, though one makes it exactly."""
    rng = np.random.default_rng(4)
    for name in ("a", "b", "flat"):
        pixels = np.full((32, 32, 3), 90, np.uint8)
        if name != "flat":
            pixels = rng.integers(0, 256, pixels.shape, dtype=np.uint8)
        write_image(tmp_path / f"{name}.png", Picture(pixels=pixels))

    class Tinted(Nearest):
        def forward(self, lq, scale=None, size=None):
            return super().forward(lq, scale, size) + 0.02

    models = {"exact": Nearest(), "tinted": Tinted()}
    found = compare(models, data=[Dataset(hr=tmp_path)], scales=[2])
    for result in found.results:
        report = result.report
        assert report.left_out == {"psnr_y": ("flat",)}
        both = [row.values["psnr_y"] for row in report.rows if row.name != "flat"]
        assert report.means["psnr_y"] == pytest.approx(sum(both) / 2)
        assert report.counts == {"psnr_y": 2, "ssim_y": 3}
    assert found.results[0].report.rows[2].values["psnr_y"] == math.inf
    table = found.to_markdown()
    assert "inf |" not in table
    assert "not in the mean of psnr_y: flat (enlarged exactly" in table
    assert f"**{found.results[0].report.means['psnr_y']:.2f} (2)**" in table
    plain = json.loads(found.to_json())["results"][0]
    assert (plain["left_out"], plain["images"][2]["psnr_y"]) == ({"psnr_y": ["flat"]}, "inf")
    single = evaluate(Nearest(), data=tmp_path, scale=2)
    assert "not in the mean of psnr_y: flat" in single.to_markdown()


def test_nothing_runs_before_the_pairs_are_right(folders):
    hr, lq = folders
    (lq / "bx2.png").unlink()
    model = Nearest(scale=2)
    with pytest.raises(ValueError, match=r"b\.png: no LQ picture"):
        evaluate(model, data=hr, lq=lq)
    assert model.modes == []


def test_errors(folders, tmp_path):
    hr, lq = folders
    with pytest.raises(ValueError, match="any scale"):
        evaluate("bicubic", data=hr)
    with pytest.raises(ValueError, match="any scale"):
        evaluate(Nearest(), data=hr)
    with pytest.raises(ValueError, match="Nearest makes x2 only, not x3.*--resize"):
        evaluate(Nearest(scale=2), data=hr, scale=3)
    with pytest.raises(ValueError, match=r"a: planes hold NaN"):
        evaluate(Nearest(bias=math.nan), data=hr, scale=2)
    (tmp_path / "tiny").mkdir()
    write_image(tmp_path / "tiny" / "t.png", Picture(pixels=np.zeros((12, 12, 3), np.uint8)))
    with pytest.raises(ValueError, match=r"t: crop=2 on 12 x 12"):
        evaluate("bicubic", data=tmp_path / "tiny", scale=2, metrics=["ssim_y"])
    (row,) = evaluate("bicubic", data=tmp_path / "tiny", scale=2).rows  # what can be taken is
    assert row.values.keys() == {"psnr_y"}
    assert "at least 11 x 11 must remain" in row.missing["ssim_y"]


def test_a_network_of_the_wrong_size_is_named(folders):
    class Same(Nearest):
        def forward(self, lq, scale=None, size=None):
            return lq

    hr, lq = folders
    with pytest.raises(ValueError, match=r"a: the network gave \(3, 30, 23\)"):
        evaluate(Same(), data=hr, lq=lq, scale=2)


def report_of(*figures: float) -> Report:
    rows = [
        Row(name=f"i{k}|", height=9, width=8, values={"psnr_y": f, "ssim_y": f / 100})
        for k, f in enumerate(figures)
    ]
    return Report(rows=tuple(rows), conditions={"model": "m", "crop": 4})


@pytest.mark.parametrize("figures", [[30.0], [30.0, 31.0], [30.0, 31.0, 32.5, 20.25, 1.0]])
def test_means_for_one_two_and_five(figures):
    assert report_of(*figures).means["psnr_y"] == sum(figures) / len(figures)


def test_formats_say_the_same(tmp_path):
    report = report_of(30.125, 31.0)
    for suffix in (".json", ".csv", ".md"):
        report.save(tmp_path / f"r{suffix}")
    content = json.loads((tmp_path / "r.json").read_text())
    assert content["conditions"] == {"model": "m", "crop": 4}
    assert content["means"]["psnr_y"] == 30.5625
    first = {"name": "i0|", "height": 9, "width": 8, "psnr_y": 30.125, "ssim_y": 0.30125}
    assert content["images"][0] == first
    with (tmp_path / "r.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {k: str(v) for k, v in first.items()}
    table = (tmp_path / "r.md").read_text()
    assert "| **mean** | 30.56 | 0.3056 |" in table
    assert "- crop: 4" in table
    assert sorted(os.listdir(tmp_path)) == ["r.csv", "r.json", "r.md"]


def test_report_endings(tmp_path):
    with pytest.raises(ValueError, match=r"\.json, \.csv, \.md"):
        report_of(1.0).save(tmp_path / "r.txt")
    with pytest.raises(FileNotFoundError, match="gone"):
        report_of(1.0).save(tmp_path / "gone" / "r.json")


def test_classic_crop():
    assert [CLASSIC.crop(scale) for scale in (2, 3.0, 4, 2.5)] == [2, 3, 4, 3]


def test_script_runs_the_command(folders):
    root = Path(__file__).parents[2]
    options = ("--model", "bicubic", "--scale", "2", "--data", folders[0])
    result = run_python(root / "tools" / "evaluate.py", *options, cwd=root)
    assert result.returncode == 0, result.stderr
    assert "mean" in result.stdout
