"""Oracles: Pillow and OpenCV reading and writing the same files, and exact round trips."""

import io
import multiprocessing
import os
import struct
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from escsr.images import (
    Display,
    Picture,
    from_float,
    image_size,
    read_image,
    read_rgb,
    to_float,
    writable_suffixes,
    write_image,
)

SHARED = os.environ.get("ESCSR_SHARED")
PHOTO = Path(__file__).parents[1] / "data" / "photo.png"


def photo(height: int = 40, width: int = 56) -> np.ndarray:
    return cv2.imread(str(PHOTO), cv2.IMREAD_COLOR_RGB)[:height, :width].copy()


def deep_photo() -> np.ndarray:
    low = np.random.default_rng(1).integers(0, 256, photo().shape)
    return (photo().astype(np.uint16) << 8) + low.astype(np.uint16)


def ramp(dtype: type = np.uint8) -> np.ndarray:
    """Alpha with every kind of value, also 0 and full."""
    top = np.iinfo(dtype).max
    return np.linspace(0, top, 40 * 56).reshape(40, 56).astype(dtype)


def profile(space: str = "RGB") -> bytes:
    """An sRGB profile, or the same bytes claiming another colour space."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data[16:20] = space.ljust(4).encode()
    return bytes(data)


# Reading


def test_rgb_png_equals_opencv():
    picture = read_image(PHOTO)
    np.testing.assert_array_equal(picture.pixels, cv2.imread(str(PHOTO), cv2.IMREAD_COLOR_RGB))
    assert (picture.depth, picture.gray, picture.alpha, picture.icc) == (8, False, None, None)
    assert picture.size == image_size(PHOTO) == (96, 112)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif", ".gif"])
def test_8_bit_files_of_pillow(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(photo()).save(path)
    expected = np.asarray(Image.open(path).convert("RGB")).astype(int)
    # Two JPEG decoders may differ by a rounding in the inverse DCT and the chroma filter.
    difference = np.abs(read_image(path).pixels.astype(int) - expected).max()
    assert difference <= (2 if suffix in (".jpg", ".webp") else 0)


def test_gray_is_repeated(tmp_path):
    gray = photo()[..., 1]
    cv2.imwrite(str(tmp_path / "g.png"), gray)
    picture = read_image(tmp_path / "g.png")
    assert picture.gray
    for channel in range(3):
        np.testing.assert_array_equal(picture.pixels[..., channel], gray)


def test_alpha_is_kept_apart(tmp_path):
    rgba = np.dstack([photo(), ramp()])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    picture = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.pixels, rgba[..., :3])
    np.testing.assert_array_equal(picture.alpha, rgba[..., 3])
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), rgba[..., :3])


def test_gray_with_alpha(tmp_path):
    image = Image.fromarray(np.dstack([photo()[..., 0], ramp()]), "LA")
    image.save(tmp_path / "la.png")
    picture = read_image(tmp_path / "la.png")
    assert picture.gray
    np.testing.assert_array_equal(picture.pixels[..., 2], photo()[..., 0])
    np.testing.assert_array_equal(picture.alpha, ramp())


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bit_by_file_not_by_values(tmp_path, suffix):
    dark = deep_photo() % 256  # all values fit in 8 bits
    cv2.imwrite(str(tmp_path / f"d{suffix}"), dark[..., ::-1])
    picture = read_image(tmp_path / f"d{suffix}")
    assert picture.depth == 16
    np.testing.assert_array_equal(picture.pixels, dark)


def test_read_rgb_rounds_16_bits(tmp_path):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    cv2.imwrite(str(tmp_path / "v.png"), values)
    expected = np.rint(values / 257.0)
    np.testing.assert_array_equal(read_rgb(tmp_path / "v.png")[..., 0], expected)


def test_palette_with_transparency(tmp_path):
    image = Image.fromarray(photo()).quantize(16)
    image.save(tmp_path / "p.png", transparency=3)
    rgba = np.asarray(Image.open(tmp_path / "p.png").convert("RGBA"))
    picture = read_image(tmp_path / "p.png")
    np.testing.assert_array_equal(picture.pixels, rgba[..., :3])
    np.testing.assert_array_equal(picture.alpha, rgba[..., 3])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_equals_pillow(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "o.png"
    Image.fromarray(photo()).save(path, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    picture = read_image(path)
    np.testing.assert_array_equal(picture.pixels, upright)
    assert image_size(path) == upright.shape[:2]
    # Written again, it carries no orientation that would turn it a second time.
    write_image(tmp_path / "again.jpg", picture)
    assert Image.open(tmp_path / "again.jpg").getexif().get(0x0112, 1) == 1
    assert image_size(tmp_path / "again.jpg") == upright.shape[:2]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
@pytest.mark.parametrize("suffix", [".bmp", ".ppm"])
def test_bmp_and_ppm_equal_pillow(tmp_path, suffix, mode):
    if (suffix, mode) == (".ppm", "P"):
        pytest.skip("there is no PPM with a palette")
    image = Image.fromarray(photo()).convert(mode)
    image.save(tmp_path / f"a{suffix}")
    expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(read_image(tmp_path / f"a{suffix}").pixels, expected)
    assert image_size(tmp_path / f"a{suffix}") == expected.shape[:2]


def test_bmp_with_alpha_and_with_padding(tmp_path):
    # By hand, with a mask for alpha (BITMAPV4HEADER): OpenCV writes one only since version 5.
    bgra = np.dstack([photo()[..., ::-1], ramp()])
    height, width = bgra.shape[:2]
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, bgra.nbytes, 0, 0, 0, 0)
    head = struct.pack("<2sIHHI", b"BM", 122 + bgra.nbytes, 0, 0, 122)
    data = head + info + masks + b"BGRs" + bytes(48) + bgra[::-1].tobytes()
    (tmp_path / "a.bmp").write_bytes(data)
    transparent = read_image(tmp_path / "a.bmp")
    assert np.array_equal(transparent.alpha, ramp())
    assert np.array_equal(transparent.pixels, photo())
    # Pillow writes the fourth byte without a mask for it: reserved, no transparency.
    Image.fromarray(np.dstack([photo(), ramp()])).save(tmp_path / "b.bmp")
    padded = read_image(tmp_path / "b.bmp")
    assert padded.alpha is None
    assert np.array_equal(padded.pixels, photo())


def test_cmyk_becomes_rgb(tmp_path):
    colours = {"white": (0, 0, 0, 0), "black": (0, 0, 0, 255), "magenta": (0, 255, 0, 0)}
    for name, ink in colours.items():
        Image.new("CMYK", (16, 16), ink).save(tmp_path / f"{name}.tif")
        picture = read_image(tmp_path / f"{name}.tif")
        assert picture.icc is None
        red, green, blue = picture.pixels[8, 8].astype(int)
        if name == "white":
            assert min(red, green, blue) >= 250
        elif name == "black":
            assert max(red, green, blue) <= 60
        else:
            assert red > green + 100
            assert blue > green + 50


@pytest.mark.parametrize("suffix", [".gif", ".tiff", ".webp"])
def test_first_of_many_pages_with_a_warning(tmp_path, suffix):
    path = tmp_path / f"m{suffix}"
    pages = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "lime")]
    extra = {"lossless": True} if suffix == ".webp" else {}
    pages[0].save(path, save_all=True, append_images=pages[1:], **extra)
    with pytest.warns(UserWarning, match="first of its 3 pages"):
        picture = read_image(path)
    assert picture.pixels[8, 8].tolist() == [255, 0, 0]


def test_float_tiff_is_refused_by_name(tmp_path):
    cv2.imwrite(str(tmp_path / "f.tiff"), photo()[..., 0].astype(np.float32) / 255)
    with pytest.raises(ValueError, match=r"f\.tiff.*8 or 16 bits"):
        read_image(tmp_path / "f.tiff")


def test_not_pictures(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "table.csv").write_text("1,2\n3,4\n")
    (tmp_path / "draw.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9"/>')
    for name in ("empty.png", "text.png", "table.csv", "draw.svg"):
        with pytest.raises(ValueError, match=name):
            read_image(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="none"):
        read_image(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError):
        read_image(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_cut_short_is_an_error(tmp_path, suffix, part):
    whole = io.BytesIO()
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    image.save(whole, {".jpg": "jpeg", ".tif": "tiff"}.get(suffix, suffix[1:]))
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole.getvalue()[: int(part * len(whole.getvalue()))])
    with pytest.raises(ValueError, match="cut"):
        read_image(path)


def test_a_rewritten_file_is_read_again(tmp_path):
    path = tmp_path / "same.png"
    for value in (10, 200):
        cv2.imwrite(str(path), np.full((8, 8, 3), value, np.uint8))
        os.utime(path, (1, 1))  # a cache that looks at times is fooled
        assert read_image(path).pixels.max() == value
        write_image(path, Picture(pixels=np.full((8, 8, 3), value + 5, np.uint8)))
        assert read_image(path).pixels.max() == value + 5


@pytest.mark.parametrize("name", ["a[1].png", "a[page=2].png", "ä ß 画像.png", "-x.png", "a.b.PNG"])
def test_odd_file_names(tmp_path, name):
    picture = Picture(pixels=photo())
    write_image(tmp_path / name, picture)
    assert os.listdir(tmp_path) == [name]
    np.testing.assert_array_equal(read_image(tmp_path / name).pixels, picture.pixels)


@pytest.mark.skipif(not SHARED, reason="ESCSR_SHARED is not set")
def test_every_file_of_the_collection():
    """Pillow is the oracle where it reads the file; otherwise a picture or a clear error."""
    files = [f for f in sorted((Path(SHARED) / "data" / "formats").rglob("*")) if f.is_file()]
    assert len(files) > 290
    compared = 0
    for file in files:
        picture = _read_or_clear_error(file)
        if picture is None:
            continue
        # A GIF's canvas below its first frame and 4-bit gray keys: here Pillow differs.
        if picture.depth == 16 or file.stem in ("border_touching_layers", "tbbn0g04"):
            continue
        try:
            with Image.open(file) as image:
                expected = np.asarray(ImageOps.exif_transpose(image).convert("RGBA"))
        except OSError:
            continue
        difference = np.abs(picture.pixels.astype(int) - expected[..., :3])
        if picture.alpha is not None:
            difference = difference[picture.alpha > 0]
        assert difference.max(initial=0) <= 2, file
        compared += 1
    assert compared > 170


def _read_or_clear_error(file: Path) -> Picture | None:
    message = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read_image(file)
    except (ValueError, OSError) as error:
        message = str(error)
    assert file.name in message
    return None


@pytest.mark.skipif(not SHARED, reason="ESCSR_SHARED is not set")
def test_deep_files_of_the_collection_equal_opencv():
    files = sorted((Path(SHARED) / "data" / "formats" / "pngsuite").glob("*16.png"))
    compared = 0
    for file in files:
        if file.name.startswith("x"):
            continue
        picture = read_image(file)
        given = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert picture.depth == 16, file
        if given.ndim == 3:
            np.testing.assert_array_equal(picture.pixels, given[..., 2::-1], str(file))
        else:
            np.testing.assert_array_equal(picture.pixels[..., 0], given, str(file))
        compared += 1
    assert compared > 10


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_is_told_instead_of_hanging():
    read_image(PHOTO)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_read_and_tell, args=(sender,))
    child.start()
    assert receiver.poll(30)
    assert "spawn" in receiver.recv()
    child.join()


def _read_and_tell(sender) -> None:
    try:
        read_image(PHOTO)
        sender.send("read")
    except RuntimeError as error:
        sender.send(str(error))


# Writing


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_exact_round_trip(tmp_path, suffix, deep, gray, alpha):
    pixels = deep_photo() if deep else photo()
    if gray:
        pixels = np.repeat(pixels[..., :1], 3, axis=2)
    picture = Picture(
        pixels=pixels,
        alpha=ramp(pixels.dtype) if alpha else None,
        gray=gray,
        display=Display(icc=profile("GRAY" if gray else "RGB")),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_image(tmp_path / f"a{suffix}", picture)
        again = read_image(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(again.pixels, pixels)
    assert again.pixels.dtype == pixels.dtype
    assert again.gray == gray
    assert again.icc == picture.icc
    if alpha:
        np.testing.assert_array_equal(again.alpha, picture.alpha)
    else:
        assert again.alpha is None
    if suffix == ".png" or not alpha:  # OpenCV premultiplies TIFF
        given = cv2.imread(str(tmp_path / f"a{suffix}"), cv2.IMREAD_UNCHANGED)
        green = given if given.ndim == 2 else given[..., 1]
        np.testing.assert_array_equal(green, pixels[..., 1])


@pytest.mark.parametrize("suffix", [".webp", ".avif"])
def test_lossless_round_trip(tmp_path, suffix):
    if suffix not in writable_suffixes():
        pytest.skip(f"this libvips cannot write {suffix}")
    picture = Picture(pixels=photo(), alpha=ramp(), display=Display(icc=profile()))
    write_image(tmp_path / f"a{suffix}", picture, lossless=True)
    again = read_image(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(again.alpha, picture.alpha)
    np.testing.assert_array_equal(again.pixels, picture.pixels)
    assert again.icc == picture.icc


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".avif"])
def test_lossy_formats_stay_close_and_obey_quality(tmp_path, suffix):
    if suffix not in writable_suffixes():
        pytest.skip(f"this libvips cannot write {suffix}")
    pixels = cv2.GaussianBlur(cv2.imread(str(PHOTO), cv2.IMREAD_COLOR_RGB), (0, 0), 2)
    picture = Picture(pixels=pixels, display=Display(icc=profile()))
    write_image(tmp_path / f"good{suffix}", picture)
    write_image(tmp_path / f"bad{suffix}", picture, quality=20)
    again = read_image(tmp_path / f"good{suffix}")
    assert np.abs(again.pixels.astype(float) - pixels).mean() < 2
    assert again.icc == picture.icc
    sizes = [(tmp_path / f"{name}{suffix}").stat().st_size for name in ("good", "bad")]
    assert sizes[1] < sizes[0]


def test_jpeg_keeps_full_chroma(tmp_path):
    write_image(tmp_path / "a.jpg", Picture(pixels=photo()))
    image = Image.open(tmp_path / "a.jpg")
    assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3


def test_gray_jpeg_has_one_channel(tmp_path):
    gray = np.repeat(photo()[..., :1], 3, axis=2)
    write_image(tmp_path / "g.jpg", Picture(pixels=gray, gray=True))
    assert Image.open(tmp_path / "g.jpg").mode == "L"


def test_jpeg_lays_transparency_on_white(tmp_path):
    pixels = np.zeros((16, 48, 3), np.uint8)
    alpha = np.repeat(np.array([0, 128, 255], np.uint8), 16)[None].repeat(16, axis=0)
    with pytest.warns(UserWarning, match="transparency"):
        write_image(tmp_path / "a.jpg", Picture(pixels=pixels, alpha=alpha), quality=100)
    written = np.asarray(Image.open(tmp_path / "a.jpg"))[8, 8::16, 0].astype(int)
    np.testing.assert_allclose(written, [255, 127, 0], atol=2)


def test_16_bits_are_rounded_for_8_bit_formats(tmp_path):
    pixels = deep_photo()
    with pytest.warns(UserWarning, match="8 of the 16 bits"):
        write_image(tmp_path / "a.webp", Picture(pixels=pixels), lossless=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.webp").pixels, np.rint(pixels / 257.0))


def test_foreign_profile_is_left_out(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(photo()[..., 0]).save(path, icc_profile=profile("RGB"))
    with pytest.warns(UserWarning, match="profile"):
        assert read_image(path).icc is None


def test_nothing_is_left_behind_on_failure(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_image(path, Picture(pixels=photo()))
    before = path.read_bytes()

    def refuse(*_):
        raise PermissionError(f"{path} may not be replaced")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError, match=r"a\.png"):
        write_image(path, Picture(pixels=photo(8, 8)))
    monkeypatch.undo()
    assert path.read_bytes() == before
    # Nor where the format cannot hold the picture.
    with pytest.raises(ValueError, match=r"wide\.webp.*16383.*PNG"):
        write_image(tmp_path / "wide.webp", Picture(pixels=np.zeros((1, 17000, 3), np.uint8)))
    assert os.listdir(tmp_path) == ["a.png"]


def test_permissions_are_the_usual_ones(tmp_path):
    write_image(tmp_path / "a.png", Picture(pixels=photo()))
    (tmp_path / "b").touch()
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_where_not_to_write(tmp_path):
    picture = Picture(pixels=photo())
    with pytest.raises(ValueError, match=r"\.xyz.*\.png, \.jpg"):
        write_image(tmp_path / "a.xyz", picture)
    with pytest.raises(ValueError, match="without an ending"):
        write_image(tmp_path / "a", picture)
    with pytest.raises(ValueError, match="quality"):
        write_image(tmp_path / "a.jpg", picture, quality=0)
    with pytest.raises(FileNotFoundError, match="gone"):
        write_image(tmp_path / "gone" / "a.png", picture)
    (tmp_path / "d.png").mkdir()
    with pytest.raises(IsADirectoryError, match=r"d\.png"):
        write_image(tmp_path / "d.png", picture)


# Arrays


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_float_and_back_is_exact(dtype):
    values = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(-1, 256, 1)
    planes = to_float(values)
    assert planes.dtype == np.float32
    assert planes.shape == (1, values.shape[0], 256)
    assert planes.flags.c_contiguous
    assert (planes.min(), planes.max()) == (0, 1)
    back = from_float(planes, depth=8 * values.dtype.itemsize)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, values)


def test_planes_are_channels_first():
    planes = to_float(photo())
    assert planes.shape == (3, 40, 56)
    np.testing.assert_allclose(planes[2], photo()[..., 2] / 255.0, atol=1e-7)
    np.testing.assert_array_equal(from_float(planes), photo())
    assert to_float(ramp()).shape == (1, 40, 56)


def test_from_float_rounds_and_clips():
    planes = np.array([-0.5, 0.0019, 0.0020, 0.9979, 0.9981, 7.0], np.float32).reshape(1, 1, 6)
    assert from_float(planes)[0, :, 0].tolist() == [0, 0, 1, 254, 255, 255]
    halves = from_float(np.full((1, 1, 1), 0.25, np.float16), depth=16)
    assert halves.item() == 16384


def test_array_errors():
    with pytest.raises(ValueError, match="NaN"):
        from_float(np.full((1, 1, 1), np.nan))
    with pytest.raises(ValueError, match="depth"):
        from_float(np.zeros((1, 1, 1)), depth=10)
    with pytest.raises(ValueError, match="planes"):
        from_float(np.zeros((1, 1)))
    with pytest.raises(TypeError, match="float64"):
        to_float(np.zeros((1, 1)))
    with pytest.raises(ValueError, match="pixels"):
        to_float(np.zeros(4, np.uint8))
    with pytest.raises(TypeError, match="float32"):
        Picture(pixels=np.zeros((2, 2, 3), np.float32))
    with pytest.raises(ValueError, match="pixels"):
        Picture(pixels=np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError, match="alpha"):
        Picture(pixels=np.zeros((2, 2, 3), np.uint8), alpha=np.zeros((3, 2), np.uint8))
    with pytest.raises(TypeError, match="alpha"):
        Picture(pixels=np.zeros((2, 2, 3), np.uint8), alpha=np.zeros((2, 2), np.uint16))
