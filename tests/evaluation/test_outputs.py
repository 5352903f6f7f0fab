"""Oracles: the figures themselves, XML and HTML parsers, and the page's own script run by Node."""

import base64
import csv
import io
import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from escsr.evaluation import OWN_METRICS, Comparison, Dataset, compare
from escsr.evaluation.crops import choose_region, enlarge_by_repeating, slug
from escsr.evaluation.plots import cost_plot, gain_plot, plots, scale_plot
from escsr.evaluation.report import Report, Row
from escsr.evaluation.results import Result
from escsr.images import read_rgb
from tests.evaluation.conftest import Shifted

SVG = "{http://www.w3.org/2000/svg}"
VIEWER = Path(__file__).parents[2] / "escsr" / "evaluation" / "viewer.js"


@pytest.fixture
def found(bench, tmp_path) -> Comparison:
    models = {"bicubic": "bicubic", "a_1 & <b>": Shifted(1), "far": Shifted(20)}
    data = [Dataset(hr=bench / "HR", lq=f"{bench}/LQ/X{{scale}}")]
    return compare(models, data=data, scales=[2, 3], folder=tmp_path / "out", crops=2, crop_side=24)


def result(model: str, scale: float, *figures: float) -> Result:
    rows = [
        Row(name=f"p{n}", height=9, width=9, values={"psnr_y": f}) for n, f in enumerate(figures)
    ]
    report = Report(rows=tuple(rows), conditions={"crop": 1})
    return Result(model=model, data="Mini", scale=scale, report=report)


def test_folder_holds_everything(found, tmp_path):
    found.save(tmp_path / "out")
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert names >= {f"report.{end}" for end in ("json", "csv", "md", "tex", "html")}
    assert "gain_Mini_x2.svg" in names
    assert not [name for name in names if name.startswith(".escsr-")]
    content = json.loads((tmp_path / "out" / "report.json").read_text())
    assert content["conditions"]["protocol"] == "classic"
    assert [len(d["images"]) for d in content["data"]] == [5, 5]
    assert all(len(i["hr_sha256"]) == 64 for d in content["data"] for i in d["images"])
    assert len(content["results"]) == 6
    assert "seconds" not in (tmp_path / "out" / "report.json").read_text()


def test_csv_has_every_picture(found):
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert len(rows) == 2 * 3 * 5
    for row in rows:
        report = next(
            r.report
            for r in found.results
            if (r.model, r.scale) == (row["model"], float(row["scale"]))
        )
        kept = next(x for x in report.rows if x.name == row["image"])
        assert float(row["psnr_y"]) == kept.values["psnr_y"]
        assert float(row["seconds"]) >= 0


def test_markdown_marks_the_best(found):
    table = found.to_markdown().split("\n\n")[1]
    lines = {line.split("|")[1].strip(): line for line in table.splitlines()[2:]}
    means = {r.model: r.report.means for r in found.results if r.scale == 2}
    best = max(means, key=lambda m: means[m]["psnr_y"])
    assert f"**{means[best]['psnr_y']:.2f}**" in lines[best]
    assert f"| {means['far']['psnr_y']:.2f} |" in lines["far"]
    assert table.splitlines()[0] == "| model | psnr_y ↑ | ssim_y ↑ |"


def test_latex_is_escaped_and_rectangular(found):
    lines = found.to_latex().splitlines()
    begin = lines.index(r"\begin{tabular}{lllrr}")
    rows = [line for line in lines[begin:] if line.endswith(r"\\")]
    # Header and six rows of data, scale, model and two figures.
    assert [len(line.replace(r"\&", "").split("&")) for line in rows] == [5] * 7
    assert rows[2].split(" & ")[2] == r"a\_1 \& <b>"
    assert all(line.startswith("%") for line in lines[:begin])
    assert not any("↑" in line or "≈" in line for line in lines[begin:])


def test_files_by_their_endings(found, tmp_path):
    for end, text in ((".json", found.to_json()), (".tex", found.to_latex())):
        found.save(tmp_path / f"r{end}")
        assert (tmp_path / f"r{end}").read_text() == text
    with pytest.raises(FileNotFoundError, match="gone"):
        found.save(tmp_path / "gone" / "r.json")


