"""Broken plug-ins in a real environment: named by `escsr list` and `doctor`, and harmless.

Oracle: the same commands without them.
"""

import json
from pathlib import Path

import pytest

import escsr
from escsr.heads import HEADS
from tests.plugins.packages import make_package, run_escsr, run_in_python

BACKBONE = '''
from torch import nn

from escsr.backbones import Backbone


class OneConv(Backbone):
    """One convolution."""

    out_channels = 8

    def __init__(self, *, kernel_size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, kernel_size, padding=kernel_size // 2)

    def forward(self, lq):
        return self.conv(lq)
'''


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    heads, backbones = "escsr.heads", "escsr.backbones"
    make_package(folder, "half-there", "import nowhere_at_all", {heads: {"lost": "half_there:H"}})
    make_package(folder, "taker", "def h(): ...", {heads: {"pixel_shuffle": "taker:h"}})
    make_package(folder, "leaver", "import sys; sys.exit(3)", {heads: {"gone": "leaver:H"}})
    make_package(folder, "number", "H = 3", {heads: {"three": "number:H"}})
    make_package(folder, "one-conv", BACKBONE, {backbones: {"one_conv": "one_conv:OneConv"}})
    return folder


@pytest.fixture(scope="module")
def said(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the commands print, all in one process to save its start."""
    code = (
        "from escsr.cli.main import app\n"
        "for command in (['list'], ['list', '--json'], ['doctor']):\n"
        "    app(command, standalone_mode=False); print('=====')\n"
    )
    done = run_in_python("-c", code, packages=packages, cwd=tmp_path_factory.mktemp("here"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # broken plug-ins are said once, in the lists
    return dict(zip(("list", "json", "doctor"), done.stdout.split("=====\n"), strict=False))


def test_list_names_them(said: dict[str, str]) -> None:
    for line in (
        "head lost of half-there 1.0: ModuleNotFoundError: No module named 'nowhere_at_all'",
        f"head pixel_shuffle of taker 1.0: the name 'pixel_shuffle' is already taken by "
        f"escsr {escsr.__version__}",
        "head gone of leaver 1.0: SystemExit: 3",
        "head three of number 1.0: it is a int, not a class or function",
    ):
        assert line in said["list"]
        assert line in said["doctor"]
    assert "[from one-conv 1.0] One convolution." in said["list"]
    assert "plug-in: backbone one_conv of one-conv 1.0" in said["doctor"]


def test_list_as_json(said: dict[str, str]) -> None:
    found = json.loads(said["json"])
    left_out = [plugin["name"] for plugin in found["plugins_left_out"]]
    assert left_out == ["lost", "gone", "three", "pixel_shuffle"]  # by the package's name
    (new,) = [part for part in found["backbones"] if part["package"] == "one-conv 1.0"]
    assert new["name"] == "one_conv"
    # Without the packages, the same but for what they brought.
    assert [part["name"] for part in found["heads"]] == list(HEADS)
    (plain,) = [part for part in found["heads"] if part["name"] == "pixel_shuffle"]
    assert plain["package"] == f"escsr {escsr.__version__}"
    assert plain["any_scale"] is False


def test_the_rest_works(packages: Path, tmp_path: Path) -> None:
    code = (
        "import escsr, torch; from escsr.testing import check_network\n"
        "model = escsr.build('one_conv', scale=2, backbone_args={'kernel_size': 5})\n"
        "check_network(model)\n"
        "try: escsr.build('esc_tiny', head='lost')\n"
        "except ValueError as error: print(error)\n"
    )
    done = run_in_python("-c", code, packages=packages, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the head 'lost' of half-there 1.0 was left out: ModuleNotFoundError" in done.stdout
    assert done.stderr.count("UserWarning: the head plug-in") == 4


@pytest.mark.skipif(HEADS.contract is None, reason="the registry of heads names no contract")
def test_a_class_that_is_no_head(tmp_path: Path) -> None:
    make_package(tmp_path, "no-head", "class H: ...", {"escsr.heads": {"none": "no_head:H"}})
    done = run_escsr("list", packages=tmp_path, cwd=tmp_path)
    reason = "the class H does not derive from escsr.heads.base.Head"
    assert f"head none of no-head 1.0: {reason}" in done.stdout
