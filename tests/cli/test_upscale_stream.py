"""Pictures from and to pipes. Oracle: the same picture from file to file."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from escsr.cli.main import app
from escsr.images import Picture, read_image, write_image

PIXELS = np.random.default_rng(4).integers(0, 256, (12, 16, 3), np.uint8)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes have names in POSIX only")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    write_image(tmp_path / "in.png", Picture(pixels=PIXELS))
    return tmp_path / "in.png"


@pytest.fixture
def expected(photo: Path) -> np.ndarray:
    command(str(photo), "-o", str(photo.with_name("file.png")))
    return read_image(photo.with_name("file.png")).pixels


def command(*args: str) -> None:
    app(["upscale", *args, "--scale", "0.5"], standalone_mode=False)


def program(*args: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    code = "from escsr.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "upscale", *args, "--scale", "0.5"],
        input=given,
        capture_output=True,
        timeout=100,
        check=False,
    )


def test_standard_input_to_standard_output(photo, expected):
    done = program("-", "-o", "-", given=photo.read_bytes())
    assert done.returncode == 0, done.stderr
    assert done.stdout[:4] == b"\x89PNG"
    assert np.array_equal(read_image(done.stdout).pixels, expected)
    assert b"note:" in done.stderr


def test_a_named_format_and_a_file_as_standard_output(photo, tmp_path):
    with (tmp_path / "out").open("wb") as file:
        code = "from escsr.cli.main import main; main()"
        args = ["upscale", str(photo), "-o", "/dev/stdout", "--format", "webp", "-s", "0.5"]
        subprocess.run([sys.executable, "-c", code, *args], stdout=file, timeout=100, check=True)
    assert (tmp_path / "out").read_bytes()[8:12] == b"WEBP"


def test_named_pipes(photo, expected, tmp_path):
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    command(str(photo), "-o", str(pipe))
    reader.join(20)
    assert np.array_equal(read_image(got[0]).pixels, expected)
    writer = threading.Thread(target=pipe.write_bytes, args=(photo.read_bytes(),), daemon=True)
    writer.start()
    command(str(pipe), "-o", str(tmp_path / "from_pipe.png"))
    assert np.array_equal(read_image(tmp_path / "from_pipe.png").pixels, expected)


def test_what_does_not_go_into_a_pipe(photo, tmp_path):
    with pytest.raises(ValueError, match="one picture goes to standard output"):
        command(str(photo), str(photo), "-o", "-")
    with pytest.raises(ValueError, match="one picture goes to standard output"):
        command(str(tmp_path), "-o", "-")
    write_image(tmp_path / "wide.webp", Picture(pixels=np.zeros((1, 10000, 3), np.uint8)))
    with pytest.raises(ValueError, match="WebP holds sides of at most 16383"):
        app(["upscale", str(tmp_path / "wide.webp"), "-o", "-", "-s", "2"], standalone_mode=False)


def test_a_full_disk_is_told_before(photo, tmp_path, monkeypatch):
    import shutil

    import escsr.inference

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=0))
    monkeypatch.setattr(escsr.inference, "upscale", pytest.fail)
    with pytest.raises(OSError, match="disk is full"):
        command(str(photo), "-o", str(tmp_path / "out.png"))