def marks(svg: str, colour: str) -> list[tuple[float, float]]:
    """Middles of the points of one colour, the one of the legend last."""
    tree = ET.fromstring(svg)
    points = []
    for group in tree.iter(f"{SVG}g"):
        if group.get("fill") == colour:
            points += [(float(e.get("cx")), float(e.get("cy"))) for e in group.iter(f"{SVG}circle")]
            points += [
                (float(e.get("x")) + 3.5, float(e.get("y")) + 3.5) for e in group.iter(f"{SVG}rect")
            ]
    return points


def test_gain_plot_is_to_scale():
    group = [result("bicubic", 2, 30, 31, 32), result("m", 2, 31, 33, 32)]
    *points, _legend = marks(gain_plot(group, OWN_METRICS["psnr_y"], "t"), "#0072B2")
    # Gains 1, 2, 0: heights on one line with the values.
    heights = np.array([y for _, y in points])
    assert np.allclose(np.diff(heights), -np.diff([1, 2, 0]) * (heights[2] - heights[0]), atol=0.2)
    assert heights[1] < heights[0] < heights[2]
    assert np.allclose(np.diff([x for x, _ in points], 2), 0, atol=0.2)
    assert gain_plot(group[:1], OWN_METRICS["psnr_y"], "t") == ""
    assert gain_plot(group[1:], OWN_METRICS["psnr_y"], "t") == ""


def test_scale_plot_is_in_order_of_scales():
    results = [result("m", 4, 28.0), result("m", 2, 33.0), result("n", 2, 30.0)]
    svg = scale_plot(results, OWN_METRICS["psnr_y"], "t")
    (line,) = ET.fromstring(svg).iter(f"{SVG}polyline")
    (x2, y2), (x4, y4) = [map(float, p.split(",")) for p in line.get("points").split()]
    assert x2 < x4
    assert y2 < y4  # 33 dB stands above 28 dB
    assert scale_plot(results[1:], OWN_METRICS["psnr_y"], "t") == ""


def test_cost_plot_is_logarithmic(found):
    group = [
        result("bicubic", 2, 30),
        *(result(n, 2, y) for n, y in zip("abc", (31, 32, 33), strict=True)),
    ]
    costs = [
        {"name": n, "at": 2, "multiply_adds": 10**k}
        for k, n in zip((9, 10, 11), "abc", strict=True)
    ]
    c = Comparison(
        conditions={}, metrics=(), unavailable={}, models=tuple(costs), data=(), results=()
    )
    svg = cost_plot(c, group, OWN_METRICS["psnr_y"], "t")
    xs = [marks(svg, colour)[0][0] for colour in ("#0072B2", "#D55E00", "#009E73")]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    assert "bicubic" in svg
    assert cost_plot(c, group[:2], OWN_METRICS["psnr_y"], "t") == ""


def test_plots_are_well_formed(found):
    drawn = plots(found)
    assert set(drawn) == {"gain Mini x2", "gain Mini x3", "scales Mini"}
    for svg in drawn.values():
        texts = [e.text for e in ET.fromstring(svg).iter(f"{SVG}text")]
        assert "a_1 & <b>" in texts


