"""What strangers upload: broken, disguised and oversized files are refused by a sentence.

Oracle: the sentence, and that the pixels of what is taken are those of `read_image`.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from escsr.app.limits import Limits
from escsr.app.uploads import clean_name, read_upload
from escsr.app.words import RefusedError, explain
from escsr.images import Picture, encode_image, read_image

LIMITS = Limits(upload=1 << 20, pixels=1_000_000)
PHOTO = Path(__file__).resolve().parents[1] / "data" / "photo.png"


def bomb(width: int, height: int) -> bytes:
    """A PNG of one bit a pixel: small as a file, huge as a picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(height * (width // 8 + 1)), 9)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    return start + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


REFUSED = {
    "empty.png": (b"", "empty"),
    "long.png": (bytes((1 << 20) + 1), "the limit is"),
    "text.png": (b"hello", "not a picture"),
    "drawing.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    "declared.png": (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- --><svg/>", "SVG"),
    "page.png": (b"<!doctype html><script>alert(1)</script>", "HTML"),
    "paper.jpg": (b"%PDF-1.7", "PDF"),
    "bomb.png": (bomb(40000, 20000), "40000×20000"),
    "bomb.bmp": (b"BM" + bytes(16) + struct.pack("<ii", 60000, -60000) + bytes(40), "60000×60000"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_a_sentence(name, tmp_path):
    contents, said = REFUSED[name]
    path = tmp_path / name
    path.write_bytes(contents)
    with pytest.raises(RefusedError, match=said) as caught:
        read_upload(path, LIMITS)
    assert str(caught.value).startswith(f"{name}: ")
    assert str(tmp_path) not in explain(caught.value)


def test_damaged_pictures_are_named_without_their_folder(tmp_path):
    whole = PHOTO.read_bytes()
    for name, contents in {"cut.png": whole[:4000], "head.png": whole[:20]}.items():
        path = tmp_path / name
        path.write_bytes(contents)
        with pytest.raises(ValueError, match=name) as caught:
            read_upload(path, LIMITS)
        said = explain(caught.value, name)
        assert said.startswith(f"{name}: a damaged")
        assert str(tmp_path) not in said


def test_what_is_taken_is_what_the_file_holds(tmp_path):
    path = tmp_path / "deep.png"
    pixels = np.random.default_rng(0).integers(0, 65536, (9, 11, 3), dtype=np.uint16)
    path.write_bytes(encode_image(Picture(pixels=pixels), ".png"))
    upload = read_upload(path, LIMITS)
    assert np.array_equal(upload.picture.pixels, pixels)
    assert np.array_equal(read_upload(PHOTO, LIMITS).picture.pixels, read_image(PHOTO).pixels)


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.png", "a.png"),
        (".htaccess.png", "htaccess.png"),
        ("<script>.png", "script.png"),
        ("a\0b\n.png", "ab.png"),
        ("COM1.png", "picture-COM1.png"),
        ("Grüße 画 (1).jpg", "Grüße 画 (1).jpg"),
        ("...", "picture"),
        ("x" * 300 + ".png", "x" * 60 + ".png"),
    ],
)
def test_names_are_cleaned(given, cleaned):
    assert clean_name(given) == cleaned


def test_unforeseen_errors_show_no_path():
    assert "/secret" not in explain(RuntimeError("/secret/place"))
    assert "/secret" not in explain(PermissionError(13, "Permission denied", "/secret/place"))
