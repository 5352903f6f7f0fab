"""Oracles: the tables as printed, and the cards of the embedded models."""

from pathlib import Path

import pytest

from escsr import models
from escsr.evaluation import CLASSIC, LIIF, Comparison, Dataset, compare
from escsr.evaluation.cards import model_card, write_card
from escsr.evaluation.paper import PAPER_ROWS, check_paper, find_paper_row
from escsr.evaluation.report import Report, Row
from escsr.evaluation.results import Result


def measured(data: str, scale: float, psnr: float, ssim: float) -> Comparison:
    row = Row(name="p", height=9, width=9, values={"psnr_y": psnr, "ssim_y": ssim})
    report = Report(rows=(row,), conditions={"crop": 1})
    result = Result(model="m", data=data, scale=scale, report=report)
    return Comparison(
        conditions={}, metrics=(), unavailable={}, models=(), data=(), results=(result,)
    )


def test_rows_as_printed():
    assert find_paper_row("esc_x4").figures["Manga109"] == (31.54, 0.9207)
    assert find_paper_row("esc_light_x2").figures["B100"] == (32.35, 0.9020)
    assert find_paper_row("esc_lte_x8").figures == {
        "Set5": (27.24, None),
        "Urban100": (23.03, None),
    }
    assert {row.protocol for row in PAPER_ROWS.values()} == {CLASSIC, LIIF}
    # In every column of a scale ESC has the best figures of those trained on DIV2K.
    for scale in (2, 4):
        best = PAPER_ROWS[f"esc_x{scale}"].figures
        for row in PAPER_ROWS.values():
            if row.scale == scale and row.protocol is CLASSIC and "DFLIP" not in row.network:
                assert all(row.figures[name] <= best[name] for name in best)
    with pytest.raises(ValueError, match="Did you mean 'esc_x4'"):
        find_paper_row("esc_4")


@pytest.mark.parametrize(
    ("data", "psnr", "ssim", "agrees"),
    [
        ("Set5", 32.684, 0.90112, [True, True]),
        ("BSD100", 27.80, 0.7452, [True, False]),
        ("bsds100", 27.78, 0.7447, [False, True]),
    ],
)
def test_checks(data, psnr, ssim, agrees):
    checks = check_paper(measured(data, 4, psnr, ssim), find_paper_row("esc_x4"), "m")
    assert [check.agrees for check in checks] == agrees
    assert [check.metric for check in checks] == ["psnr_y", "ssim_y"]


def test_what_cannot_be_checked():
    row = find_paper_row("esc_x4")
    for found in (measured("Kodak", 4, 30, 0.9), measured("Set5", 2, 30, 0.9)):
        with pytest.raises(ValueError, match="--data Set5=FOLDER"):
            check_paper(found, row, "m")
    (check,) = check_paper(measured("Set5", 4, 32.7, 0.9), find_paper_row("esc_lte_x4"), "m")
    assert (check.metric, check.published) == ("psnr_y", 32.72)


@pytest.mark.parametrize("name", sorted(models.embedded()))
def test_cards_keep_what_was_written_by_hand(bench, tmp_path, name):
    card = Path(models.__file__).with_name(f"{name}.md").read_text()
    scale = int(name[-1]) if name[-1].isdigit() else 2  # any scale: one of them
    data = [Dataset(hr=bench / "HR")]
    found = compare(["bicubic", name], data=data, scales=[scale])
    path = tmp_path / "card.md"
    path.write_text(card)
    write_card(found, name, path)
    new = path.read_text()
    above, _, rest = card.partition("<!-- measured -->")
    below = rest.partition("<!-- end of measured -->")[2]
    assert rest
    assert new.startswith(above)
    assert new.endswith(below)
    means = {r.model: r.report.means for r in found.results}
    for model in ("bicubic", name):
        figures = f"{means[model]['psnr_y']:.2f} / {means[model]['ssim_y']:.4f}".replace(
            " 0.", " ."
        )
        assert f"| {model} | {figures} |" in new
    write_card(found, name, path)
    assert path.read_text() == new


def test_card_of_a_new_file_says_what_the_file_knows(bench, weights):
    found = compare([str(weights)], data=[Dataset(hr=bench / "HR")], scales=[2])
    with pytest.raises(ValueError, match="no results for 'three'"):
        model_card(found, "three")
    card = model_card(found, "two")
    assert card.startswith("# two\n")
    for line in (
        "| network | esc_tiny + pixel_shuffle, x2 |",
        "| training | recipe none, steps 3 |",
    ):
        assert line in card
    assert "| licence | not stated in the weight file |" in card
    assert "| two | " in card.split("Measured with")[1]