class Page(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.groups: list[list[tuple[str, bytes]]] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        if facts.get("class") == "group":
            self.groups.append([])
        if tag == "img":
            head, _, data = facts["src"].partition(",")
            assert head == "data:image/png;base64"
            self.groups[-1].append((facts["alt"], base64.b64decode(data)))
        self.links += [v for k, v in attrs if k in ("href", "src") and not v.startswith("data:")]


def test_page_holds_its_pictures(found, tmp_path, bench):
    found.save(tmp_path / "out")
    page = Page((tmp_path / "out" / "report.html").read_text())
    assert page.links == []  # nothing is fetched: it opens from disk
    assert len(page.groups) == 2 * 2
    for group in page.groups:
        assert [name for name, _ in group] == ["LQ", "bicubic", "a_1 & <b>", "far", "GT"]
    (tmp_path / "GT.png").write_bytes(page.groups[0][-1][1])
    (tmp_path / "far.png").write_bytes(page.groups[0][-2][1])
    gt, shown = read_rgb(bench / "HR" / "p0.png"), read_rgb(tmp_path / "GT.png")
    assert shown.shape == (24, 24, 3)
    places = np.lib.stride_tricks.sliding_window_view(gt, (24, 24, 3))[..., 0, :, :, :]
    assert (places == shown).all(axis=(-3, -2, -1)).sum() == 1
    bright = read_rgb(tmp_path / "far.png").astype(float).mean() - shown.mean()
    assert bright == pytest.approx(20, abs=6)  # "far" adds 20 steps


def test_region_is_where_bicubic_errs_most():
    gt = np.full((60, 80, 3), 128, np.uint8)
    gt[33:41, 52:60] = np.indices((8, 8)).sum(axis=0)[..., None] % 2 * 255
    lq = np.full((30, 40, 3), 128, np.uint8)
    top, left, height, width = choose_region(lq, gt, (60, 80), 20)
    assert (height, width) == (20, 20)
    assert top <= 33
    assert left <= 52
    assert top + 20 >= 41
    assert left + 20 >= 60
    assert choose_region(lq, gt, (60, 80), 500) == (0, 0, 60, 80)


def test_repeated_pixels():
    lq = np.arange(4, dtype=np.uint8).reshape(2, 2, 1).repeat(3, axis=2)
    assert np.array_equal(enlarge_by_repeating(lq, (4, 6)), lq.repeat(2, axis=0).repeat(3, axis=1))
    assert enlarge_by_repeating(lq, (5, 3)).shape == (5, 3, 3)


def test_file_names():
    assert slug("Set5") == "Set5"
    assert len({slug("a b"), slug("a_b"), slug("a/b"), slug("..")}) == 4
    assert "/" not in slug("../x")


DRIVER = """
const listeners = [];
const panes = [0, 1, 2].map((n) => {
  const image = { style: {} };
  return {
    image,
    style: {},
    on: {},
    classList: { add() {}, remove() {} },
    querySelector: () => image,
    setPointerCapture() {},
    getBoundingClientRect: () => ({ left: 100 * n, top: 50, width: 200 + 100 * n, height: 200 }),
    addEventListener(name, act) { this.on[name] = act; },
  };
});
globalThis.document = {
  querySelectorAll: () => [{ querySelectorAll: () => panes }],
};
const event = (more) => ({ preventDefault() {}, pointerId: 1, ...more });
require(process.argv[2]);
const seen = [];
const note = () => seen.push(panes.map((p) => p.image.style.transform));
note();
panes[0].on.wheel(event({ deltaY: -100, deltaMode: 0, clientX: 100, clientY: 150 }));  // its middle
note();
panes[1].on.pointermove(event({ clientX: 0, clientY: 0 }));  // no button: nothing
note();
panes[1].on.pointerdown(event({ clientX: 250, clientY: 150 }));
panes[1].on.pointermove(event({ clientX: 265, clientY: 150 }));
panes[1].on.pointerup(event({}));
note();
panes[2].on.keydown(event({ key: "ArrowDown" }));
note();
panes[2].on.keydown(event({ key: "q" }));
for (let n = 0; n < 99; n++) panes[2].on.keydown(event({ key: "+" }));
note();
panes[0].on.dblclick(event({}));
note();
console.log(JSON.stringify(seen));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_panes_move_together(tmp_path):
    (tmp_path / "driver.js").write_text(DRIVER)
    run = subprocess.run(
        ["node", tmp_path / "driver.js", VIEWER], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    for step in seen:
        assert len(set(step)) == 1, "all panes show the same place"

    def numbers(step: list[str]) -> list[float]:
        words = step[0].replace("translate(", "").replace("%", "").replace("scale(", "")
        return [float(w) for w in words.replace(")", "").replace(",", "").split()]

    views = [numbers(step) for step in seen]
    assert views[0] == [0, 0, 1]
    assert views[1] == pytest.approx([-12.5, -12.5, 1.25])  # about the middle
    assert views[2] == views[1]
    assert views[3] == pytest.approx([-7.5, -12.5, 1.25])  # 15 of 300 pixels are 5 %
    assert views[4] == pytest.approx([-7.5, -22.5, 1.25])  # looks further down
    assert views[5][2] == 32
    assert all(-3100 <= v <= 0 for v in views[5][:2])
    assert views[6] == [0, 0, 1]
