"""Make the pictures of README and docs from ``examples/``: bicubic beside escsr, sheets, a report.

    python tools/make_docs_pictures.py                          # all but the report's screenshot
    python tools/make_docs_pictures.py --gallery                # those of docs/gallery.md alone
    python tools/make_docs_pictures.py --report out/report.html # that one alone; needs Chromium

The screenshot needs Playwright (in the extra ``dev``) and Chromium or Chrome.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import torch

import escsr
from escsr.degradations import (
    Blur,
    FileCodec,
    GaussianNoise,
    Pipeline,
    Quantize,
    ResizeToLq,
    degrade,
    preset,
)
from escsr.degradations.sheet import contact_sheet
from escsr.images import Picture, from_float, read_image, read_rgb, to_float, write_image
from escsr.resize import imresize

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
ASSETS = ROOT / "docs" / "assets"
GALLERY = ASSETS / "gallery"
GAP = 12
SEED = 0
DRAWS = 8
# The gallery: each picture and the model that it is enlarged with, to 200 %.
PICTURES = {
    "photo.jpg": "default",
    "portrait.png": "default",
    "text.png": "default",
    "line_art.png": "default",
    "logo.png": "default",
    "scan.jpg": "real",
    "old_jpeg.jpg": "restore",
    "night.png": "real",
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description="Make the pictures of README and docs.")
    parser.add_argument("--report", type=Path, help="report.html of escsr evaluate to photograph")
    parser.add_argument("--gallery", action="store_true", help="only the pictures of the gallery")
    arguments = parser.parse_args()
    report, only_gallery = arguments.report, arguments.gallery
    ASSETS.mkdir(exist_ok=True)
    if report is not None:
        screenshot(report)
        return
    gallery()
    if only_gallery:
        return
    clean_photo()
    damaged_photo()
    degraded_photo()
    for name in ("real_light", "real"):
        sheet(name)


def clean_photo() -> None:
    """A part of the example photo by the default model: lettering and small things."""
    photo = read_rgb(EXAMPLES / "photo.jpg")
    part = slice(500, 900), slice(480, 1120)
    large = [bicubic(photo, scale=4)[part], enlarged(photo, scale=4)[part]]
    save("quickstart_bicubic.jpg", large[0])
    save("quickstart_escsr.jpg", large[1])
    save("before_after.jpg", beside(large))


def gallery() -> None:
    """Pictures of several kinds, enlarged twice: by bicubic interpolation and by a model.

    The sources of all but the photo are made by ``tools/draw_gallery_sources.py``.
    """
    shutil.copy(EXAMPLES / "photo.jpg", GALLERY / "photo.jpg")
    for name, model in PICTURES.items():
        lq = read_image(GALLERY / name)
        stem = Path(name).stem
        save(f"gallery/{stem}_bicubic.webp", bicubic(on_white(lq), scale=2), quality=88)
        sr = on_white(escsr.upscale(lq, scale=2, model=model))
        save(f"gallery/{stem}_escsr.webp", sr, quality=88)


def damaged_photo() -> None:
    """A picture with real damage: noise, spoiled colours, blocks."""
    photo = read_rgb(ASSETS / "branches.png")
    save(
        "real_branches.jpg",
        beside(
            [bicubic(photo, scale=3)]
            + [enlarged(photo, scale=3, model=model) for model in ("real", "restore")]
        ),
    )


def degraded_photo() -> None:
    """The example photo, degraded: what is given, four ways to enlarge it, and the truth."""
    damage = Pipeline(
        (
            Blur(kinds=(("gaussian_iso", 1.0),), sinc=0.0, sizes=(9,), sigma=(0.8, 0.8)),
            ResizeToLq(modes=("area",)),
            GaussianNoise(sigma=(6, 6), gray=0.0),
            FileCodec(file_format="jpeg", quality=(60, 60)),
            Quantize(),
        )
    )
    gt = read_rgb(EXAMPLES / "photo.jpg")
    size = gt.shape[0], gt.shape[1]
    draw = damage.draw(np.random.default_rng(SEED), size=size, lq_size=(size[0] // 2, size[1] // 2))
    lq = from_float(degrade(torch.from_numpy(to_float(gt))[None], [draw])[0].numpy())
    part = slice(116, 212), slice(136, 232)
    ways = [
        lq.repeat(2, axis=0).repeat(2, axis=1),
        bicubic(lq, scale=2),
        enlarged(lq, scale=2),
        enlarged(lq, scale=2, model="real"),
        enlarged(lq, scale=2, model="restore"),
        gt,
    ]
    save("real_measured.jpg", beside([way[part].repeat(3, 0).repeat(3, 1) for way in ways]))
    print(f"  {draw.describe()}")


def sheet(name: str) -> None:
    """Some draws of a preset, like those of ``escsr degrade --sheet``."""
    gt = read_rgb(EXAMPLES / "photo.jpg")[:, 32:288]
    image = torch.from_numpy(to_float(gt))[None]
    size = gt.shape[0], gt.shape[1]
    rng = np.random.default_rng(SEED)
    pipeline = preset(name)
    draws = [
        pipeline.draw(rng, size=size, lq_size=(size[0] // 2, size[1] // 2)) for _ in range(DRAWS)
    ]
    pictures = [from_float(degrade(image, [draw])[0].numpy()) for draw in draws]
    save(f"sheet_{name}.jpg", contact_sheet(pictures, [draw.describe() for draw in draws]))


def screenshot(report: Path) -> None:
    """The crops of a report in a browser, magnified in one pane and so in all."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        raise SystemExit(f"no browser: install one of {', '.join(BROWSERS)}")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 780})
        page.goto(report.resolve().as_uri())
        page.get_by_role("heading", name="Pictures").evaluate("title => title.scrollIntoView()")
        group = page.locator(".group").first
        pane = group.locator(".pane").nth(1)
        box = pane.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        for _ in range(2):
            page.mouse.wheel(0, -100)
        page.wait_for_timeout(200)
        page.screenshot(path=ASSETS / "report.png")
        browser.close()
    print(ASSETS / "report.png")


def bicubic(lq: np.ndarray, *, scale: int) -> np.ndarray:
    """Enlarge by MATLAB's filter."""
    return imresize(lq, scale=scale, round_between=False)


def enlarged(lq: np.ndarray, *, scale: int, model: str = "default") -> np.ndarray:
    """Enlarge by an embedded model."""
    return escsr.upscale(lq, scale=scale, model=model)


def on_white(picture: Picture) -> np.ndarray:
    """Pixels without transparency, as a page shows them."""
    if picture.alpha is None:
        return picture.pixels
    alpha = picture.alpha[..., None].astype(float) / 255
    return (picture.pixels * alpha + 255 * (1 - alpha)).round().astype(np.uint8)


def beside(pictures: list[np.ndarray]) -> np.ndarray:
    """From left to right, with white between."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    return np.hstack([part for picture in pictures for part in (picture, gap)][:-1])


def save(name: str, pixels: np.ndarray, *, quality: int = 95) -> None:
    """Write one of the pictures."""
    write_image(ASSETS / name, Picture(pixels=np.ascontiguousarray(pixels)), quality=quality)
    print(ASSETS / name)


if __name__ == "__main__":
    main()
