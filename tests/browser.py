"""A real browser for tests: Chromium or Chrome of the system, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
# Nothing of the browser's own goes to the network; the sandbox needs rights that CI may lack.
SWITCHES = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
)


def find_browser() -> str | None:
    """The browser that ESCSR_BROWSER names, or the first one found."""
    return os.environ.get("ESCSR_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)


def open_browser() -> Iterator[object]:
    """A browser without a window, closed afterwards; the test is skipped where there is none."""
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium or Chrome is installed, and ESCSR_BROWSER names none")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(SWITCHES))
        yield browser
        browser.close()
