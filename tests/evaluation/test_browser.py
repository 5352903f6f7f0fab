"""The HTML report in a real browser. Oracle: what Chromium draws, and its own layout."""

import re

import pytest

from escsr.evaluation import Dataset, compare
from tests.browser import open_browser
from tests.evaluation.conftest import Shifted

NAMES = ["LQ", "bicubic", "near", "far", "GT"]


@pytest.fixture
def page(bench, tmp_path):
    """A report with two pictures, opened from disk without a network."""
    models = {"bicubic": "bicubic", "near": Shifted(1), "far": Shifted(20)}
    data = [Dataset(hr=bench / "HR", lq=f"{bench}/LQ/X{{scale}}")]
    found = compare(models, data=data, scales=[2], folder=tmp_path / "out", crops=2, crop_side=24)
    found.save(tmp_path / "out")
    browsers = open_browser()
    browser = next(browsers)
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.asked, page.faults = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto((tmp_path / "out" / "report.html").as_uri())
    yield page
    assert page.faults == []
    next(browsers, None)


def views(group):
    """Where each picture of a group stands: (left, top, magnification), the first two in panes."""
    found = []
    for style in group.locator("img").evaluate_all("all => all.map(one => one.style.transform)"):
        x, y, zoom = map(float, re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", style))
        found.append((x / 100, y / 100, zoom))
    return found


def middle(pane):
    box = pane.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_all_crops_are_shown(page):
    titles = page.locator("h2").all_inner_texts()
    assert titles == ["Results", "Pictures", "Plots", "Conditions"]
    groups = page.locator(".group")
    assert groups.count() == 2
    for number in range(2):
        panes = groups.nth(number).locator(".pane")
        assert [panes.nth(i).get_attribute("aria-label") for i in range(5)] == NAMES
        boxes = [panes.nth(i).bounding_box() for i in range(5)]
        assert len({round(box["y"]) for box in boxes}) == 1  # one row, to be compared
        assert all(box["width"] > 150 for box in boxes)
        widths = (
            groups.nth(number).locator("img").evaluate_all("all => all.map(o => o.naturalWidth)")
        )
        assert widths == [24] * 5  # decoded, not merely named
    assert all(url.startswith(("file:", "data:")) for url in page.asked)  # nothing is fetched


def test_narrow_windows_wrap_and_lose_nothing(page):
    page.set_viewport_size({"width": 360, "height": 700})
    overflow = page.evaluate("document.querySelector('.group').scrollWidth > innerWidth")
    assert not overflow
    assert page.locator(".group").first.locator(".pane").nth(4).bounding_box()["width"] > 150


def test_crops_move_together(page):
    group, other = page.locator(".group").nth(0), page.locator(".group").nth(1)
    group.scroll_into_view_if_needed()
    panes = group.locator(".pane")
    before = [panes.nth(i).screenshot() for i in range(5)]
    width = panes.nth(0).bounding_box()["width"]

    x, y = middle(panes.nth(1))
    page.mouse.move(x, y)
    for _ in range(4):
        page.mouse.wheel(0, -100)
    page.wait_for_function("document.querySelector('img').style.transform.includes('scale(2.44')")
    assert len(set(views(group))) == 1
    assert views(group)[0][:2] == pytest.approx(((1 - 1.25**4) / 2,) * 2, abs=0.02)  # about x, y
    after = [panes.nth(i).screenshot() for i in range(5)]
    assert all(one != two for one, two in zip(before, after, strict=True))  # all are drawn anew

    at = views(group)[0]
    page.mouse.down()
    page.mouse.move(x + 40, y - 20, steps=3)
    page.mouse.up()
    assert len(set(views(group))) == 1
    moved = views(group)[0]
    assert moved[0] - at[0] == pytest.approx(40 / width, abs=0.01)
    assert moved[1] - at[1] == pytest.approx(-20 / width, abs=0.01)
    page.mouse.move(x, y)  # no button: stays
    assert views(group)[0] == moved

    panes.nth(4).focus()
    page.keyboard.press("ArrowRight")
    assert len(set(views(group))) == 1
    assert views(group)[0][0] == pytest.approx(moved[0] - 0.1, abs=1e-4)
    assert set(views(other)) == {(0, 0, 1)}  # another picture stays where it is

    panes.nth(2).dblclick()
    assert set(views(group)) == {(0, 0, 1)}
    assert [panes.nth(i).screenshot() for i in (0, 3)] == [before[0], before[3]]
