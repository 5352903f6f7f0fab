"""The page in a real browser, as a person uses it.

Oracle: `escsr.upscale` for what is downloaded, axe-core for accessibility, the browser's own list
of requests.
"""

import struct
import time
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

import escsr
from escsr.images import Picture, encode_image, write_image
from tests.browser import open_browser

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("app")]

PHOTO = Path(__file__).resolve().parents[1] / "data" / "photo.png"
WAIT = 120_000  # milliseconds; a bound for broken pages, no measure of speed


@pytest.fixture(scope="module")
def browser():
    yield from open_browser()


@pytest.fixture
def page(browser, served):
    """The page, opened anew; it may ask nobody but the app."""
    asked, faults = set(), []
    page = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page.set_default_timeout(WAIT)
    page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(served.address)
    page.wait_for_selector("#one-run")
    yield page
    page.close()
    assert asked <= {urlsplit(served.address).netloc, ""}  # "": pictures made in the page
    assert not faults


def give(page, path, box="#one-picture"):
    page.set_input_files(f"{box} input[type=file]", path)


def test_from_the_upload_to_the_download(page, tmp_path):
    give(page, PHOTO)
    page.wait_for_selector("#one-crop img")
    before = page.locator("#one-crop").screenshot()
    handle = page.locator("#one-crop [role=slider], #one-crop .outer").first
    box = page.locator("#one-crop img").first.bounding_box()
    page.mouse.move(*(middle := (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)))
    page.mouse.down()
    page.mouse.move(middle[0] - box["width"] / 4, middle[1], steps=4)
    page.mouse.up()
    assert handle is not None
    assert page.locator("#one-crop").screenshot() != before
    page.click("#one-run")
    page.wait_for_selector("#one-download")
    with page.expect_download() as download:
        page.click("#one-download")
    assert download.value.suggested_filename == "photo_224x192.png"
    write_image(tmp_path / "expected.png", escsr.upscale(PHOTO, scale=2))
    assert Path(download.value.path()).read_bytes() == (tmp_path / "expected.png").read_bytes()
    assert "112×96 → 224×192" in page.inner_text("#one-report")
    assert page.locator("#one-whole img").count() == 2


def test_a_click_in_the_picture_moves_the_preview(page, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    write_image(tmp_path / "noise.png", Picture(pixels=noise))
    give(page, tmp_path / "noise.png")
    page.wait_for_selector("#one-crop img")
    first = page.locator("#one-crop img").first.get_attribute("src")
    box = page.locator("#one-picture img").bounding_box()
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + 0.1 * box["height"])
    page.wait_for_function(
        "old => document.querySelector('#one-crop img').getAttribute('src') != old", arg=first
    )
    assert [page.input_value(f"#one-{side} input[type=number]") for side in "xy"] == ["90", "10"]


def test_stop_ends_the_work(page, tmp_path):
    """The state of the page, not a clock: what is stopped makes no file, and the next one runs."""
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    write_image(tmp_path / "large.png", Picture(pixels=noise))
    give(page, tmp_path / "large.png")
    page.wait_for_selector("#one-crop img")
    page.click("#one-run")
    page.wait_for_selector("#one-report progress")
    page.click("#one-stop")
    page.wait_for_selector("#one-report >> text=Stopped", timeout=WAIT)
    assert page.locator("#one-download").count() == 0
    assert page.is_enabled("#one-run")
    assert page.is_disabled("#one-stop")


def test_broken_files_are_named(page, tmp_path):
    broken = {
        "text.png": (b"no picture", "not a picture"),
        "drawing.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        "cut.png": (PHOTO.read_bytes()[:5000], "damaged"),
        "huge.bmp": (b"BM" + bytes(16) + struct.pack("<ii", 60000, 60000) + bytes(9), "3600 mega"),
    }
    for name, (contents, said) in broken.items():
        (tmp_path / name).write_bytes(contents)
        give(page, tmp_path / name)
        page.wait_for_selector(f"#one-said [role=alert] >> text={name}: ")
        assert said in page.inner_text("#one-said")
        assert str(tmp_path) not in page.content()
        page.wait_for_selector("#one-picture input[type=file]", state="attached")
    give(page, PHOTO)
    page.wait_for_selector("#one-crop img")


def test_a_batch_with_one_broken_file(page, tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for path in paths:
        pixels = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
        path.write_bytes(encode_image(Picture(pixels=pixels), ".png"))
    paths[1].write_bytes(b"broken")
    page.get_by_role("tab", name="Many pictures").click()
    give(page, paths, "#many-files")
    # Names stand there while files are on their way, too; rows of a table only afterwards.
    page.wait_for_function("document.querySelectorAll('#many-files tr.file').length == 5")
    page.click("#many-run")
    page.wait_for_selector("#many-zip")
    assert "4 of 5 pictures are done, 1 failed" in page.inner_text("#many-report")
    assert page.locator("#many-table tr.failed").all_inner_texts()[0].startswith("1.png")
    with page.expect_download() as download:
        page.click("#many-zip")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist() == [f"{number}_24x18.png" for number in (0, 2, 3, 4)]


def test_networks_side_by_side_and_degradations(page):
    page.get_by_role("tab", name="Compare networks").click()
    give(page, PHOTO, "#side-picture")
    page.wait_for_selector("#side-view img")
    captions = page.locator("#side-view .caption-label").all_inner_texts()
    assert captions == ["bicubic", "default", "restore"]
    page.get_by_role("tab", name="Degradations").click()
    give(page, PHOTO, "#bad-picture")
    page.wait_for_selector("#bad-said >> text=112×96")
    page.click("#bad-once")
    page.wait_for_selector("#bad-view img")
    page.click("#bad-sheet")
    page.wait_for_selector("#bad-sheet-view img")


def test_the_authors_networks_are_greyed_until_asked(page):
    """And what a download would bring is said before there is one; here none is possible."""
    assert page.is_disabled("#one-network input")
    page.check("#one-asked input")
    page.wait_for_selector("text=A download brings about 4 MB from github.com, licence MIT")
    assert page.is_enabled("#one-network input")
    page.click("#one-bring")
    page.wait_for_selector("text=esc_div2k_x2 could not be downloaded")
    give(page, PHOTO)
    page.wait_for_selector("#one-noted >> text=press Download first")


def test_files_go_when_the_page_is_closed(browser, served, tmp_path):
    page = browser.new_page()
    page.set_default_timeout(WAIT)
    page.goto(served.address)
    page.wait_for_selector("#one-run")
    pixels = np.full((20, 30, 3), 77, np.uint8)
    write_image(tmp_path / "only_mine.png", Picture(pixels=pixels))
    give(page, tmp_path / "only_mine.png")
    page.wait_for_selector("#one-crop img")
    assert list(served.temporary.rglob("only_mine.png"))
    page.close()
    for _ in range(600):
        if not list(served.temporary.rglob("only_mine.png")):
            return
        time.sleep(0.1)
    pytest.fail("the upload is still there")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_and_as_wide_as_the_screen(browser, served, scheme):
    axe_module = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page.set_default_timeout(WAIT)
    page.goto(served.address)
    page.wait_for_selector("#one-run")
    give(page, PHOTO)
    page.wait_for_selector("#one-crop img")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    found = axe_module.Axe().run(page).response["violations"]
    serious = [
        (fault["id"], [node["html"][:200] for node in fault["nodes"]])
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]
    page.close()
    assert not serious
