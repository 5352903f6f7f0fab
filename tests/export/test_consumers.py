"""The examples that run exported files elsewhere. Oracle: the network itself.

JavaScript needs Node and the packages of ``node/package.json``, which `make check` installs into
the environment's folder ``node``; ``ESCSR_NODE`` names another folder. C++ needs a compiler and
ONNX Runtime's headers, beside the compiler's own or in ``ESCSR_ONNXRUNTIME_INCLUDE``.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import escsr
from escsr.export import to_onnx

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "onnx"
PHOTO = ROOT / "tests" / "data" / "photo.png"


def photo(height: int, width: int) -> np.ndarray:
    return np.asarray(Image.open(PHOTO).convert("RGB"))[:height, :width]


def expected(pixels: np.ndarray, scale: int) -> np.ndarray:
    lq = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        return escsr.load("default")(lq, scale=scale).numpy()


def test_python(tmp_path: Path) -> None:
    to_onnx("default", tmp_path / "m.onnx", scale=2)
    Image.fromarray(photo(30, 41)).save(tmp_path / "in.png")
    command = [sys.executable, str(EXAMPLES / "upscale.py"), "m.onnx", "in.png", "out.png"]
    subprocess.run(command, cwd=tmp_path, check=True)
    found = np.asarray(Image.open(tmp_path / "out.png")).astype(float)
    wanted = expected(photo(30, 41), 2)[0].transpose(1, 2, 0).clip(0, 1) * 255
    assert np.abs(found - wanted).max() <= 0.51


@pytest.mark.parametrize("package", ["onnxruntime-node", "onnxruntime-web"])
def test_javascript(tmp_path: Path, package: str) -> None:
    folder = Path(os.environ.get("ESCSR_NODE") or Path(sys.prefix, "node"))
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    node = shutil.which("node", path=programs)
    if node is None or not Path(folder, "node_modules", package).is_dir():
        pytest.skip(f"needs Node, and {package} in {folder}: see the Makefile")
    to_onnx("default", tmp_path / "m.onnx", scale=3, target="web", image_size=(64, 96))
    pixels = photo(64, 96)
    rgba = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    (tmp_path / "in.rgba").write_bytes(rgba.tobytes())
    arguments = [package, tmp_path / "m.onnx", tmp_path / "in.rgba", "96", "64", tmp_path / "out"]
    subprocess.run([node, str(EXAMPLES / "run.mjs"), *map(str, arguments)], cwd=folder, check=True)
    found = np.fromfile(tmp_path / "out", dtype=np.float32).reshape(1, 3, 192, 288)
    np.testing.assert_allclose(found, expected(pixels, 3), rtol=0, atol=1e-4)


def test_cpp_compiles(tmp_path: Path) -> None:
    compiler = shutil.which("g++") or shutil.which("c++")
    folder = os.environ.get("ESCSR_ONNXRUNTIME_INCLUDE")
    places = [*([folder] if folder else []), "/usr/include/onnxruntime", "/usr/include"]
    headers = [p for p in places if Path(p, "onnxruntime_cxx_api.h").is_file()]
    if compiler is None or not headers:
        pytest.skip("needs a C++ compiler and the headers of ONNX Runtime")
    command = [compiler, "-std=c++17", "-Wall", "-Werror", "-fsyntax-only", f"-I{headers[0]}"]
    subprocess.run([*command, str(EXAMPLES / "upscale.cpp")], check=True, cwd=tmp_path)
