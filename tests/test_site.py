"""The documentation as a site: nothing overflows, nothing comes from elsewhere, sliders slide.

Oracle: a browser without access to anything but the built site.
"""

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import open_browser

pytest.importorskip("mkdocs")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site")]
ROOT = Path(__file__).resolve().parents[1]

# Elements beyond the right edge that no box of theirs scrolls or cuts off on purpose.
OVERFLOWING = """
() => {
  const page = document.documentElement, width = page.clientWidth, found = [];
  if (page.scrollWidth > width) found.push(`page ${page.scrollWidth}`);
  const cut = (element) => {
    const box = element.parentElement;
    if (!box || box === document.body) return false;
    return getComputedStyle(box).overflowX !== "visible" || cut(box);
  };
  for (const element of document.querySelectorAll(".md-content *")) {
    const box = element.getBoundingClientRect();
    if (box.width && box.right > width + 1 && !cut(element)) {
      found.push(`${element.tagName} ${(element.textContent || "").trim().slice(0, 60)}`);
    }
  }
  return found;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from open_browser()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """The address of the built site, and its pages."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    # As a workflow builds it: with a link to a repository, whose stars nobody is to be asked for.
    environment = {**os.environ, "GITHUB_REPOSITORY": "someone/escsr", "NO_MKDOCS_2_WARNING": "1"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        pages = [str(p.parent.relative_to(folder)) for p in sorted(folder.rglob("index.html"))]
        yield f"http://127.0.0.1:{server.server_port}/", pages
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("width", [390, 1366])
def test_no_page_overflows_and_nothing_comes_from_elsewhere(
    width: int, site: tuple[str, list[str]], browser: Any
) -> None:
    address, pages = site
    assert len(pages) > 40
    asked, faults = set(), {}
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.on("request", lambda request: asked.add(request.url))
    page.route(lambda url: not url.startswith(address), lambda route: route.abort())
    page.on("pageerror", lambda error: faults.setdefault("errors", []).append(str(error)))
    for name in pages:
        page.goto(f"{address}{name}/".replace("/./", "/"))
        if found := page.evaluate(OVERFLOWING):
            faults[name] = found
    page.close()
    assert not faults
    assert not [url for url in asked if not url.startswith((address, "data:", "blob:"))]


def test_sliders_show_both_pictures_and_move(site: tuple[str, list[str]], browser: Any) -> None:
    address, _ = site
    page = browser.new_page(viewport={"width": 1366, "height": 900})
    page.goto(f"{address}gallery/")
    page.wait_for_selector("img-comparison-slider.rendered")
    assert page.locator("img-comparison-slider").count() == 8
    for picture in page.locator("img-comparison-slider img").all():
        picture.scroll_into_view_if_needed()
        page.wait_for_function("image => image.complete", arg=picture.element_handle())
        assert picture.evaluate("image => image.naturalWidth") == 640
        assert len(picture.get_attribute("alt") or "") > 10
    slider = page.locator("img-comparison-slider").first
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box["width"] == pytest.approx(640, abs=60)
    slider.focus()
    before = slider.evaluate("slider => slider.value")
    page.keyboard.down("ArrowRight")
    page.wait_for_function(
        "([slider, value]) => slider.value > value", arg=[slider.element_handle(), before]
    )
    page.keyboard.up("ArrowRight")
    page.close()


def test_the_first_screen(site: tuple[str, list[str]], browser: Any) -> None:
    """What a visitor sees without scrolling: the sentence, the pictures, and the way to install."""
    address, _ = site
    page = browser.new_page(viewport={"width": 1366, "height": 1000})
    page.goto(address)
    for text in ("Enlarge photographs", "pip install", "escsr upscale photo.jpg"):
        box = page.get_by_text(text).first.bounding_box()
        assert box["y"] + box["height"] < 1000
    assert page.locator("img-comparison-slider.rendered").bounding_box()["y"] < 400
    page.get_by_text("Python", exact=True).first.click()
    assert page.get_by_text("import escsr").first.is_visible()
    assert "someone/escsr" in page.locator(".md-source").first.inner_text()
    assert "0." in page.locator(".md-copyright").inner_text()
    page.close()
    example = browser.new_page()
    example.goto(f"{address}api/")
    names = [heading.split("¶")[0] for heading in example.locator("h2").all_inner_texts()]
    assert [name.split()[-1].split(".")[-1] for name in names[:4]] == [
        "upscale",
        "Upscaler",
        "load",
        "build",
    ]
    assert ">>>" not in example.locator(".md-content p").all_inner_texts().__str__()
    example.close()
