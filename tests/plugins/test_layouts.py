"""A package teaches `escsr.load` another layout. Oracle: the network whose tensors were renamed."""

from pathlib import Path

import pytest

from tests.plugins.packages import make_package, run_in_python

LAYOUT = """
from escsr import ModelConfig
from escsr.checkpoints import Layout, Translation

CONFIG = ModelConfig(
    backbone="esc_tiny", head="pixel_shuffle", backbone_args={"num_blocks": 1},
    head_args={"scale": 2},
)

LONG = {"b": "backbone", "h": "head"}


def translate(tensors, settings):
    return Translation(config=CONFIG, names={n: LONG[n[0]] + n[1:] for n in tensors})


def layout():
    return Layout(
        networks="renamed networks",
        detect=lambda tensors: all(name.startswith(("b.", "h.")) for name in tensors),
        translate=translate,
    )


def greedy():
    return Layout(networks="any", detect=lambda tensors: True, translate=translate)
"""

OPEN = """
import sys, escsr, torch
model = escsr.build("esc_tiny", scale=2, backbone_args={"num_blocks": 1}).eval()
short = {"backbone": "b", "head": "h"}
torch.save(
    {short[n.split(".")[0]] + n[n.index("."):]: t for n, t in model.state_dict().items()},
    "renamed.pth",
)
try:
    other = escsr.load("renamed.pth")
except ValueError as error:
    sys.exit(str(error))
lq = torch.rand(1, 3, 9, 11)
with torch.no_grad():
    assert torch.equal(other(lq), model(lq))
print(other.config.backbone, other.facts["layout"])
"""


@pytest.mark.parametrize(
    ("points", "printed", "error"),
    [
        ({}, "", "neither 'plk_filter' nor 'lk_channel'.*ESC-RealM"),
        ({"mine": "lay:layout"}, "esc_tiny published mine (bare)", ""),
        (
            {"mine": "lay:layout", "all": "lay:greedy"},
            "",
            "several published layouts at once: 'all' of lay 1.0, 'mine' of lay 1.0",
        ),
    ],
)
def test_a_layout_of_another_package(
    points: dict, printed: str, error: str, tmp_path: Path
) -> None:
    make_package(tmp_path, "lay", LAYOUT, {"escsr.layouts": points})
    done = run_in_python("-c", OPEN, packages=tmp_path, cwd=tmp_path)
    assert done.stdout.strip() == printed, done.stderr
    assert (done.returncode == 0) == (not error)
    for part in error.split(".*"):
        assert part in done.stderr
