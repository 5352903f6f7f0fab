"""``escsr evaluate`` as a user calls it. Oracle: `escsr.evaluation.compare`."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from escsr.cli.main import app
from escsr.evaluation import OWN_METRICS, Dataset, compare, evaluate
from escsr.images import Picture, write_image
from escsr.resize import imresize

PHOTO = Path(__file__).parents[1] / "data" / "photo.png"


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """Two sets, ``One`` and ``Two``, of two pictures with LQ at x2 and x3."""
    photo = cv2.imread(str(PHOTO), cv2.IMREAD_COLOR_RGB)
    for number, name in enumerate(("One", "Two")):
        for picture in range(2):
            top = 5 * (2 * number + picture)
            gt = photo[top : top + 36, top : top + 42].copy()
            put(tmp_path / name / "HR" / f"p{picture}.png", gt)
            for scale in (2, 3):
                lq = imresize(gt, size=(36 // scale, 42 // scale), border="clamp")
                put(tmp_path / name / f"X{scale}" / f"p{picture}x{scale}.png", lq)
    return tmp_path


def put(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, Picture(pixels=pixels))


def run(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["evaluate", *map(str, args)])
    return result.exit_code, result.output + (str(result.exception) if result.exception else "")


def test_one_model_on_one_folder(bench, tmp_path):
    hr, lq = bench / "One" / "HR", bench / "One" / "X2"
    out = ("--output", tmp_path / "o.json", "--csv", tmp_path / "o.csv")
    code, said = run("--model", "bicubic", "--data", hr, "--lq", lq, "--scale", 2, *out)
    assert code == 0, said
    report = evaluate("bicubic", data=hr, lq=lq, scale=2)
    assert f"{report.means['psnr_y']:.2f}" in said
    assert "p1" in said  # single pictures are listed
    assert "crop: 2" in said
    content = json.loads((tmp_path / "o.json").read_text())
    assert content["results"][0]["means"] == report.means
    assert len((tmp_path / "o.csv").read_text().splitlines()) == 3


def test_many_into_a_folder_twice(bench, tmp_path):
    sets = ("--data", bench / "One" / "HR", "--data", bench / "Two" / "HR")
    rest = ("--lq", f"{bench}/{{data}}/X{{scale}}", "--scale", "2,3", "--crops", 1)
    models = ("-m", "bicubic", "-m", "again=bicubic")
    code, said = run(*sets, *rest, *models, "-o", tmp_path / "out", "--metrics", "psnr_y,psnr")
    assert code == 0, said
    data = [
        Dataset(hr=bench / name / "HR", lq=bench / name / "X{scale}") for name in ("One", "Two")
    ]
    named = {"bicubic": "bicubic", "again": "bicubic"}
    expected = compare(named, data=data, scales=[2, 3], metrics=["psnr_y", "psnr"])
    written = (tmp_path / "out" / "report.json").read_text()
    assert json.loads(written)["results"] == json.loads(expected.to_json())["results"]
    assert "report.html" in said
    for title in ("One x2", "One x3", "Two x2", "Two x3"):
        assert title in said
    kept = (tmp_path / "out" / "figures.jsonl").read_text()
    code, _ = run(*sets, *rest, *models, "-o", tmp_path / "out", "--metrics", "psnr_y,psnr")
    assert code == 0
    assert (tmp_path / "out" / "figures.jsonl").read_text() == kept
    assert (tmp_path / "out" / "report.json").read_text() == written


def test_rules_are_overridden_and_said(bench):
    common = ("-m", "bicubic", "--data", bench / "One" / "HR", "--scale", 2)
    rules = ("--protocol", "div2k", "--crop", "3", "--rounding", "none", "--resizer", "matlab")
    code, said = run(*common, *rules)
    assert code == 0, said
    assert "protocol: div2k, but other crop and resizer and rounding" in said
    assert "crop: 3" in said
    assert "sr clipped, not rounded" in said
    assert "MATLAB bicubic, symmetric border" in said
    code, said = run(*common, "--degradation", "real_light", "--seed", 3)
    assert code == 0, said
    assert "made by degradation preset 'real_light', seed 3" in said


def test_only_pictures_to_enlarge(bench):
    code, said = run(
        *("-m", "bicubic", "--lq", f"photos={bench}/One/X2", "--scale", 2),
        *("--protocol", "real", "--metrics", "psnr_y,colour_shift_lq"),
    )
    assert code == 0, said
    assert "colour_shift_lq" in said
    assert "psnr_y on photos is unavailable: there is no ground truth" in said


def test_embedded_models_and_scales_they_do_not_make(bench):
    common = ("--data", bench / "One" / "HR", "-m", "bicubic", "-m", "embedded")
    code, said = run(*common, "--scale", 2)
    assert code == 0, said
    assert "esc_tiny_x4 does not make x2" in said
    code, said = run("--data", bench / "One" / "HR", "--scale", 3, "-m", "esc_tiny_x4")
    assert code != 0
    assert "esc_tiny_x4 makes x4 only, not x3" in said
    assert "--resize" in said
    code, said = run("--data", bench / "One" / "HR", "--scale", 3, "--resize")
    assert code == 0, said


def test_paper_and_card(bench, tmp_path):
    put(tmp_path / "large.png", np.full((60, 60, 3), 9, np.uint8))
    data = ("--data", f"Set5={bench / 'One' / 'HR'}")
    card = tmp_path / "card.md"
    code, said = run(*data, "-m", "esc_tiny_x4", "--paper", "esc_x4", "--card", card)
    assert code == 3, said  # something differs
    assert "esc_tiny_x4 (esc_tiny + pixel_shuffle) and ESC x4 as published" in said
    assert "Set5 psnr_y: measured" in said
    assert "DIFFERS" in said
    assert "published 32.68" in said
    assert card.read_text().startswith("# esc_tiny_x4")
    for wrong, told in (
        (("-m", "bicubic", "--paper", "esc_x4"), "there is no model to compare with esc_x4"),
        (
            ("-m", "bicubic", "-m", "real", "-m", "default", "--card", card),
            "a card describes one model",
        ),
        (("-m", "real", "--lq", bench / "One" / "X4", "--degradation", "real"), "leave one"),
    ):
        code, said = run(*data, *wrong)
        assert code != 0
        assert told in said
    code, said = run(*data, "-m", "esc_tiny_x4", "--paper", "esc_x4", "--crop", "0")
    assert "the rules differ from the paper's" in said
    code, said = run(*data, "-m", "esc_tiny_x4", "--paper", "esc_x4", "--scale", 2)
    assert code != 0
    assert "leave out --scale" in said


def test_list_of_metrics(monkeypatch):
    monkeypatch.setattr("escsr.evaluation.perceptual.util.find_spec", lambda name: None)
    code, said = run("--list-metrics")
    assert code == 0
    for name in OWN_METRICS:
        assert name in said
    assert "escsr[metrics]" in said


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "give a folder of HR pictures"),
        (("--data", "{b}/One/HR", "--scale", "two"), "such as 4 or 2,3,4"),
        (("--data", "{b}/One/HR", "--data", "{b}/One/HR", "--scale", "2"), "NAME=FOLDER"),
        (
            ("--data", "{b}/One/HR", "--data", "{b}/Two/HR", "--lq", "{b}/One/X2", "--scale", "2"),
            "one that holds {data}",
        ),
        (("--data", "{b}/One/X2", "--lq", "{b}/One/HR", "--scale", "2"), "folders swapped"),
        (("--data", "{b}/One/HR", "--scale", "2", "--metrics", "psnr_x"), "Did you mean"),
        (("--data", "{b}/One/HR", "--scale", "2", "--protocol", "clasic"), "'classic'"),
        (
            ("--data", "{b}/One/HR", "--scale", "2", "-m", "a=bicubic", "-m", "a=default"),
            "two models",
        ),
        (("--data", "{b}/One/HR", "--scale", "2", "-o", "{b}/r.txt"), ".json, .csv, .md, .tex"),
        (("--data", "{b}/One/HR", "--scale", "2", "-o", "{b}/none/r.json"), "does not exist"),
        (("--data", "{b}/One/HR", "--scale", "2", "--degradation", "rael"), "Did you mean 'real'"),
        (("--data", "{b}/One/HR", "--scale", "2", "--crop", "x"), "a crop is written"),
        (("--data", "{b}/gone", "--scale", "2"), "gone"),
    ],
)
def test_errors_come_before_the_work_and_leave_nothing(bench, args, message, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the work was begun")

    monkeypatch.setattr("escsr.evaluation.measuring.read_rgb", refuse)
    if not any("bicubic" in a for a in args):
        args = (*args, "-m", "bicubic")
    before = sorted(bench.rglob("*"))
    code, said = run(*(a.replace("{b}", str(bench)) for a in args))
    assert code != 0
    assert message in said
    assert sorted(bench.rglob("*")) == before
