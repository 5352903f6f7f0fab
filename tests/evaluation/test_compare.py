"""Oracles: single runs by `evaluate`, hand-made figures, and a run that nobody interrupted."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import escsr
from escsr.evaluation import (
    CLASSIC,
    OWN_METRICS,
    REAL,
    Dataset,
    Degraded,
    Metric,
    Shrunk,
    colour_shift,
    compare,
    evaluate,
    psnr_y,
)
from escsr.evaluation.contenders import make_contender
from escsr.evaluation.cost import COST_SIZE, cost_of
from escsr.images import Picture, read_rgb, write_image
from escsr.resize import imresize
from tests.evaluation.conftest import Shifted


def mini(root: Path) -> list[Dataset]:
    return [Dataset(hr=root / "HR", lq=f"{root}/LQ/X{{scale}}")]


def test_many_at_once_equal_one_by_one(bench, weights):
    found = compare(
        ["bicubic", weights], data=[*mini(bench), Dataset(hr=bench / "HR", name="made")], scales=[2]
    )
    assert [(r.data, r.model) for r in found.results] == [
        ("Mini", "bicubic"),
        ("Mini", "two"),
        ("made", "bicubic"),
        ("made", "two"),
    ]
    for result in found.results:
        lq = bench / "LQ" / "X2" if result.data == "Mini" else None
        model = weights if result.model == "two" else "bicubic"
        alone = evaluate(model, data=bench / "HR", lq=lq, scale=2)
        assert result.report.rows == alone.rows
        assert result.report.means == alone.means


def test_a_network_that_does_not_make_a_scale_is_said_so(bench, weights):
    found = compare(["bicubic", weights], data=mini(bench), scales=[2, 3])
    absent = [r for r in found.results if r.report is None]
    assert [(r.model, r.scale) for r in absent] == [("two", 3)]
    assert absent[0].reason.startswith("two makes x2 only, not x3")
    assert "| two | does not make x3 |" in found.to_markdown()
    assert json.loads(found.to_json())["results"][3]["not_made"] == absent[0].reason


def test_resized_results_are_those_of_upscale(bench, weights):
    found = compare([weights], data=mini(bench), scales=[3], resize=True)
    (result,) = found.results
    gt, lq = read_rgb(bench / "HR" / "p1.png"), read_rgb(bench / "LQ" / "X3" / "p1x3.png")
    with pytest.warns(escsr.inference.UpscaleNotice, match="resized"):
        sr = escsr.upscale(lq, size=gt.shape[:2], model=weights)
    # An array goes through 8 bits before it is resized only at its end, as here.
    expected = psnr_y(sr, gt, crop=3)
    assert result.report.rows[1].values["psnr_y"] == pytest.approx(expected, abs=1e-9)
    assert found.models[0]["resized"] is True
    assert "two makes x2; elsewhere resized" in found.to_markdown()


def test_scale_is_found_where_models_say_it(bench, weights):
    (result,) = compare([weights], data=mini(bench)).results
    assert result.scale == 2
    with pytest.raises(ValueError, match="any scale"):
        compare(["bicubic"], data=mini(bench))
    four = escsr.build("esc_tiny", scale=4)
    with pytest.raises(ValueError, match="different scales"):
        compare({"a": weights, "b": four}, data=mini(bench))
    with pytest.raises(ValueError, match="scales must be distinct numbers"):
        compare([weights], data=mini(bench), scales=[2, 2])


def test_wrong_pairs_of_all_sets_are_named_before_anything_runs(bench):
    (bench / "LQ" / "X2" / "p0x2.png").unlink()
    (bench / "LQ" / "X3" / "p4x3.png").unlink()
    model = Shifted(1)
    with pytest.raises(ValueError, match=r"p0\.png: no LQ(?s:.*)p4\.png: no LQ"):
        compare([model], data=mini(bench), scales=[2, 3])
    assert model.calls == 0


@pytest.mark.parametrize("stop_after", [0, 1, 4, 7])
def test_interrupted_and_restarted_gives_the_same_report(bench, tmp_path, stop_after):
    def run(folder: Path | None, model: Shifted) -> str:
        models = {"bicubic": "bicubic", "shifted": model}
        asked = {"metrics": ["psnr_y", "ssim_y", "colour_shift"], "crops": 2, "crop_side": 16}
        return compare(models, data=mini(bench), scales=[2, 3], folder=folder, **asked).to_json()

    whole = run(None, Shifted(2))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", Shifted(2, stop_after=stop_after))
    again = Shifted(2)
    assert run(tmp_path / "out", again) == whole
    assert again.calls == 10 - stop_after
    idle = Shifted(2)
    assert run(tmp_path / "out", idle) == whole
    assert idle.calls == 0


def test_what_is_kept_is_not_taken_for_something_else(bench, tmp_path):
    def run(model: Shifted, **settings) -> tuple[int, float]:
        data = settings.pop("data", mini(bench))
        found = compare(
            {"m": model}, data=data, scales=[2], folder=tmp_path / "out", crops=1, **settings
        )
        return model.calls, found.results[0].report.means["psnr_y"]

    _, first = run(Shifted(2))
    calls, second = run(Shifted(9))
    assert calls == 5  # other weights under the same name
    assert second < first
    assert run(Shifted(2), protocol=CLASSIC.override(crop_pixels=2))[0] == 5
    assert run(Shifted(2), metrics=["psnr_y", "psnr"])[0] == 5
    assert run(Shifted(2)) == (0, first)
    photo = read_rgb(bench / "HR" / "p3.png")
    write_image(bench / "HR" / "p3.png", Picture(pixels=photo[::-1].copy()))
    assert run(Shifted(2))[0] == 1  # another picture under the same name
    for crop in (tmp_path / "out" / "crops").rglob("m-*.png"):
        crop.unlink()
    assert run(Shifted(2))[0] == 1  # the page needs its part again


def test_a_line_cut_short_is_measured_again(bench, tmp_path):
    settings = {"data": mini(bench), "scales": [2], "folder": tmp_path / "out"}
    whole = compare({"m": Shifted(2)}, **settings).to_json()
    kept = tmp_path / "out" / "figures.jsonl"
    kept.write_bytes(kept.read_bytes()[:-25])
    again = Shifted(2)
    assert compare({"m": again}, **settings).to_json() == whole
    assert again.calls == 1
    idle = Shifted(2)
    compare({"m": idle}, **settings)
    assert idle.calls == 0


def test_infinite_and_missing_figures_come_back_from_the_folder(tmp_path, monkeypatch):
    write_image(tmp_path / "flat.png", Picture(pixels=np.full((32, 32, 3), 90, np.uint8)))

    def fail(sample) -> float:
        raise RuntimeError("too small\nmore")

    broken = Metric(
        name="broken",
        measure=fail,
        better="lower",
        range="any",
        needs="nothing",
        looks_at="RGB",
        source="elsewhere 1",
    )
    both = [OWN_METRICS["psnr_y"], broken]
    monkeypatch.setattr("escsr.evaluation.runner.find_metrics", lambda *a, **k: (list(both), {}))
    settings = {"data": [Dataset(hr=tmp_path)], "scales": [2], "folder": tmp_path / "out"}
    whole = compare(["bicubic"], **settings)
    (result,) = whole.results
    assert result.report.means == {"psnr_y": float("inf")}
    assert result.report.rows[0].missing == {"broken": "elsewhere 1: RuntimeError: too small"}
    assert "flat: no broken: elsewhere 1: RuntimeError: too small" in whole.to_markdown()
    assert compare(["bicubic"], **settings).to_json() == whole.to_json()


def test_pictures_without_ground_truth(bench):
    found = compare(
        ["bicubic"],
        data=[Dataset(lq=bench / "LQ" / "X2", name="photos")],
        scales=[2.5],
        protocol=REAL,
        metrics=["psnr_y", "colour_shift_lq"],
    )
    (result,) = found.results
    assert set(result.report.means) == {"colour_shift_lq"}
    assert found.unavailable == {"psnr_y on photos": "there is no ground truth"}
    lq = read_rgb(bench / "LQ" / "X2" / "p2x2.png")
    sr = imresize(lq, size=(60, 68), round_between=False)  # 24 x 27, halves to even
    row = result.report.rows[2]
    assert (row.height, row.width) == (60, 68)
    assert row.values["colour_shift_lq"] == pytest.approx(colour_shift(sr, lq))


def test_lq_made_by_a_degradation(bench):
    make = Degraded(preset="real_light", seed=4)
    found = compare(["bicubic"], data=[Dataset(hr=bench / "HR")], scales=[2], make_lq=make)
    gt = read_rgb(bench / "HR" / "p2.png")
    lq = make(gt, (24, 27), "p2")
    sr = imresize(lq, size=(48, 54), round_between=False)
    expected = psnr_y(sr, gt, crop=2)
    assert found.results[0].report.rows[2].values["psnr_y"] == pytest.approx(expected)
    assert "preset 'real_light', seed 4" in found.conditions["lq"]
    plain = compare(["bicubic"], data=[Dataset(hr=bench / "HR")], scales=[2])
    assert plain.results[0].report.means["psnr_y"] > expected
    assert plain.conditions["lq"] == f"{Shrunk(resizer='matlab_clamp')} where a data set has none"


@pytest.mark.parametrize("count", [1, 2, 5])
def test_means_of_one_two_and_five_pictures(bench, count):
    for path in sorted((bench / "HR").iterdir())[count:]:
        path.unlink()
    (result,) = compare(["bicubic"], data=[Dataset(hr=bench / "HR")], scales=[3]).results
    by_hand = []
    for path in sorted((bench / "HR").iterdir()):
        gt = read_rgb(path)
        lq = imresize(gt, size=(16, gt.shape[1] // 3), border="clamp")
        gt = gt[:, : gt.shape[1] // 3 * 3]
        sr = imresize(lq, size=gt.shape[:2], round_between=False)
        by_hand.append(psnr_y(sr, gt, crop=3))
    assert len(by_hand) == count
    assert result.report.means["psnr_y"] == pytest.approx(sum(by_hand) / count, abs=1e-12)


def test_differences_are_called_what_they_are(bench):
    models = {"bicubic": "bicubic", "hair": Shifted(0.02), "same": "bicubic", "far": Shifted(12)}
    found = compare(models, data=mini(bench), scales=[2], metrics=["psnr_y"])
    told = {d["a"] if d["a"] != "best" else d["b"]: d for d in found.differences()}
    best = found.best(list(found.results), OWN_METRICS["psnr_y"]).model
    assert best in ("bicubic", "hair", "same")
    assert told["far"]["verdict"] == "b better"
    assert told["far"]["b"] == best
    for name in {"bicubic", "hair", "same"} - {best}:
        assert told[name]["verdict"] in ("no difference shown", "negligible")
    table = found.to_markdown()
    assert table.count("≈") == 2 + 1  # two cells and the legend
    assert found.differences() == found.differences()


def set_metric(calls: list[tuple[list[str], list[str]]]) -> Metric:
    """Stands for FID: notes which files it was shown."""

    def measure(results: Path, truths: Path | None) -> float:
        assert truths is not None
        calls.append(([p.name for p in results.iterdir()], [p.name for p in truths.iterdir()]))
        sr, gt = read_rgb(results / "p0.png"), read_rgb(truths / "p0.png")
        return psnr_y(sr, gt, crop=2)

    return Metric(
        name="set",
        measure=lambda sample: float("nan"),
        measure_set=measure,
        better="lower",
        range="any",
        needs="gt",
        looks_at="RGB",
        source="elsewhere 1",
    )


def patched(monkeypatch: pytest.MonkeyPatch, *metrics: Metric) -> None:
    answer: Callable[..., tuple] = lambda *a, **k: (list(metrics), {})  # noqa: E731
    monkeypatch.setattr("escsr.evaluation.runner.find_metrics", answer)


def test_figures_of_a_whole_set(bench, tmp_path, monkeypatch):
    calls: list[tuple[list[str], list[str]]] = []
    patched(monkeypatch, OWN_METRICS["psnr_y"], set_metric(calls))
    settings = {"data": mini(bench), "scales": [2], "folder": tmp_path / "out"}
    found = compare(["bicubic"], **settings)
    (result,) = found.results
    names = [f"p{n}.png" for n in range(5)]
    assert [(sorted(a), sorted(b)) for a, b in calls] == [(names, names)]
    assert result.report.means["set"] == result.report.rows[0].values["psnr_y"]
    assert compare(["bicubic"], **settings).to_json() == found.to_json()
    assert len(calls) == 1
    alone = compare(["bicubic"], data=mini(bench), scales=[2])
    assert "results folder" in alone.unavailable["set"]


def test_cost_is_about_one_pass_of_the_weights_over_the_picture():
    network = escsr.build("esc_tiny", scale=2)
    contender = make_contender(network, 2)
    found = cost_of(contender, 2)
    assert cost_of(make_contender("bicubic", 2), 2) == {}
    pixels = COST_SIZE[0] * COST_SIZE[1] // 4
    # Every weight of a convolution or linear layer works once a pixel, attention adds to it.
    weights = sum(p.numel() for p in network.parameters() if p.ndim > 1)
    assert 0.8 * weights * pixels < found["multiply_adds"] < 4 * weights * pixels


def test_names_of_data_sets_and_models(bench, weights):
    assert Dataset(hr="x/Set5/HR").name == "Set5"
    assert Dataset(lq="x/Set5/LR_bicubic/X{scale}").name == "Set5"
    assert Dataset(hr="x/photos").name == "photos"
    with pytest.raises(ValueError, match="needs a folder"):
        Dataset()
    with pytest.raises(ValueError, match="two models are called 'two'"):
        compare([weights, weights], data=mini(bench))
    with pytest.raises(ValueError, match="choose another name"):
        compare({"GT": weights}, data=mini(bench))
    with pytest.raises(ValueError, match="no model"):
        compare([], data=mini(bench))


def test_too_large_pictures_are_refused_before_anything_runs(bench, weights, monkeypatch):
    monkeypatch.setattr("escsr.evaluation.contenders.free_memory", lambda device: 150 << 20)
    model = Shifted(1)
    found = compare({"first": model, "two": weights}, data=mini(bench), scales=[2])
    assert len(found.results) == 2
    assert model.calls == 5
    monkeypatch.setattr("escsr.evaluation.contenders.free_memory", lambda device: 10 << 20)
    # p4 is the widest picture.
    with pytest.raises(MemoryError, match=r"p4 \(24 x 33\).*with two, and 0.0 GiB are free on cpu"):
        compare({"first": model, "two": weights}, data=mini(bench), scales=[2])
    assert model.calls == 5


def test_half_precision_is_close_and_other_words_are_refused(bench, weights):
    settings = {"data": mini(bench), "scales": [2], "metrics": ["psnr"]}
    full, half = (compare([weights], **settings, precision=p) for p in ("fp32", "bf16"))
    figures = [c.results[0].report.means["psnr"] for c in (full, half)]
    assert figures[0] != figures[1]
    assert figures[0] == pytest.approx(figures[1], abs=0.3)
    assert half.conditions["precision"] == "bf16"
    with pytest.raises(ValueError, match="precision 'fp8'"):
        compare([weights], **settings, precision="fp8")
