"""Any text on any terminal. Oracle: the pictures and reports that must be there all the same."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from escsr.cli.console import make_console, make_progress
from escsr.cli.main import app
from escsr.images import Picture, write_image

ROOT = Path(__file__).resolve().parents[2]
ENCODINGS = ("cp1252", "ascii", "latin-1", "utf-8")
ODD_NAMES = ("[red]x[.png", "café.png", "画像→2×.png", "b.png")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    for name in ODD_NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / name, Picture(pixels=pixels))
    if sys.platform == "linux":  # other systems refuse such names
        os.rename(folder / "b.png", os.fsencode(folder) + b"/b\xe9.png")
    return folder


def stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


def written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode(stream.encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_console_prints_what_its_encoding_has(monkeypatch, encoding):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, stream(encoding))
    make_console().print("3×4 → [bold]画\udce9 – §", soft_wrap=True)
    expected = {
        "utf-8": "3×4 → [bold]画\\xe9 – §",
        "cp1252": "3×4 -> [bold]\\u753b\\xe9 – §",
        "latin-1": "3×4 -> [bold]\\u753b\\xe9 - §",
        "ascii": "3x4 -> [bold]\\u753b\\xe9 - \\xa7",
    }
    assert written(sys.stdout) == expected[encoding] + "\n"
    make_console(stderr=True).print("画", style="red")
    assert "753b" in written(sys.stderr) or encoding == "utf-8"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_progress_bars_on_a_terminal(monkeypatch, encoding):
    from rich.progress import BarColumn, SpinnerColumn, TextColumn

    terminal = stream(encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn())
    with make_progress(*columns) as bar:
        task = bar.add_task("画\udce9 [/x]", total=3)
        bar.update(task, completed=2)
        bar.console.print("beside it →")
    assert "beside it" in written(terminal)
    assert "[/x]" in written(terminal)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_name_ends_a_batch_or_loses_a_report(photos: Path, tmp_path: Path, encoding) -> None:
    runner = CliRunner(charset=encoding)
    out = [tmp_path / name for name in ("large", "small", "report")]
    commands = (
        ["upscale", photos, "-o", out[0], "-s", "0.5"],
        ["degrade", photos, "-o", out[1], "-s", "2", "--preset", "bicubic"],
        ["evaluate", "--data", photos, "--scale", "2", "-m", "bicubic", "-o", out[2]],
    )
    for command in commands:
        result = runner.invoke(app, [str(word) for word in command])
        assert result.exit_code == 0, (result.output, result.exception)
    count = len(ODD_NAMES)
    assert len(list(out[0].rglob("*.png"))) == len(list(out[1].rglob("*.png"))) == count
    assert json.loads((out[2] / "report.json").read_text(encoding="utf-8"))
    assert (out[2] / "report.html").is_file()


def test_help_and_errors_of_the_program(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from escsr.cli.main import main; main()"]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(ROOT)}
    for words, code in ((["upscale", "--help"], 0), (["info", str(tmp_path / "画→.pth")], 1)):
        done = subprocess.run([*program, *words], env=environment, capture_output=True, check=False)
        assert done.returncode == code
        assert b"Traceback" not in done.stderr
    assert b"error: there is no file" in done.stderr
    assert b"\\u753b->.pth" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no /bin/sh")
def test_a_reader_that_has_seen_enough_is_no_fault() -> None:
    command = f"{sys.executable} -c 'from escsr.cli.main import main; main()' list | head -n 1"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        command, shell=True, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "models:\n"
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr
