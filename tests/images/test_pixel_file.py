"""Pictures whose pixels lie in a file. Oracles: the same picture in memory, pyvips."""

import gc
import os
import warnings

import numpy as np
import pytest
import pyvips

from escsr.images import (
    Display,
    Picture,
    encode_image,
    open_pixels,
    read_image,
    write_image,
    write_pixels,
)
from escsr.images._carrying import replace_head


def picture(height=37, width=52, depth=8, gray=False, **display) -> Picture:
    rng = np.random.default_rng(2)
    top = 2**depth
    pixels = rng.integers(0, top, (height, width, 1 if gray else 3), np.uint16)
    pixels = np.repeat(pixels, 3, axis=2) if gray else pixels
    kind = np.uint8 if depth == 8 else np.uint16
    return Picture(pixels=pixels.astype(kind), gray=gray, display=Display(**display))


@pytest.mark.parametrize(("depth", "gray"), [(8, False), (16, False), (8, True), (16, True)])
def test_pixels_are_those_of_the_file(tmp_path, depth, gray):
    given = picture(depth=depth, gray=gray, dpi=(300.0, 300.0))
    write_image(tmp_path / "in.tif", given)
    opened = open_pixels(tmp_path / "in.tif", tmp_path)
    assert (opened.size, opened.depth, opened.gray) == (given.size, depth, gray)
    assert opened.display.dpi == pytest.approx((300, 300))
    wanted = given.pixels[..., :1] if gray else given.pixels
    assert np.array_equal(opened.read(0, 37), wanted)
    assert np.array_equal(opened.read(5, 9), wanted[5:9])


@pytest.mark.parametrize("turn", range(1, 9))
def test_pictures_come_upright(tmp_path, turn):
    image = pyvips.Image.new_from_array(picture().pixels).copy(interpretation="srgb")
    image.set_type(pyvips.GValue.gint_type, "orientation", turn)
    image.write_to_file(str(tmp_path / "in.tif"))
    opened = open_pixels(tmp_path / "in.tif", tmp_path)
    wanted = read_image(tmp_path / "in.tif").pixels
    assert opened.size == wanted.shape[:2]
    assert np.array_equal(opened.read(0, opened.size[0]), wanted)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
@pytest.mark.parametrize("depth", [8, 16])
def test_files_are_those_of_pictures_in_memory(tmp_path, suffix, depth):
    """Pixels, profile and all that travels with them."""
    given = picture(depth=depth, dpi=(300.0, 300.0))
    write_image(tmp_path / "in.png", given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_pixels(tmp_path / f"out{suffix}", open_pixels(tmp_path / "in.png", tmp_path))
        wanted = read_image(encode_image(read_image(tmp_path / "in.png"), suffix))
    made = read_image(tmp_path / f"out{suffix}")
    assert np.array_equal(made.pixels, wanted.pixels)
    assert made.display == wanted.display


def test_rows_are_appended(tmp_path):
    write_image(tmp_path / "in.png", picture())
    opened = open_pixels(tmp_path / "in.png", tmp_path)
    copy = opened.empty_like((37, 52))
    for top in range(0, 37, 10):
        copy.append(opened.read(top, min(top + 10, 37)))
    assert np.array_equal(copy.read(0, 37), opened.read(0, 37))
    with pytest.raises(OSError, match="shorter"):
        copy.read(30, 40)


def test_pictures_with_transparency_are_read_whole(tmp_path):
    given = picture()
    alpha = np.full(given.size, 7, np.uint8)
    write_image(tmp_path / "in.png", Picture(pixels=given.pixels, alpha=alpha))
    assert open_pixels(tmp_path / "in.png", tmp_path) is None


def test_files_go_with_their_pictures_or_their_programs(tmp_path):
    write_image(tmp_path / "in.png", picture())
    opened = open_pixels(tmp_path / "in.png", tmp_path)
    assert opened.path.exists()
    path = opened.path
    del opened
    gc.collect()
    assert not path.exists()
    stale = tmp_path / f"escsr-pixels-{2**22 + 5}-x.raw"  # above the highest number of a process
    own = tmp_path / f"escsr-pixels-{os.getpid()}-x.raw"
    for leftover in (stale, own):
        leftover.write_bytes(b"0")
    open_pixels(tmp_path / "in.png", tmp_path)
    assert not stale.exists()
    assert own.exists()


def test_damaged_pictures_are_refused_and_leave_nothing(tmp_path):
    data = encode_image(picture(300, 200), ".jpg")
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="damaged or truncated"):
        open_pixels(tmp_path / "cut.jpg", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.jpg"]


@pytest.mark.parametrize("spooled", [False, True])
def test_pyramids(tmp_path, spooled):
    xmp = b"<x:xmpmeta/>"
    given = picture(700, 900, xmp=xmp, iptc=b"\x1c\x02\x78\0\2me", dpi=(300, 300))
    target = tmp_path / "out.tif"
    write_image(tmp_path / "in.png", given)
    if spooled:
        write_pixels(target, open_pixels(tmp_path / "in.png", tmp_path), pyramid=True)
    else:
        write_image(target, given, pyramid=True)
    image = pyvips.Image.new_from_file(str(target))
    assert image.get("n-pages") > 2
    half = pyvips.Image.new_from_file(str(target), page=1)
    assert (half.width, half.height) == (450, 350)
    assert np.array_equal(image.numpy(), given.pixels)
    made = read_image(target).display
    assert (made.xmp, made.iptc) == (xmp, given.display.iptc)
    assert made.dpi == pytest.approx((300, 300), abs=0.01)
    with pytest.raises(ValueError, match="only TIFF has pyramids"):
        write_image(tmp_path / "out.png", given, pyramid=True)


@pytest.mark.parametrize("head", [b"", b"0123456789abcdef", b"new"])
@pytest.mark.parametrize("length", [0, 5, 40])
def test_the_head_of_a_file_is_replaced_in_place(tmp_path, head, length):
    """Against the same in memory, with parts smaller and larger than what moves."""
    data = bytes(range(100))
    for step in (1, 7, 1000):
        (tmp_path / "f").write_bytes(data)
        with (tmp_path / "f").open("r+b") as file:
            replace_head(file, length, head, step=step)
        assert (tmp_path / "f").read_bytes() == head + data[length:]
