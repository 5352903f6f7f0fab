"""Netpbm files of every kind and white. Oracles: the values written, and Pillow."""

import io

import numpy as np
import pytest
from PIL import Image

from escsr.images import image_size, read_image

RGB = np.random.default_rng(0).random((7, 11, 3))


def raw(kind: str, maxval: int, values: np.ndarray) -> bytes:
    """P5 or P6."""
    head = f"{kind}\n# made by a test\n{values.shape[1]} {values.shape[0]}\n{maxval}\n".encode()
    return head + np.rint(values * maxval).astype("u1" if maxval < 256 else ">u2").tobytes()


def plain(kind: str, maxval: int, values: np.ndarray) -> bytes:
    """P2 or P3."""
    words = " ".join(str(int(v)) for v in np.rint(values * maxval).ravel())
    return f"{kind} {values.shape[1]} {values.shape[0]} {maxval}\n{words}\n".encode()


@pytest.mark.parametrize("maxval", [1, 2, 3, 15, 100, 254, 255, 256, 1023, 4095, 65534, 65535])
@pytest.mark.parametrize(("write", "kinds"), [(raw, ("P5", "P6")), (plain, ("P2", "P3"))])
def test_white_is_what_the_header_says(maxval, write, kinds):
    for kind, values in zip(kinds, (RGB[..., 0], RGB), strict=True):
        picture = read_image(write(kind, maxval, values))
        assert picture.depth == (8 if maxval < 256 else 16)
        assert picture.gray == (values.ndim == 2)
        assert image_size(write(kind, maxval, values)) == picture.size == (7, 11)
        top = 2**picture.depth - 1
        expected = np.rint(values * maxval) / maxval
        given = picture.pixels[..., 0] if values.ndim == 2 else picture.pixels
        assert np.abs(given / top - expected).max() <= 0.5 / top + 1e-9


@pytest.mark.parametrize(
    ("tuples", "channels"),
    [("GRAYSCALE", 1), ("GRAYSCALE_ALPHA", 2), ("RGB", 3), ("RGB_ALPHA", 4), ("", 3)],
)
@pytest.mark.parametrize("maxval", [200, 1000])
def test_pam(tuples, channels, maxval):
    values = np.random.default_rng(1).integers(0, maxval + 1, (5, 4, channels))
    head = f"P7\nWIDTH 4\nHEIGHT 5\nDEPTH {channels}\nMAXVAL {maxval}\n"
    head += f"TUPLTYPE {tuples}\nENDHDR\n" if tuples else "ENDHDR\n"
    picture = read_image(head.encode() + values.astype("u1" if maxval < 256 else ">u2").tobytes())
    top = 2**picture.depth - 1
    expected = values / maxval
    assert picture.gray == (channels < 3)
    assert np.abs(picture.pixels[..., 0] / top - expected[..., 0]).max() < 0.6 / top
    assert (picture.alpha is not None) == (channels in (2, 4))
    if picture.alpha is not None:
        assert np.abs(picture.alpha / top - expected[..., -1]).max() < 0.6 / top


def test_bitmaps_equal_pillow():
    image = Image.fromarray(RGB[..., 0] > 0.5)
    file = io.BytesIO()
    image.save(file, "ppm")
    expected = np.asarray(image.convert("L"))
    assert np.array_equal(read_image(file.getvalue()).pixels[..., 0], expected)
    digits = "\n".join("".join("01"[not v] for v in row) for row in expected)
    text = f"P1\n11 7 # width, height\n{digits}".encode()
    assert np.array_equal(read_image(text).pixels[..., 0], expected)


def test_the_first_of_several_with_a_warning():
    two = raw("P6", 255, RGB) + raw("P6", 255, 1 - RGB)
    with pytest.warns(UserWarning, match="only the first"):
        picture = read_image(two)
    assert np.array_equal(picture.pixels, np.rint(RGB * 255))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (raw("P6", 255, RGB)[:-1], "truncated"),
        (raw("P5", 1000, RGB[..., 0])[:-1], "truncated"),
        (plain("P3", 255, RGB)[:40], "truncated"),
        (b"P6\n3 -2\n255\n", "header"),
        (b"P6\n0 2\n255\n", "0×2"),
        (b"P6\n3 2\n65536\n" + bytes(40), "white 65536"),
        (b"P5\n2 1\n100\n\x10\xff", "above the header's white"),
        (b"P2\n2 1\n100\n5 x\n", "word where a number"),
        (b"P2\n2 1\n100\n5 -5\n", "negative"),
        (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 7\nMAXVAL 9\nENDHDR\n1234567", "7 channels"),
        (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 9\n", "no end"),
        (b"PF\n1 1\n-1.0\n" + bytes(12), "floating-point"),
    ],
)
def test_damage_is_an_error(data, message, tmp_path):
    (tmp_path / "x.ppm").write_bytes(data)
    with pytest.raises(ValueError, match=rf"x\.ppm.*{message}"):
        read_image(tmp_path / "x.ppm")
