"""Make the small pictures that the gallery of the documentation enlarges.

    python tools/draw_gallery_sources.py PHOTOS

PHOTOS is a folder with the photographs that `PARTS` names, of CLIC 2025 and CID22. Text, line art,
logo and the scanned page are drawn here. Credits and licences: docs/gallery.md.
"""

import argparse
import math
import textwrap
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SOURCES = Path(__file__).resolve().parents[1] / "docs" / "assets" / "gallery"
SIZE = (320, 240)
FINE = 4  # drawings are made this many times larger and reduced
SEED = 0
INK, PAPER, BLUE, TEAL = (24, 26, 32), (250, 249, 246), (47, 84, 235), (19, 194, 194)

# Photograph, and its part: left, top, right, bottom.
PARTS = {
    "portrait": ("clic2025_039.webp", (220, 400, 1460, 1330)),
    "old_jpeg": ("clic2025_009.webp", (60, 660, 1340, 1620)),
    "night": ("cid22_099.webp", (0, 64, 512, 448)),
}
PARAGRAPH = (
    "Interpolation spreads the pixels that exist. A network has seen",
    "many photographs and draws the edges such pixels usually come",
    "from: sharp strokes, smooth curves, clean corners. It does not",
    "know the words. Letters below eight pixels remain a guess.",
)


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description="Make the pictures that the gallery enlarges.")
    parser.add_argument("photos", type=Path, help="folder with the photographs named in PARTS")
    photos = parser.parse_args().photos
    SOURCES.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    part(photos, "portrait").save(SOURCES / "portrait.png")
    part(photos, "old_jpeg").save(SOURCES / "old_jpeg.jpg", quality=30, subsampling="4:2:0")
    noisy(part(photos, "night"), rng).save(SOURCES / "night.png")
    text().save(SOURCES / "text.png")
    line_art(rng).save(SOURCES / "line_art.png")
    logo().save(SOURCES / "logo.png")
    scan(rng, part(photos, "portrait")).save(SOURCES / "scan.jpg", quality=75)
    for path in sorted(SOURCES.glob("*.[pj][np]g")):
        print(path, path.stat().st_size)


def part(photos: Path, name: str) -> Image.Image:
    """A part of a photograph, reduced to `SIZE`."""
    file, box = PARTS[name]
    with Image.open(photos / file) as photo:
        return photo.convert("RGB").crop(box).resize(SIZE, Image.Resampling.LANCZOS)


def noisy(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """As a camera takes it at high sensitivity: more noise where there is more light."""
    pixels = np.asarray(photo, dtype=float)
    pixels = pixels + rng.normal(size=pixels.shape) * np.sqrt(16 + 0.9 * pixels)
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def text() -> Image.Image:
    """A screenshot: text in several sizes, dark on light and light on dark."""
    picture = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 320, 30), fill=BLUE)
    draw.text((10, 7), "Notes on enlarging", fill="white", font=ImageFont.load_default(15))
    y = 40
    for size in (10, 9):
        for line in PARAGRAPH:
            draw.text((10, y), line, fill=INK, font=ImageFont.load_default(size))
            y += size + 4
        y += 8
    for column, size in enumerate((7, 8, 10, 12, 14, 18)):
        font = ImageFont.load_default(size)
        draw.text((10 + 50 * column, 166), f"{size} px", fill=BLUE, font=font)
        draw.text((10 + 50 * column, 192), "Rg&8", fill=INK, font=font)
    draw.rectangle((0, 220, 320, 240), fill=(38, 42, 52))
    draw.text(
        (10, 224), "line 12, column 40", fill=(190, 196, 208), font=ImageFont.load_default(10)
    )
    return picture


