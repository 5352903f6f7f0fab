"""A folder of pictures by the program: broken ones, a kill in the middle, and the rest.

Oracle: the files that were laid out.
"""

import json
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import escsr
from escsr import checkpoints
from escsr.images import Picture, read_image, write_image
from tests.forking import run_python

ROOT = Path(__file__).parents[2]
BROKEN = ("p04.png", "sub/p17.png", "sub/deep/p33.png")

# The program, killed while it writes its tenth file.
KILLED = """
import os, signal, sys
import escsr.images
from escsr.files import replacing
written, write = [], escsr.images.write_image
def write_or_die(path, picture, **options):
    written.append(path)
    if len(written) == 10:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half a pic")
            os.kill(os.getpid(), signal.SIGKILL)
    write(path, picture, **options)
escsr.images.write_image = write_or_die
from escsr.cli.main import main
main()
"""


@pytest.fixture
def job(tmp_path: Path) -> tuple[Path, list[str]]:
    torch.manual_seed(0)
    model = escsr.build("esc_tiny", scale=2, backbone_args={"num_blocks": 1, "conv_blocks": 1})
    checkpoints.save(model, tmp_path / "two.safetensors", facts={"recipe": "none"})
    folder = tmp_path / "in"
    (folder / "sub/deep").mkdir(parents=True)
    for number in range(40):
        below = ("", "sub", "sub/deep")[number // 15]
        path = folder / below / f"p{number:02}.png"
        write_image(path, Picture(pixels=np.full((6, 8, 3), number, np.uint8)))
    for name in BROKEN:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
    job = ["upscale", str(folder), "-o", str(tmp_path / "out"), "-m"]
    return tmp_path, [*job, str(tmp_path / "two.safetensors"), "--skip-existing"]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_and_started_again(job: tuple[Path, list[str]]) -> None:
    folder, words = job
    out, report = folder / "out", folder / "results.json"
    done = run_python("-c", KILLED, *words, cwd=ROOT)
    assert done.returncode in (-signal.SIGKILL, 255)  # the latter of a fork
    made = [path for path in out.rglob("*.png") if not path.name.startswith(".")]
    assert len(made) == 9
    assert all(read_image(path).size == (12, 16) for path in made)
    times = {path: path.stat().st_mtime_ns for path in made}

    again = ["-c", "from escsr.cli.main import main; main()", *words, "--report", str(report)]
    again += ["--memory", "8GB", "--device", "cpu,cpu"]  # the rest is shared out
    done = run_python(*again, cwd=ROOT)
    assert done.returncode == 1
    assert "3 of 31 pictures could not be upscaled" in done.stderr
    assert all(done.stderr.count(Path(name).name) == 1 for name in BROKEN)
    assert times == {path: path.stat().st_mtime_ns for path in made}
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    sources = [p.relative_to(folder / "in").as_posix() for p in (folder / "in").rglob("*.png")]
    assert files == sorted(set(sources) - set(BROKEN))  # and no hidden half

    about = json.loads(report.read_text())
    assert about["counts"] == {"done": 28, "failed": 3, "skipped": 9, "not tried": 0}
    failed = [Path(one["source"]).name for one in about["files"] if one["status"] == "failed"]
    assert sorted(failed) == [Path(name).name for name in BROKEN]
    assert {one["new_width"] for one in about["files"] if one["status"] == "done"} == {16}
