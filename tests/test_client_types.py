"""What type checkers of users see. Oracle: mypy --strict on a client program, with no Any in it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

CLIENT = """
import io
import threading
from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

import escsr
from escsr.images import Picture, read_image, write_image
from escsr.inference import Plan


def client(
    array: NDArray[np.uint8], deep: NDArray[np.float32], tensor: Tensor, image: Image
) -> None:
    up = escsr.Upscaler("default", device="cpu", precision="fp32", memory="2GB")
    assert_type(up("photo.jpg", scale=2), Picture)
    assert_type(up(Path("photo.jpg"), width=3840), Picture)
    assert_type(up(array, size=(10, 20)), NDArray[np.uint8])
    assert_type(up(deep, max_side=100), NDArray[np.float32])
    assert_type(up(tensor, cancel=threading.Event()), Tensor)
    assert_type(up(image, notify=print), Image)
    assert_type(up(b"...", progress=print), bytes)
    with open("photo.jpg", "rb") as file:
        assert_type(up(file), io.BytesIO)
    assert_type(escsr.upscale(array, scale=3, model="real"), NDArray[np.uint8])
    assert_type(escsr.upscale("photo.jpg", model=escsr.load("default")), Picture)
    plan = up.plan((100, 200), scale=4)
    assert_type(plan, Plan)
    assert_type(plan.memory, int)
    assert_type(plan.seconds, float | None)
    model = escsr.build("esc_light", head="liif")
    assert_type(model, escsr.SuperResolver)
    assert_type(model(tensor, scale=2.5), Tensor)
    assert_type(model.render(model.encode(tensor), scale=2.5, rows=(0, 4)), Tensor)
    write_image("out.png", read_image("in.png"))
"""


def test_a_client_passes_strict_type_checks_without_any(tmp_path: Path) -> None:
    (tmp_path / "client.py").write_text(CLIENT)
    options = ["--strict", "--disallow-any-expr", "--follow-imports=silent", "--no-error-summary"]
    run = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "--cache-dir", str(tmp_path / "c"), "client.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
