"""``escsr upscale`` with a bound on memory. Oracle: the same without one."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import escsr
from escsr.cli.main import app
from escsr.images import Picture, read_image, write_image

PHOTO = Path(__file__).parents[2] / "examples" / "photo.jpg"


def test_a_plan_is_printed_and_nothing_done(tmp_path):
    target = tmp_path / "large.png"
    found = CliRunner().invoke(
        app, ["upscale", str(PHOTO), "-o", str(target), "--scale", "2", "--plan"]
    )
    assert found.exit_code == 0, found.output
    assert "320×240 → 640×480 pixels; the whole picture at once" in found.output
    assert "GiB of memory" in found.output
    assert not target.exists()


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [("--memory", "lots", "an amount of memory"), ("--tiles", "big", "exact, fast")],
)
def test_impossible_options_are_refused(tmp_path, option, value, complaint):
    found = CliRunner().invoke(
        app, ["upscale", str(PHOTO), "-o", str(tmp_path / "a.png"), option, value]
    )
    assert found.exit_code != 0
    assert complaint in str(found.exception) + found.output


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peaks are measured on Linux")
def test_a_bound_on_memory_is_kept(tmp_path):
    """What the kernel saw the process take; the picture alone would need more than that.

    Not `ru_maxrss`: a child inherits that of the process it was forked from.
    """
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 256, (120, 150, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    write_image(source, Picture(pixels=pixels))
    assert escsr.Upscaler().plan((960, 1200), scale=2).memory > 1.1e9
    program = f"""
import re, sys
from escsr.cli.main import app
app(["upscale", {str(source)!r}, "-o", {str(target)!r}, "--scale", "2", "--memory", "1.1GB"],
    standalone_mode=False)
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(run.stdout.split()[-1]) * 1024 < 1.1 * 1.1e9
    made = read_image(target).pixels.astype(int)
    wanted = escsr.upscale(pixels, scale=2).astype(int)
    assert np.abs(made - wanted).max() <= 1


@pytest.mark.parametrize("scale", ["2", "0.5"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_pictures_go_from_file_to_file(tmp_path, monkeypatch, scale, suffix):
    """All that is large goes by files; here everything is."""
    monkeypatch.setenv("ESCSR_SPOOL", str(tmp_path))
    arguments = ["upscale", str(PHOTO), "--scale", scale, "-o"]
    in_memory, by_files = tmp_path / f"memory{suffix}", tmp_path / f"files{suffix}"
    found = CliRunner().invoke(app, [*arguments, str(in_memory)])
    assert found.exit_code == 0, found.output
    monkeypatch.setattr("escsr.cli.upscale_files._SHARE_OF_PICTURES", 0)
    found = CliRunner().invoke(app, [*arguments, str(by_files)])
    assert found.exit_code == 0, found.output
    made, wanted = read_image(by_files), read_image(in_memory)
    assert np.abs(made.pixels.astype(int) - wanted.pixels).max() <= 1
    assert made.display == wanted.display
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([in_memory.name, by_files.name])
