"""The table of published weights, and that nobody is contacted but for it.

Oracle: parameter counts that the authors' files have, and sockets that refuse.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

import escsr
from escsr.evaluation.paper import PAPER_ROWS
from escsr.models import published
from escsr.recipe import check, examine, load
from tests.forking import run_python
from tests.models.conftest import NAME

ROOT = Path(__file__).resolve().parents[2]
FLASHBIAS = 4 * (2 * 32**2 * 48 - 63**2)  # what factors of rank 48 have more than tables, per block
PARAMETERS = {
    "esc_div2k": (946_728, 955_383, 967_500),
    "esc_dflip": (946_728, 955_383, 967_500),
    "esc_light": (603_600, 612_255, 624_372),
    "esc_fp": (523_675, 530_170, 539_263),
    "esc_xl_df2k": (12_455_916, 12_481_851, 12_518_160),
    "escrib_dflip": (1_007_796, 1_016_451, 1_028_568),
}
OTHERS = {
    "esc_xl_df2k_x2_pt": 12_455_916,
    "esc_real_x4_gan": 2_265_307,
    "esc_real_x4_mse": 2_265_307,
    "esc_div2k_fb_r48_x2": 946_728 + 5 * FLASHBIAS,
    "esc_real_fb_r48_gan_x4": 2_265_307 + 10 * FLASHBIAS,
}


@pytest.mark.parametrize("name", published())
def test_entries_are_what_they_say(name):
    entry = published()[name]
    assert name == entry.name == entry.file.lower().removesuffix(".pth")
    assert entry.address.startswith("https://")
    assert entry.address.endswith(f"/{entry.file}")
    assert entry.page.startswith("https://")
    assert entry.scale == next((int(s) for s in "234" if f"_x{s}" in name), None)
    if entry.row is not None:
        assert PAPER_ROWS[entry.row].scale == (entry.scale or 4)
    with torch.device("meta"):
        model = escsr.build(
            entry.backbone, head=entry.head, scale=entry.scale, backbone_args=entry.backbone_args
        )
    count = sum(parameter.numel() for parameter in model.parameters())
    if name == "esc_lte":
        assert model.scale is None
        assert model.config.head == "lte"
    elif name in OTHERS:
        assert count == OTHERS[name]
    else:
        family, _, rest = name.partition("_x2" if "_x2" in name else f"_x{entry.scale}")
        assert count == PARAMETERS[family][entry.scale - 2]
        assert rest in ("", "_ft")


def test_hashes_that_a_second_source_recorded():
    known = {name: entry.sha256 for name, entry in published().items() if entry.sha256}
    assert known == {
        "esc_real_x4_gan": "d6932bd01e29c9335f5f678b0e9b31ede906a42244887ab8888b1d39a8667f2d",
        "esc_real_x4_mse": "ba22ae75b5f77382b1046e68634f58a53fc7ff5ffa46714133bfba30811ad943",
    }


def test_checks_of_recipes_download_nothing(server, publish):
    publish()
    recipe = replace(
        load(ROOT / "recipes" / "smoke.py"),
        model=partial(escsr.build, "esc_tiny", scale=4),
        start_from=NAME,
    )
    found = examine(recipe)
    assert not [problem for problem in found.problems if "start_from" in problem]
    assert any(f"start_from: {NAME} is downloaded when the run begins" in a for a in found.advice)
    part = partial(escsr.build, "esc_tiny", scale=4, weights=NAME)
    problems = check(replace(recipe, model=part, start_from=None))
    assert any("model: " in p and "checks download nothing" in p for p in problems)
    assert not server.requests

    escsr.models.fetch(NAME)
    assert not any("start_from" in line for line in examine(recipe).advice)
    smaller = replace(recipe, model=partial(escsr.build, "esc_tiny", scale=2))
    assert any("start_from: " in problem and "shape" in problem for problem in check(smaller))


NO_SOCKETS = """
import socket, sys
def refuse(*arguments, **keywords):
    raise AssertionError(f"somebody was to be contacted: {arguments}")
socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = socket.create_connection = refuse
from escsr.cli.main import main
for line in sys.argv[1:]:
    sys.argv = ["escsr", *line.split()]
    try:
        main()
    except SystemExit as end:
        if end.code:
            sys.exit(f"{line}: exit code {end.code}")
"""


@pytest.mark.slow
def test_other_commands_contact_nobody(tmp_path):
    for name in ("examples", "recipes", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    commands = [
        "upscale examples/photo.jpg -o a.png --max-side 200",
        "upscale examples/photo.jpg -o b.png --max-side 200 --model real",
        "list",
        "list --published",
        "info default",
        "info esc_xl_df2k_x2_pt",
        "doctor",
        "degrade tests/data/photo.png -o bad --preset bicubic --scale 4",
        "bench --backbone esc_tiny --size 16 --repeats 1",
        "evaluate --model default --data tests/data --scale 4 -o report",
        "train recipes/smoke.py steps=1 --out run",
        "train recipes/smoke.py --check",
    ]
    finished = run_python(
        "-c",
        NO_SOCKETS,
        *commands,
        cwd=tmp_path,
        environment={"ESCSR_CACHE": str(tmp_path / "cache")},
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert not (tmp_path / "cache").exists()

    tried = run_python(
        "-c", NO_SOCKETS, "fetch esc_lte", cwd=tmp_path, environment={"ESCSR_CACHE": str(tmp_path)}
    )
    assert "somebody was to be contacted" in tried.stderr  # the refusal is at work
