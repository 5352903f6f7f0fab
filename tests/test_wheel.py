"""The wheel holds the library, all of it and nothing else.

Oracle: the files of escsr/ in this tree, and the project's own statements in pyproject.toml.
"""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from escsr.images import image_size
from tests.forking import run_python

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    pytest.importorskip("hatchling", reason="the extra dev has it: pip install -e .[dev]")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_is_pure(wheel):
    assert wheel.name == f"escsr-{PROJECT['version']}-py3-none-any.whl"


def test_wheel_holds_the_package_and_its_recipes_and_nothing_else(wheel):
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "escsr").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    brought = ("examples/photo.jpg", "tests/data/photo.png")  # what the recipe smoke trains on
    recipes = [path.relative_to(ROOT).as_posix() for path in (ROOT / "recipes").iterdir()]
    expected |= {f"escsr/{name}" for name in (*brought, *recipes) if "__pycache__" not in name}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected
    assert "escsr/py.typed" in names
    weights = {name for name in names if name.endswith(".safetensors")}
    assert weights, "the wheel must bring the embedded models"
    assert {name.replace(".safetensors", ".md") for name in weights} <= names, "a card per model"


def test_wheel_says_what_the_project_says(wheel):
    with zipfile.ZipFile(wheel) as archive:
        info = f"escsr-{PROJECT['version']}.dist-info"
        metadata = archive.read(f"{info}/METADATA").decode()
        scripts = archive.read(f"{info}/entry_points.txt").decode()
        assert "Apache License" in archive.read(f"{info}/licenses/LICENSE").decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.11" in metadata
    assert "escsr = escsr.cli.main:main" in scripts


def test_wheel_works_without_a_checkout(wheel, tmp_path):
    """Unpacked in an empty folder: what it imports besides is this environment's."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = "import escsr; assert 'site' in escsr.__file__; from escsr.cli.main import main; main()"
    photo = tmp_path / "site" / "escsr" / "examples" / "photo.jpg"
    for words, printed in (
        (["list"], "classic_tiny"),
        (["train", "smoke", "--check"], "smoke.py is fine"),
        (["train", "classic_tiny", "*.roots=photos", "--check"], "no such folder: photos"),
        (["upscale", photo, "-o", "large.png", "--width", "400"], ""),
    ):
        done = run_python(
            *("-c", code, *words),
            cwd=tmp_path,
            environment={"PYTHONPATH": str(tmp_path / "site")},
        )
        assert printed in done.stdout + done.stderr
        assert done.returncode == (2 if "photos" in printed else 0), done.stderr
    assert image_size(tmp_path / "large.png") == (300, 400)
