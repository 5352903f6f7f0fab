"""How ``escsr upscale`` writes. Oracles: Pillow, and the sizes of files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from escsr.cli.main import app
from escsr.images import Display, Picture, read_image, write_image

PIXELS = np.kron(np.random.default_rng(2).integers(0, 256, (8, 8, 3)), np.ones((8, 8, 1))).astype(
    "u1"
)
XMP = b"<x:xmpmeta/>"


def upscaled(folder: Path, name: str, *options: str) -> Path:
    write_image(folder / "in.png", Picture(pixels=PIXELS, display=Display(xmp=XMP, dpi=(72, 72))))
    app(
        ["upscale", str(folder / "in.png"), "-o", str(folder / name), "--scale", "0.5", *options],
        standalone_mode=False,
    )
    return folder / name


def test_options_of_saving(tmp_path):
    sizes = [
        upscaled(tmp_path, f"{quality}.jpg", "--quality", quality).stat().st_size
        for quality in ("95", "20")
    ]
    assert sizes[0] > sizes[1]
    with Image.open(upscaled(tmp_path, "half.jpg", "--chroma", "420")) as image:
        assert [layer[1:3] for layer in image.layer] == [(2, 2), (1, 1), (1, 1)]
    exact = read_image(upscaled(tmp_path, "a.png"))
    for name in ("a.webp", "a.avif"):
        made = read_image(upscaled(tmp_path, name, "--lossless")).pixels
        assert np.array_equal(made, exact.pixels)
    sizes = [
        upscaled(tmp_path, f"{level}.png", "--compression", level).stat().st_size
        for level in ("0", "9")
    ]
    assert sizes[0] > sizes[1]


def test_metadata_is_kept_unless_stripped(tmp_path):
    assert read_image(upscaled(tmp_path, "a.png")).display.xmp == XMP
    bare = read_image(upscaled(tmp_path, "b.png", "--strip-metadata")).display
    assert bare.xmp is None
    assert bare.dpi == pytest.approx((72, 72), abs=0.02)


def test_wrong_values_are_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match="chroma is one of 444, 420"):
        upscaled(tmp_path, "a.jpg", "--chroma", "422")
    assert not (tmp_path / "a.jpg").exists()
