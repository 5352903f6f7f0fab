"""What each format keeps: measured by writing and reading, printed as the table of docs/files.md.

Oracles: equality with what was written, and Pillow reading the same files.
``python tests/images/test_round_trips.py`` writes the table anew.
"""

import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from escsr.images import Display, Picture, encode_image, read_image

PAGE = Path(__file__).parents[2] / "docs" / "files.md"
BEGIN, END = "<!-- begin: what each format keeps -->\n", "<!-- end: what each format keeps -->\n"
FORMATS = {"PNG": ".png", "JPEG": ".jpg", "WebP": ".webp", "TIFF": ".tif", "AVIF": ".avif"}
IPTC = b"\x1c\x02\x78\x00\x05hello"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a/></x:xmpmeta>'


def smooth(dtype: type = np.uint8) -> np.ndarray:
    """(24, 40, 3), with every level of 8 bits and low bits of 16."""
    y, x = np.mgrid[:24, :40]
    ramp = np.stack([x / 39, y / 23, (x + y) / 62], axis=2)
    return np.rint(ramp * np.iinfo(dtype).max).astype(dtype)


def camera_exif() -> bytes:
    """As Pillow writes it, the numbers big-endian; with a maker's note and a place."""
    exif = Image.Exif()
    exif.endian = ">"
    exif[0x010F], exif[0x0112], exif[0x8298] = "Maker", 1, "Someone"
    exif[0x011A], exif[0x011B], exif[0x0128] = 300.0, 300.0, 2
    below = exif.get_ifd(0x8769)
    below[0x829A], below[0x927C], below[0xA002], below[0xA003] = 0.004, b"NOTE\0\1\2\3", 40, 24
    place = exif.get_ifd(0x8825)
    place[1], place[2] = "N", (47.0, 30.0, 12.5)
    return exif.tobytes().removeprefix(b"Exif\0\0")


def profile(space: bytes = b"RGB ") -> bytes:
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data[16:20] = space
    return bytes(data)


def again(picture: Picture, suffix: str, **options: object) -> Picture:
    """Written and read; what is lost was told if a warning says so."""
    return read_image(encode_image(picture, suffix, **options))


def told(picture: Picture, suffix: str, keeps: bool) -> bool:
    """``keeps``, having checked that a loss was told."""
    with warnings.catch_warnings(record=True) as notices:
        warnings.simplefilter("always")
        encode_image(picture, suffix)
    assert keeps or notices, f"{suffix} loses without a word"
    return keeps


def keeps_pixels(suffix: str) -> str:
    picture = Picture(pixels=smooth())
    if np.array_equal(again(picture, suffix).pixels, picture.pixels):
        return "yes"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exact = again(picture, suffix, lossless=True).pixels
    return "with `--lossless`" if np.array_equal(exact, picture.pixels) else "no"


