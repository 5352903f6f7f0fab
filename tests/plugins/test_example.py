"""examples/plugin_head, installed as its README says: found, used, and right by its own tests.

Oracles: `escsr list`, the sizes asked, and bilinear enlargement, which the head starts from.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.plugins.packages import ROOT, run_escsr, run_in_python

EXAMPLE = ROOT / "examples" / "plugin_head"
PHOTO = ROOT / "examples" / "photo.jpg"


def missing_tools() -> str | None:
    """Why the example cannot be built here, or None."""
    for name in ("pip", "setuptools"):
        if importlib.util.find_spec(name) is None:
            return f"there is no {name}; the extra dev has it: pip install -e .[dev]"
    if int(metadata.version("setuptools").partition(".")[0]) < 77:
        return "setuptools is older than 77; the extra dev has it: pip install -e .[dev]"
    return None


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the example is installed into."""
    if (reason := missing_tools()) is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("example")
    # From a copy: setuptools builds in the folder of the source.
    ours = shutil.ignore_patterns("build", "*.egg-info", "__pycache__", ".pytest_cache")
    shutil.copytree(EXAMPLE, folder / "source", ignore=ours)
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--target", folder / "installed")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *map(str, options), str(folder / "source")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "installed"


@pytest.fixture(scope="module")
def weights(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weight file of a network with the head."""
    folder = tmp_path_factory.mktemp("weights")
    code = (
        "import torch, escsr; from escsr import checkpoints; torch.manual_seed(0)\n"
        "small = {'num_blocks': 1, 'conv_blocks': 1}\n"
        "model = escsr.build('esc_tiny', head='point', backbone_args=small)\n"
        "checkpoints.save(model, 'point.safetensors')\n"
    )
    done = run_in_python("-c", code, packages=packages, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "point.safetensors"


def test_it_is_listed(packages: Path, tmp_path: Path) -> None:
    done = run_escsr("list", packages=packages, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("  point ")]
    assert "[any scale, from escsr-point-head 0.1.0] Any scale: every point is" in line


def test_it_upscales_a_photo(packages: Path, weights: Path, tmp_path: Path) -> None:
    options = ("--size", "500x333", "--model", weights, "--device", "cpu")
    done = run_escsr("upscale", PHOTO, "-o", "out.png", *options, packages=packages, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "320×240 → out.png 500×333" in done.stdout
    with Image.open(tmp_path / "out.png") as made, Image.open(PHOTO) as photo:
        assert made.size == (500, 333)
        plain = photo.resize(made.size, Image.Resampling.BILINEAR)
        difference = np.asarray(made, float) - np.asarray(plain, float)
    assert 0 < np.abs(difference).mean() < 2  # of 255; drawn weights are small but not zero


def test_without_it_its_files_say_what_is_missing(weights: Path, tmp_path: Path) -> None:
    done = run_escsr("info", weights, packages=tmp_path, cwd=tmp_path)
    assert done.returncode == 1
    assert "unknown head 'point'" in done.stderr


def test_its_own_tests_pass(packages: Path) -> None:
    done = run_in_python(
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        packages=packages,
        cwd=packages / "../source",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b[1-9]\d* passed", done.stdout)


def test_python_of_its_readme_runs(packages: Path, tmp_path: Path) -> None:
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", readme, flags=re.MULTILINE | re.DOTALL)
    done = run_in_python("-c", code, packages=packages, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
