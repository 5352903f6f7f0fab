"""Kinds of picture in and out. Oracles: Pillow's own conversions, and the same file by its path."""

import io
import re
import warnings

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from escsr.images import Picture, read_image
from escsr.inference.kinds import check_tensor, like, to_picture

RGB = np.random.default_rng(5).integers(0, 256, (9, 12, 3), dtype=np.uint8)


def saved(image: Image.Image, kind: str = "png", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def same(given: Picture, expected: Picture, off: int = 0) -> None:
    assert (given.gray, given.depth) == (expected.gray, expected.depth)
    assert (given.alpha is None) == (expected.alpha is None)
    shown = np.ones(given.size, bool)
    if given.alpha is not None:
        assert np.array_equal(given.alpha, expected.alpha)
        shown = given.alpha > 0
    assert np.abs(given.pixels.astype(int) - expected.pixels)[shown].max() <= off


# Transparent colours: a PIL image of a file is the picture that the path gives.


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "I;16"])
def test_transparent_colour_of_a_file(mode):
    image = Image.fromarray(RGB)
    if mode == "I;16":
        image = Image.fromarray(RGB[..., 0].astype(np.uint16) * 257)
    else:
        image = image.quantize(16) if mode == "P" else image.convert(mode)
    key = image.getpixel((3, 4))
    key = 1 if mode == "1" else key
    data = saved(image, transparency=key)
    expected = read_image(data)
    assert expected.alpha is not None
    assert 0 < (expected.alpha == 0).sum() < expected.alpha.size
    for opened in (Image.open(io.BytesIO(data)), Image.open(io.BytesIO(data)).copy()):
        same(to_picture(opened), expected)


