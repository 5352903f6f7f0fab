"""Pictures of the app for the documentation, taken by a browser: ``docs/assets/app_*``.

    python tools/make_app_pictures.py

Needs the extra ``app``, Playwright, and Chromium or Chrome (``ESCSR_BROWSER`` names another).
"""

import io
import os
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from escsr.app.server import serving

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "docs" / "assets"
PHOTO = ROOT / "examples" / "photo.jpg"
SCREENS = {"1280": (1280, 900), "390": (390, 844)}
FRAME = (900, 720)  # of the animation
STEP = 0.1  # seconds between two of its frames


def find_browser() -> str:
    """Chromium or Chrome of this system."""
    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
    found = os.environ.get("ESCSR_BROWSER") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise FileNotFoundError("no Chromium or Chrome is installed, and ESCSR_BROWSER names none")
    return found


def open_page(browser: Browser, address: str, size: tuple[int, int], scheme: str) -> Page:
    """The first tab, with the photo in it and its preview."""
    width, height = size
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.set_default_timeout(120_000)
    page.goto(address)
    page.wait_for_selector("#one-run")
    page.set_input_files("#one-picture input[type=file]", PHOTO)
    page.wait_for_selector("#one-crop img")
    page.wait_for_timeout(1000)
    return page


def upscale(page: Page) -> None:
    """Until the whole picture is there."""
    page.click("#one-run")
    page.wait_for_selector("#one-download")
    page.wait_for_selector("#one-whole img")
    page.wait_for_timeout(1000)


def take_screens(browser: Browser, address: str) -> None:
    """One picture for each screen, light and dark."""
    for name, size in SCREENS.items():
        for scheme in ("light", "dark"):
            page = open_page(browser, address, size, scheme)
            upscale(page)
            page.evaluate("window.scrollTo(0, 0)")
            shot = page.screenshot(full_page=True)
            Image.open(io.BytesIO(shot)).convert("RGB").save(
                ASSETS / f"app_{name}_{scheme}.webp", quality=82, method=6
            )
            page.close()


def animate(browser: Browser, address: str) -> None:
    """Ten seconds: the preview under a moving slider, then the whole picture."""
    page = open_page(browser, address, FRAME, "light")
    frames: list[Image.Image] = []

    def shoot(count: int = 1) -> None:
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        frames.extend([shot] * count)

    def sweep(box_of: str) -> None:
        page.locator(box_of).scroll_into_view_if_needed()
        page.evaluate("name => document.querySelector(name).scrollIntoView()", box_of)
        page.wait_for_timeout(500)
        box = page.locator(f"{box_of} img").first.bounding_box()
        assert box is not None
        y, middle = box["y"] + box["height"] / 2, box["x"] + box["width"] / 2
        reach = 0.45 * box["width"]
        page.mouse.move(middle, y)
        page.mouse.down()
        for share in (0, *(n / 8 for n in range(1, 9)), *(n / 8 for n in range(7, -9, -1))):
            page.mouse.move(middle + reach * share, y)
            shoot()
        page.mouse.up()

    page.evaluate("window.scrollTo(0, 0)")
    shoot(12)
    sweep("#one-crop")
    page.evaluate("document.querySelector('#one-run').scrollIntoView({block: 'center'})")
    shoot(8)
    upscale(page)
    shoot(8)
    sweep("#one-whole")
    page.close()
    frames += frames[-1:] * max(0, round(10 / STEP) - len(frames))
    frames[0].save(
        ASSETS / "app.webp",
        save_all=True,
        append_images=frames[1:],
        duration=round(1000 * STEP),
        loop=0,
        quality=70,
        method=4,
    )


def main() -> None:
    """Write all of them."""
    with serving() as served, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        take_screens(browser, served.address)
        animate(browser, served.address)
        browser.close()


if __name__ == "__main__":
    main()
