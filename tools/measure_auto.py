"""Measure what ``model="auto"`` chooses and reaches on JPEGs, and write it into the documents.

    python tools/measure_auto.py Set14/HR --write

A square from the middle of each picture is reduced bicubically, saved as a JPEG (4:2:0) and
enlarged again. The exit code is 1 if auto is, in a mean over the pictures, below bicubic or more
than 0.1 dB below the better of its two networks.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer

import escsr
from escsr.cli.console import make_console
from escsr.cli.main import print_error
from escsr.evaluation.metrics import psnr_y
from escsr.images import Picture, encode_image, read_image, read_rgb
from escsr.picture_files import list_images
from escsr.resize import imresize

PAGE = Path(__file__).resolve().parents[1] / "docs" / "real_photos.md"
BEGIN, END = "<!-- begin: auto -->\n", "<!-- end: auto -->\n"
SCALES = (2, 4)
QUALITIES = (30, 40, 50, 60, 70, 75, 80, 85, 90, 95)
ALLOWED = 0.1  # dB below the better network
NAMES = ("bicubic", "default", "real", "auto")


class Row(NamedTuple):
    """Means over the pictures at one scale and quality."""

    scale: int
    quality: int
    psnr: dict[str, float]
    damaged: int  # pictures that went through "real"
    pictures: int

    @property
    def holds(self) -> bool:
        """Whether the choice was good enough."""
        best = max(self.psnr["default"], self.psnr["real"])
        return self.psnr["auto"] >= max(self.psnr["bicubic"], best - ALLOWED)


def measure(
    folder: Annotated[Path, typer.Argument(help="Folder of good pictures.")],
    count: Annotated[int, typer.Option(help="How many of them, the first by name.")] = 8,
    side: Annotated[int, typer.Option(help="Side of the squares, a multiple of 4.")] = 192,
    write: Annotated[bool, typer.Option("--write", help="Write the table into the docs.")] = False,
) -> None:
    """Measure auto on JPEGs."""
    originals = [middle(read_rgb(path), side) for path in list_images([folder])[:count]]
    sessions = {name: escsr.Upscaler(name) for name in NAMES[1:]}
    rows = list(measured(originals, sessions))
    text = table(rows)
    make_console().print(text)
    if write:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        PAGE.write_text(before + BEGIN + text + END + after, encoding="utf-8")
    sys.exit(0 if all(row.holds for row in rows) else 1)


def middle(pixels: np.ndarray, side: int) -> np.ndarray:
    """A square from the middle."""
    if min(pixels.shape[:2]) < side or side % 4:
        raise ValueError(f"squares of {side} cannot be cut from {pixels.shape[:2]}; see --side")
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def measured(originals: list[np.ndarray], sessions: dict[str, escsr.Upscaler]) -> Iterator[Row]:
    """All scales and qualities."""
    for scale in SCALES:
        for quality in QUALITIES:
            values: dict[str, list[float]] = {name: [] for name in NAMES}
            said: list[str] = []
            for gt in originals:
                size = gt.shape[0] // scale
                lq = Picture(pixels=imresize(gt, size=(size, size)))
                jpeg = read_image(encode_image(lq, ".jpg", quality=quality, chroma="420"))
                bicubic = imresize(jpeg.pixels, size=gt.shape[:2], round_between=False)
                results = {"bicubic": bicubic}
                for name, up in sessions.items():
                    notify = said.append if name == "auto" else ignore
                    results[name] = up(jpeg, scale=scale, notify=notify).pixels
                for name, result in results.items():
                    values[name].append(psnr_y(result, gt, crop=scale))
            means = {name: float(np.mean(figures)) for name, figures in values.items()}
            damaged = sum("'real'" in text for text in said)
            yield Row(scale, quality, means, damaged, len(originals))


def ignore(_: str) -> None:
    """Suppress notices of the other networks."""


def table(rows: list[Row]) -> str:
    """Markdown: one line for each scale and quality."""
    lines = ["| scale | JPEG | " + " | ".join(f"`{n}`" for n in NAMES) + " | auto chose `real` |"]
    lines.append("|---" * (len(NAMES) + 3) + "|")
    for row in rows:
        figures = " | ".join(f"{row.psnr[name]:.2f}" for name in NAMES)
        lines.append(
            f"| ×{row.scale} | {row.quality} | {figures} | {row.damaged} of {row.pictures} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    try:
        typer.run(measure)
    except (ValueError, OSError) as error:
        print_error(error)
        sys.exit(1)