def test_transparent_colour_of_few_bits():
    """Pillow spreads 4-bit pixels over 8 bits, and leaves the colour of the header as it is."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    for bits in (2, 4):
        levels = np.arange(8) % 2**bits
        packed = np.packbits(np.unpackbits(levels.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :])
        data = b"\x89PNG\r\n\x1a\n" + chunk(
            b"IHDR", struct.pack(">IIBBBBB", 8, 1, bits, 0, 0, 0, 0)
        )
        data += chunk(b"tRNS", struct.pack(">H", 3))
        data += chunk(b"IDAT", zlib.compress(b"\0" + packed.tobytes())) + chunk(b"IEND", b"")
        image = Image.open(io.BytesIO(data))
        image.load()
        same(to_picture(image), read_image(data))
        assert (to_picture(image).alpha[0] == 0).tolist() == (levels == 3).tolist()


# Modes


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "La", "RGBa"])
def test_modes_that_are_gray_or_rgb_equal_pillow(mode):
    rgba = Image.fromarray(np.dstack([RGB, RGB[..., 0] | 1]))
    image = rgba.convert({"La": "LA", "P": "RGB", "PA": "P"}.get(mode, mode)).convert(mode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = to_picture(image)
    expected = np.asarray((image.convert("LA") if mode == "La" else image).convert("RGBA"))
    assert np.array_equal(picture.pixels, expected[..., :3])
    has_alpha = mode in ("LA", "PA", "RGBA", "La", "RGBa")
    assert (picture.alpha is not None) == has_alpha
    if has_alpha:
        assert np.array_equal(picture.alpha, expected[..., 3])
    assert picture.gray == (mode in ("1", "L", "LA", "La"))


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "CMYK", "LAB"])
def test_other_colour_spaces(mode):
    flat = np.zeros((12, 12, 3), np.uint8)
    flat[:6], flat[6:] = (200, 60, 90), (30, 120, 220)
    image = Image.fromarray(flat)
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
    else:
        image = image.convert(mode)
    if mode in ("CMYK", "LAB"):
        with pytest.warns(UserWarning, match=f"{mode}.*converted to RGB"):
            picture = to_picture(image)
    else:
        picture = to_picture(image)
    if mode == "CMYK":  # the oracle is the same ink in a file; Pillow's own formula knows no ink
        with pytest.warns(UserWarning, match="cmyk"):
            same(picture, read_image(saved(image, "tiff")))
    else:
        assert np.abs(picture.pixels.astype(int) - flat).max() <= 4
    assert like(image, picture).mode == "RGB"


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L", "I", "F"])
def test_deep_gray_keeps_its_values_and_its_mode(mode):
    values = np.random.default_rng(2).integers(0, 65536, (6, 5))
    values[0, :2] = 0, 65535
    kinds = {"I;16B": ">u2", "I": "i4", "F": "f4"}
    stored = values / 65535 if mode == "F" else values
    image = Image.frombytes(mode, (5, 6), stored.astype(kinds.get(mode, "<u2")).tobytes())
    picture = to_picture(image)
    assert (picture.depth, picture.gray) == (16, True)
    assert np.array_equal(picture.pixels[..., 0], values)
    back = like(image, picture)
    assert back.mode == (mode if mode != "I;16L" else "I;16")
    assert np.allclose(np.asarray(back), stored, atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "values", "message"),
    [
        ("F", (0, 255), r"\[0, 1\], not in \[0, 255\]: divide it by 255"),
        ("F", (-0.5, 1), r"clip it to \[0, 1\]"),
        ("F", (0, np.nan), "NaN"),
        ("I", (0, 70000), "0 to 65535, not in 0 to 70000"),
        ("I", (-1, 9), "not in -1 to 9"),
    ],
)
def test_values_that_no_picture_has_are_refused_with_true_advice(mode, values, message):
    image = Image.fromarray(np.array([values], "f4" if mode == "F" else "i4"))
    assert image.mode == mode
    with pytest.raises(ValueError, match=message):
        to_picture(image)


def test_orientation_of_every_mode():
    exif = Image.Exif()
    exif[0x0112] = 6
    for mode in ("L", "RGB", "RGBA"):
        data = saved(Image.fromarray(RGB).convert(mode), exif=exif)
        same(to_picture(Image.open(io.BytesIO(data))), read_image(data))


# Arrays


@pytest.mark.parametrize("channels", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "f2", "f4", "f8"])
def test_arrays_come_back_as_they_were(channels, dtype):
    rng = np.random.default_rng(channels)
    shape = (4, 5, channels) if channels else (4, 5)
    array = rng.random(shape)
    if dtype[-2] == "u":
        array = array * np.iinfo(dtype).max
    array = array.astype(dtype)
    picture = to_picture(array)
    assert picture.gray == (channels < 3)
    assert (picture.alpha is not None) == (channels in (2, 4))
    back = like(array, picture)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert np.abs(back.astype(float) - array.astype(float)).max() <= (
        1e-3 if dtype == "f2" else 8e-6
    )


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 5), bool), "booleans is a mask.*astype"),
        (np.zeros((4, 5, 3), np.int64), "not int64"),
        (np.zeros((0, 5, 3), np.uint8), "empty picture"),
        (np.zeros((0, 4, 5, 3), np.uint8), "empty"),
        (np.zeros((2, 4, 5, 3), np.uint8), "one after another"),
        (np.zeros((3, 40, 50), np.uint8), r"transpose\(1, 2, 0\)"),
        (np.zeros((4, 5, 7), np.uint8), r"not \(4, 5, 7\)"),
        (np.full((4, 5, 3), 1.001), r"not in \[1.001, 1.001\]: clip"),
        (np.full((4, 5, 3), -0.02), r"clip"),
        (np.linspace(0, 255, 60).reshape(4, 5, 3), "divide it by 255"),
        (np.full((4, 5, 3), np.nan), "NaN"),
        (np.full((4, 5, 3), np.inf), "infinity"),
    ],
)
def test_wrong_arrays_are_refused_in_clear_words(array, message):
    with pytest.raises(ValueError, match=message):
        to_picture(array)


def test_rounding_of_floats_is_no_fault():
    array = np.array([[-1e-8, 1 + 2e-7]], np.float32)
    assert to_picture(array).pixels[0, :, 0].tolist() == [0, 65535]
    tensor = torch.from_numpy(array).expand(3, 1, 2)
    assert check_tensor(tensor).min() == 0
    assert check_tensor(tensor).max() == 1


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(3, 4, 5, dtype=torch.bool), r"booleans is a mask.*float\(\)"),
        (torch.zeros(3, 4, 5, dtype=torch.uint8), r"torch.uint8.*/ 255"),
        (torch.zeros(0, 3, 4, 5), "empty batch"),
        (torch.zeros(3, 0, 5), "empty picture"),
        (torch.zeros(4, 5, 3), r"movedim\(-1, -3\)"),
        (torch.full((3, 4, 5), 200.0), "divide it by 255"),
        (torch.full((3, 4, 5), 1.01), "clip"),
        (torch.full((3, 4, 5), float("nan")), "NaN"),
    ],
)
def test_wrong_tensors_are_refused_in_clear_words(tensor, message):
    with pytest.raises(ValueError, match=message):
        check_tensor(tensor)


def test_other_things():
    with pytest.raises(TypeError, match=re.escape("cannot upscale a dict")):
        to_picture({})
    assert to_picture(saved(Image.fromarray(RGB))).size == (9, 12)


def test_what_travels_with_a_pil_image():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    exif.get_ifd(0x8769)[0xA002] = 12
    image = Image.open(io.BytesIO(saved(Image.fromarray(RGB), exif=exif, dpi=(300, 300))))
    picture = to_picture(image)
    large = Picture(pixels=np.zeros((50, 60, 3), np.uint8), display=picture.display)
    made = like(image, large)
    kept = made.getexif()
    assert (kept[0x0112], kept[0x010F], kept.get_ifd(0x8769)[0xA002]) == (1, "Maker", 60)
    assert made.info["dpi"] == pytest.approx((300, 300), abs=0.01)