def kept_depth(suffix: str) -> str:
    picture = Picture(pixels=smooth(np.uint16))
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(3, axis=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = again(Picture(pixels=levels), suffix, lossless=True).pixels
    bits = round(np.log2(len(np.unique(made[..., 1]))))
    told(picture, suffix, bits == 16)
    return f"{bits} bits"


def keeps_gray(suffix: str) -> str:
    gray = Picture(pixels=smooth()[..., :1].repeat(3, axis=2), gray=True)
    made = again(gray, suffix)
    assert np.abs(made.pixels.astype(int) - gray.pixels).max() < 8
    return "yes" if made.gray else "as RGB"


def keeps_alpha(suffix: str) -> str:
    picture = Picture(pixels=smooth(), alpha=smooth()[..., 0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = again(picture, suffix, lossless=True).alpha
    equal = made is not None and np.array_equal(made, picture.alpha)
    return "yes" if told(picture, suffix, equal) else "laid on white"


def keeps_profile(suffix: str) -> str:
    for gray in (False, True):
        icc = profile(b"GRAY" if gray else b"RGB ")
        picture = Picture(pixels=smooth(), gray=gray, display=Display(icc=icc))
        if not gray or keeps_gray(suffix) == "yes":
            assert again(picture, suffix).icc == icc
    return "yes"


def keeps_hdr(suffix: str) -> str:
    picture = Picture(pixels=smooth(), display=Display(cicp=(9, 16, 0, 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same = again(picture, suffix).display.cicp == (9, 16, 0, 1)
    return "yes" if told(picture, suffix, same) else "reported"


def keeps_resolution(suffix: str) -> str:
    for dpi in ((300.0, 300.0), (72.0, 144.0), None):
        made = again(Picture(pixels=smooth(), display=Display(dpi=dpi)), suffix).display
        assert made.dpi == (None if dpi is None else pytest.approx(dpi, abs=0.02))
    with_exif = Picture(pixels=smooth(), display=Display(dpi=(300, 300), exif=camera_exif()))
    assert again(with_exif, suffix).display.dpi == pytest.approx((300, 300), abs=0.01)
    plain = again(Picture(pixels=smooth(), display=Display(dpi=(300, 300))), suffix)
    return "in EXIF" if plain.display.exif else "yes"


def exif_values(data: bytes) -> dict[int, object]:
    exif = Image.Exif()
    exif.load(data)
    values = {tag: value for tag, value in exif.items() if tag not in (0x8769, 0x8825)}
    return values | {tag: dict(exif.get_ifd(tag)) for tag in (0x8769, 0x8825)}


def keeps_exif(suffix: str) -> str:
    given = camera_exif()
    picture = Picture(pixels=smooth(), display=Display(exif=given, dpi=(300, 300)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = encode_image(picture, suffix)
    with Image.open(io.BytesIO(data)) as image:
        seen = image.getexif()
        assert (seen[0x010F], seen[0x8298]) == ("Maker", "Someone")
        assert seen.get_ifd(0x8769)[0x927C] == b"NOTE\0\1\2\3"
        assert seen.get_ifd(0x8825)[2] == (47.0, 30.0, 12.5)
    kept = read_image(data).display.exif
    if kept == given:
        return "bit for bit"
    # What a TIFF says elsewhere, of its pixels, is not repeated.
    values = {tag: v for tag, v in exif_values(given).items() if not 0x0112 <= tag <= 0x0128}
    assert exif_values(kept) == values
    return "field by field"


def keeps_xmp(suffix: str) -> str:
    data = encode_image(Picture(pixels=smooth(), display=Display(xmp=XMP)), suffix)
    with Image.open(io.BytesIO(data)) as image:
        seen = image.info.get("xmp", image.info.get("XML:com.adobe.xmp"))
        assert (seen.encode() if isinstance(seen, str) else seen) == XMP
    assert read_image(data).display.xmp == XMP
    return "yes"


def keeps_iptc(suffix: str) -> str:
    picture = Picture(pixels=smooth(), display=Display(iptc=IPTC))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same = again(picture, suffix).display.iptc == IPTC
    return "yes" if told(picture, suffix, same) else "reported"


ROWS: dict[str, Callable[[str], str]] = {
    "exact pixels": keeps_pixels,
    "depth, of 16 bits": kept_depth,
    "gray": keeps_gray,
    "transparency": keeps_alpha,
    "colour profile": keeps_profile,
    "HDR and other code points (cICP)": keeps_hdr,
    "resolution": keeps_resolution,
    "EXIF": keeps_exif,
    "XMP": keeps_xmp,
    "IPTC": keeps_iptc,
}


def table() -> str:
    lines = ["| | " + " | ".join(FORMATS) + " |", "|---" * (len(FORMATS) + 1) + "|"]
    for name, measure in ROWS.items():
        cells = [measure(suffix) for suffix in FORMATS.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def test_the_table_of_the_documents_is_true():
    text = PAGE.read_text(encoding="utf-8")
    assert text.split(BEGIN)[1].split(END)[0] == table()


@pytest.mark.parametrize("suffix", FORMATS.values())
def test_all_at_once_with_transparency_and_without(suffix):
    """What is added to a file lies at the right places beside each other."""
    display = Display(
        icc=profile(), dpi=(300, 300), exif=camera_exif(), xmp=XMP, iptc=IPTC, cicp=(12, 13, 0, 1)
    )
    for alpha in (None, smooth()[..., 0]):
        picture = Picture(pixels=smooth(), alpha=alpha, display=display)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = encode_image(picture, suffix, lossless=True)
        made = read_image(data)
        assert (made.alpha is None) == (alpha is None or suffix == ".jpg")
        assert made.display.xmp == XMP
        assert exif_values(made.display.exif)[0x010F] == "Maker"
        with Image.open(io.BytesIO(data)) as image:
            assert image.getexif()[0x010F] == "Maker"
            off = np.abs(np.asarray(image.convert("RGB")).astype(int) - made.pixels)
            assert off.max() <= 2


@pytest.mark.parametrize("suffix", FORMATS.values())
def test_a_second_round_changes_nothing(suffix):
    display = Display(icc=profile(), dpi=(300, 300), exif=camera_exif(), xmp=XMP)
    first = again(Picture(pixels=smooth(), display=display), suffix)
    assert again(first, suffix).display == first.display


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.split(END)[1], encoding="utf-8")
    sys.stdout.write(f"wrote the table of {PAGE}\n")