def line_art(rng: np.random.Generator) -> Image.Image:
    """An ink drawing: mountains with hatching, a sun, waves."""
    width, height = (side * FINE for side in SIZE)
    picture = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(picture)
    centre = (width * 0.7, height * 0.26)
    for radius in range(18, 150, 12):
        box = [centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius]
        draw.ellipse(box, outline=INK, width=3)
    x = np.arange(0, width + 1, 4)
    for layer, (level, rise) in enumerate(((0.5, 0.3), (0.6, 0.2), (0.7, 0.12))):
        ridge = height * (level - rise * _ridge(x / width, rng))
        draw.polygon([*zip(x, ridge, strict=True), (width, height), (0, height)], fill=PAPER)
        draw.line([*zip(x, ridge, strict=True)], fill=INK, width=6, joint="curve")
        for start in range(0, len(x) - 1, 3 + layer):
            length = 30 + 90 * rng.random()
            slant = 26 if ridge[start] < ridge[min(start + 8, len(x) - 1)] else 8
            top = (x[start], ridge[start])
            draw.line([top, (top[0] - slant, top[1] + length)], fill=INK, width=3)
    for row in range(9):
        y = height * (0.76 + 0.028 * row)
        wave = y + (5 + row) * np.sin(x / (40 + 12 * row) + 2.1 * row)
        if row == 0:
            draw.polygon([*zip(x, wave, strict=True), (width, height), (0, height)], fill=PAPER)
        draw.line([*zip(x, wave, strict=True)], fill=INK, width=4 if row else 6)
    return picture.resize(SIZE, Image.Resampling.LANCZOS)


def _ridge(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A mountain ridge over [0, 1], from 0 to about 1: corners at random heights."""
    corners = np.linspace(0, 1, 9)
    heights = 0.25 + 0.75 * rng.random(9)
    heights[::2] *= 0.45
    return np.interp(x, corners, heights) + 0.03 * np.interp(
        x, np.linspace(0, 1, 60), rng.random(60)
    )


def logo() -> Image.Image:
    """The mark of this project and its name, with transparency."""
    side = 8
    picture = Image.new("RGBA", (320 * side, 140 * side), (0, 0, 0, 0))
    draw = ImageDraw.Draw(picture)
    unit = 4 * side
    left, top = 16 * side, 22 * side
    middle, radius = left + 12 * unit, 12 * unit
    draw.pieslice(
        (middle - radius, top, middle + radius, top + 2 * radius), -90, 90, fill=(*TEAL, 255)
    )
    for row in range(8):  # the left half in pixels of an eighth
        half = math.sqrt(1 - ((row + 0.5) / 4 - 1) ** 2) * 4
        x = middle - round(half) * 3 * unit
        y = top + row * 3 * unit
        draw.rectangle((x, y, middle - 1, y + 3 * unit - 1), fill=(*BLUE, 255))
    font = ImageFont.load_default(64 * side)
    draw.text((128 * side, 32 * side), "escsr", font=font, fill=(*BLUE, 255))
    return picture.resize((320, 140), Image.Resampling.LANCZOS)


def scan(rng: np.random.Generator, photo: Image.Image) -> Image.Image:
    """A printed page with a halftone picture, scanned a little askew."""
    width, height = (side * FINE for side in SIZE)
    page = Image.new("L", (width, height), 236)
    draw = ImageDraw.Draw(page)
    draw.text((60, 40), "THE EVENING PAPER", fill=30, font=ImageFont.load_default(84))
    draw.line((60, 160, width - 60, 160), fill=30, width=6)
    words = " ".join(PARAGRAPH)
    page.paste(_halftone(photo.resize((440, 330))), (60, 560))
    for text, columns, left, top in ((words, 54, 60, 190), (" ".join(PARAGRAPH[:2]), 31, 540, 570)):
        for number, line in enumerate(textwrap.wrap(text, columns)):
            place = left, top + 64 * number
            draw.text(place, line, fill=40, font=ImageFont.load_default(42))
    page = page.rotate(1.1, Image.Resampling.BICUBIC, fillcolor=236)
    page = page.filter(ImageFilter.GaussianBlur(3.2)).resize(SIZE, Image.Resampling.BOX)
    coarse = Image.fromarray(rng.normal(128, 40, (60, 80)).clip(0, 255).astype(np.uint8))
    stains = np.asarray(coarse.resize(SIZE, Image.Resampling.BICUBIC), float) - 128
    pixels = np.asarray(page, float) + 0.06 * stains + rng.normal(0, 4, SIZE[::-1])
    tint = np.array([1.0, 0.975, 0.91])
    return Image.fromarray((pixels[..., None] * tint).round().clip(0, 255).astype(np.uint8))


def _halftone(photo: Image.Image, cell: int = 10) -> Image.Image:
    """Black dots on paper, larger where the photo is darker."""
    grey = np.asarray(photo.convert("L"), float) / 255
    y, x = np.mgrid[: photo.height, : photo.width]
    u, v = (x + y) * math.pi / cell, (x - y) * math.pi / cell
    screen = (np.cos(u) * np.cos(v) + 1) / 2
    return Image.fromarray(np.where(screen > grey**0.8, 40, 236).astype(np.uint8))


if __name__ == "__main__":
    main()
