"""Oracle: pyiqa with the same settings."""

import math
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from escsr.evaluation import (
    OWN_METRICS,
    Sample,
    find_metrics,
    list_metrics,
    ms_ssim,
    psnr,
    psnr_y,
    rgb_to_y,
    ssim,
    ssim_y,
)
from escsr.evaluation.perceptual import _from_pyiqa
from escsr.resize import imresize

pyiqa = pytest.importorskip("pyiqa")

PHOTO = cv2.imread(str(Path(__file__).parents[1] / "data" / "photo.png"), cv2.IMREAD_COLOR_RGB)


def pair(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A crop of its own size, and itself damaged in one of four ways."""
    rng = np.random.default_rng(number)
    height, width = rng.integers(40, min(PHOTO.shape[:2]) + 1, 2)
    top = rng.integers(0, PHOTO.shape[0] - height + 1)
    left = rng.integers(0, PHOTO.shape[1] - width + 1)
    gt = np.ascontiguousarray(PHOTO[top : top + height, left : left + width])
    if number % 4 == 0:
        return imresize(imresize(gt, size=(height // 3, width // 3)), size=(height, width)), gt
    if number % 4 == 1:
        return cv2.GaussianBlur(gt, (0, 0), 0.5 + number / 16), gt
    if number % 4 == 2:
        _, code = cv2.imencode(".jpg", gt, [cv2.IMWRITE_JPEG_QUALITY, 30 + 3 * number])
        return cv2.imdecode(code, cv2.IMREAD_COLOR), gt
    noise = rng.normal(0, 2, gt.shape)
    return np.clip(np.rint(gt * 0.9 + 10 + noise), 0, 255).astype(np.uint8), gt


def tensor(image: np.ndarray) -> torch.Tensor:
    # Double precision: what is compared are definitions, not the rounding of float32.
    return torch.from_numpy(image.transpose(2, 0, 1)[None] / 255.0)


@pytest.fixture(scope="module")
def theirs():
    """pyiqa's figures, set to what ours are defined as."""
    settings = {
        "psnr": {"eps": 0.0},
        "psnry": {"eps": 0.0, "color_space": "ycbcr"},
        "ssim": {"color_space": "ycbcr"},
        "ssimc": {},
    }
    return {
        name: pyiqa.create_metric(name, device="cpu", **options)
        for name, options in settings.items()
    }


@pytest.mark.parametrize("number", range(20))
def test_psnr_and_ssim_equal_pyiqa(theirs, number):
    sr, gt = pair(number)
    crop = number % 5
    inner = np.s_[crop : sr.shape[0] - crop, crop : sr.shape[1] - crop]
    pictures = (tensor(sr[inner]), tensor(gt[inner]))
    expected = {name: metric(*pictures).item() for name, metric in theirs.items()}
    assert psnr_y(sr, gt, crop=crop) == pytest.approx(expected["psnry"], abs=1e-3)
    assert psnr(sr, gt, crop=crop) == pytest.approx(expected["psnr"], abs=1e-3)
    # pyiqa sets negative covariances to nothing; in pictures like these that is below 1e-4.
    assert ssim(sr, gt, crop=crop) == pytest.approx(expected["ssimc"], abs=1e-4)
    # pyiqa rounds the luma to 8 bits before SSIM; so does this line.
    rounded = [np.floor(rgb_to_y(image) + 0.5) for image in (sr, gt)]
    assert ssim(*rounded, crop=crop) == pytest.approx(expected["ssim"], abs=1e-4)
    # What that rounding is worth.
    assert ssim_y(sr, gt, crop=crop) == pytest.approx(expected["ssim"], abs=2e-3)


def test_ms_ssim_equals_pyiqa():
    # Sides are multiples of 16: pyiqa pads odd ones with black.
    gt = np.ascontiguousarray(np.tile(PHOTO, (3, 3, 1))[:192, :208])
    sr = cv2.GaussianBlur(gt, (0, 0), 1.5)
    metric = pyiqa.create_metric("ms_ssim", device="cpu", color_space="ycbcr")
    rounded = [np.floor(rgb_to_y(image) + 0.5) for image in (sr, gt)]
    expected = metric(tensor(sr), tensor(gt)).item()
    assert expected < 0.99
    assert ms_ssim(*rounded) == pytest.approx(expected, abs=1e-4)


def test_figures_by_pyiqa_are_pyiqas():
    (metric,), missing = find_metrics(["GMSD"])
    assert missing == {}
    assert (metric.name, metric.better, metric.needs) == ("gmsd", "lower", "gt")
    sr, gt = pair(9)
    crop = 3
    inner = np.s_[crop:-crop, crop:-crop]
    expected = pyiqa.create_metric("gmsd", device="cpu")(
        tensor(sr[inner]).float(), tensor(gt[inner]).float()
    ).item()
    sample = Sample(sr=sr, gt=gt, lq=gt[::2, ::2], crop=crop)
    assert metric.measure(sample) == pytest.approx(expected, abs=1e-7)


def test_the_device_may_be_found_by_itself():
    metrics, unavailable = find_metrics(["piqe"], device="auto")
    assert [metric.name for metric in metrics] == ["piqe"]
    assert unavailable == {}


def test_global_generators_are_left_alone():
    (metric,), _ = find_metrics(["piqe"])
    sr, _ = pair(4)
    torch.manual_seed(3)
    np.random.seed(3)
    before = (torch.rand(1).item(), np.random.rand())
    torch.manual_seed(3)
    np.random.seed(3)
    first = metric.measure(Sample(sr=sr, gt=None, lq=sr))
    assert (torch.rand(1).item(), np.random.rand()) == before
    assert metric.measure(Sample(sr=sr, gt=None, lq=sr)) == first


def test_names(monkeypatch):
    metrics, _ = find_metrics(["PSNR-Y", "ssim", "pyiqa:ssim", "psnr_y"])
    assert [m.name for m in metrics] == ["psnr_y", "ssim", "pyiqa:ssim"]
    assert [m.source.split()[0] for m in metrics] == ["escsr", "escsr", "pyiqa"]
    with pytest.raises(ValueError, match="Did you mean 'gmsd'"):
        find_metrics(["gmds"])
    with pytest.raises(ValueError, match="no metric was named"):
        find_metrics([])


def test_every_metric_of_pyiqa_is_listed_with_its_direction():
    rows = {row["name"]: row for row in list_metrics()}
    named = {name.removeprefix("pyiqa:") for name in rows}
    assert set(pyiqa.list_models()) <= named
    assert set(OWN_METRICS) <= set(rows)
    assert rows["lpips"]["better"] == "lower"
    assert rows["musiq"]["better"] == "higher"
    assert (rows["musiq"]["needs"], rows["fid"]["needs"], rows["lpips"]["needs"]) == (
        "nothing",
        "gt",
        "gt",
    )


def test_weights_that_cannot_be_had(monkeypatch):
    def refuse(name, device):
        raise OSError("no route to the weights\nsecond line")

    monkeypatch.setattr(pyiqa, "create_metric", refuse)
    metrics, missing = find_metrics(["psnr_y", "lpips", "clipscore"])
    assert [m.name for m in metrics] == ["psnr_y"]
    assert missing == {
        "lpips": "pyiqa could not make it: OSError: no route to the weights",
        "clipscore": "it needs a caption for each picture",
    }


def test_without_pyiqa(monkeypatch):
    monkeypatch.setattr("escsr.evaluation.perceptual.util.find_spec", lambda name: None)
    metrics, missing = find_metrics(["ssim_y", "lpips"])
    assert [m.name for m in metrics] == ["ssim_y"]
    assert "escsr[metrics]" in missing["lpips"]
    assert {row["name"] for row in list_metrics()} == set(OWN_METRICS)


@pytest.mark.parametrize(
    ("answer", "message"), [(torch.zeros(2), "2 numbers"), (torch.tensor(math.nan), "NaN")]
)
def test_answers_that_are_no_figure(monkeypatch, answer, message):
    monkeypatch.setattr(pyiqa, "create_metric", lambda name, device: lambda *pictures: answer)
    metric = _from_pyiqa("piqe", "cpu")
    sr, _ = pair(4)
    with pytest.raises(ValueError, match=message):
        metric.measure(Sample(sr=sr, gt=None, lq=sr))


def test_figures_of_sets(monkeypatch, tmp_path):
    asked = []

    def network(*folders):
        asked.append(folders)
        return torch.tensor([7.5])

    monkeypatch.setattr(pyiqa, "create_metric", lambda name, device: network)
    fid = _from_pyiqa("fid", "cpu")
    score = _from_pyiqa("inception_score", "cpu")
    assert fid.measure_set(tmp_path / "sr", tmp_path / "gt") == 7.5
    assert score.measure_set(tmp_path / "sr", None) == 7.5
    assert asked == [(str(tmp_path / "sr"), str(tmp_path / "gt")), (str(tmp_path / "sr"),)]


def test_ours_need_no_pyiqa(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)  # importing it would raise
    assert len(find_metrics(list(OWN_METRICS))[0]) == len(OWN_METRICS)
