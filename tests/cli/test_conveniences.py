"""What spares typing: -h, scales with an x, and lists that say what things are for.

Oracles: the scales as numbers, and the registries.
"""

import json
from pathlib import Path

import pytest
from typer import BadParameter
from typer.main import get_command
from typer.testing import CliRunner, Result

import escsr
from escsr.cli.main import app
from escsr.cli.scales import parse_scale, parse_whole_scale
from escsr.evaluation import OWN_METRICS
from escsr.images import read_image
from escsr.registry import Registry

PHOTO = Path(__file__).parents[1] / "data" / "photo.png"


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize("command", ["", *get_command(app).commands])
def test_short_help(command: str) -> None:
    done = run(*command.split(), "-h")
    assert done.exit_code == 0
    assert done.stdout == run(*command.split(), "--help").stdout
    assert "Usage:" in done.stdout


@pytest.mark.parametrize(
    ("text", "scale"),
    [("4", 4), ("4x", 4), ("x2.5", 2.5), ("×3", 3), ("1.5×", 1.5), (" 2X ", 2), (4.0, 4)],
)
def test_scales(text: str | float, scale: float) -> None:
    assert parse_scale(text) == scale
    if scale == int(scale):
        assert parse_whole_scale(text) == scale
    else:
        with pytest.raises(BadParameter, match="not a whole scale such as 2, 4 or 4x"):
            parse_whole_scale(text)


@pytest.mark.parametrize("text", ["", "x", "x4x", "4 3", "four", "2xx", "4:1"])
def test_no_scales(text: str) -> None:
    with pytest.raises(BadParameter, match="not a scale such as 4, 4x or 2.5"):
        parse_scale(text)


def test_every_command_takes_scales_with_an_x(tmp_path: Path) -> None:
    assert {
        name: parameter.metavar
        for name, command in get_command(app).commands.items()
        for parameter in command.params
        if "--scale" in parameter.opts
    } == {
        "upscale": "FACTOR",
        "evaluate": "FACTOR,...",
        "degrade": "FACTOR",
        "bench": "FACTOR",
        "export": "FACTOR",
    }
    large, small = tmp_path / "large.png", tmp_path / "small.png"
    height, width = read_image(PHOTO).size
    assert run("degrade", PHOTO, "-o", small, "-s", "4x", "--preset", "bicubic").exit_code == 0
    assert read_image(small).size == (height // 4, width // 4)
    assert run("upscale", small, "-o", large, "-s", "x1.5", "-m", "auto").exit_code == 0
    assert read_image(large).size == (round(height // 4 * 1.5), round(width // 4 * 1.5))
    done = run("upscale", small, "-o", large, "-s", "4:1")
    assert done.exit_code == 2
    assert "'4:1' is not a scale" in done.output
    done = run("evaluate", "--data", tmp_path, "-s", "2x,3y")
    assert "such as 4 or 2,3,4, not '2x,3y'" in str(done.exception)


def test_the_list_says_what_each_thing_is_for() -> None:
    found = json.loads(run("list", "--json").stdout)
    named = {
        kind: {entry["name"]: entry["about"] for entry in found[kind]}
        for kind in found
        if kind != "plugins_left_out"
    }
    assert set(named["metrics"]) == set(OWN_METRICS)
    assert set(named["models"]) == set(escsr.list_models())
    lines = run("list").stdout.splitlines()
    for kind, entries in named.items():
        for name, about in entries.items():
            assert len(about) > 20, f"{kind} {name}: {about!r}"
            assert " With " not in about
            assert any(line.startswith(f"  {name} ") and line.endswith(about) for line in lines)
    assert "clean photographs" in named["models"]["esc_tiny_x2"]


def test_a_registered_purpose_comes_before_the_docstring() -> None:
    things: Registry = Registry("thing", entry_point_group="escsr.no_such_group")

    @things.register("one", about="For what it does.")
    @things.register("two")
    class Thing:
        """What it is."""

    assert things.summary("one") == "For what it does."
    assert things.summary("two") == "What it is."
