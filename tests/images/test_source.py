"""Pictures from bytes, file objects and pipes. Oracle: the same file by its path."""

import io
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from escsr.images import PictureSource, image_size, is_gray_file, read_image

PHOTO = Path(__file__).parents[1] / "data" / "photo.png"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".ppm"])
def test_bytes_and_file_objects(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.open(PHOTO).convert("RGB").save(path)
    expected = read_image(path).pixels
    data = path.read_bytes()
    with path.open("rb") as file, path.open("rb", buffering=0) as unbuffered:
        for source in (data, bytearray(data), io.BytesIO(data), file, unbuffered):
            assert np.array_equal(read_image(source).pixels, expected)
    assert image_size(data) == expected.shape[:2]
    source = PictureSource(io.BytesIO(data))
    assert image_size(source) == expected.shape[:2]  # and the contents are still there:
    assert np.array_equal(read_image(source).pixels, expected)
    assert not is_gray_file(data)


def test_gray_files(tmp_path):
    for suffix in (".png", ".jpg", ".pgm", ".bmp"):
        Image.open(PHOTO).convert("L").save(tmp_path / f"g{suffix}")
        assert is_gray_file(tmp_path / f"g{suffix}")


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in the file system")
def test_a_named_pipe_is_read_once(tmp_path):
    pipe = tmp_path / "p.png"
    os.mkfifo(pipe)
    thread = threading.Thread(target=lambda: pipe.write_bytes(PHOTO.read_bytes()), daemon=True)
    thread.start()
    assert np.array_equal(read_image(pipe).pixels, read_image(PHOTO).pixels)
    thread.join(10)


def test_what_is_no_source(tmp_path):
    with pytest.raises(ValueError, match="empty"):
        read_image(b"")
    with pytest.raises(ValueError, match="<bytes>"):
        read_image(b"no picture at all")
    with pytest.raises(TypeError, match="'rb'"):
        read_image(io.StringIO("text"))
    with pytest.raises(TypeError, match="list"):
        read_image([1, 2])
    with pytest.raises(IsADirectoryError):
        read_image(tmp_path)
