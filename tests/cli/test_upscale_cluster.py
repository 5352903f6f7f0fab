"""Many pictures on a local Ray cluster of two workers. Oracle: the files that were laid out."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import escsr
from escsr.cli.main import app
from escsr.images import Picture, image_size, read_image, write_image

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]

BROKEN = ("p04.png", "sub/p17.png", "sub/p33.png")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    # By default workers are nice, and wait for all else that goes on.
    os.environ.setdefault("RAY_worker_niceness", "0")
    ray.init(num_cpus=4, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in/sub").mkdir(parents=True)
    for number in range(40):
        path = tmp_path / "in" / ("" if number < 10 else "sub") / f"p{number:02}.png"
        write_image(path, Picture(pixels=np.full((6, 8, 3), 5 * number, np.uint8)))
    for name in BROKEN:
        whole = (tmp_path / "in" / name).read_bytes()
        (tmp_path / "in" / name).write_bytes(whole[: len(whole) // 2])
    return tmp_path


def run(folder: Path, source: str, output: str, *words: str) -> tuple[int, str]:
    words = ("--engine", "ray", "--workers", "2", "--skip-existing", "--scale", "2", *words)
    words = (*words, "-m", "esc_tiny_x2", "--device", "cpu", "--report", f"{folder}/r.json")
    result = CliRunner().invoke(app, ["upscale", source, "-o", output, *words])
    return result.exit_code, str(result.exception or result.output)


def test_the_rest_is_made_and_failures_are_named(folder: Path) -> None:
    out = folder / "out"
    (out / "sub").mkdir(parents=True)
    (out / "sub/p20.png").write_bytes(b"of an earlier run")
    code, said = run(folder, str(folder / "in"), str(out))
    assert code == 1
    assert "3 of 39 pictures could not be upscaled" in said
    assert all(said.count(name) == 1 for name in BROKEN)
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))
    sources = [p.relative_to(folder / "in").as_posix() for p in (folder / "in").rglob("*.png")]
    assert names == sorted(set(sources) - set(BROKEN))
    assert (out / "sub/p20.png").read_bytes() == b"of an earlier run"
    expected = escsr.upscale(folder / "in/p03.png", scale=2, model="esc_tiny_x2")
    assert np.array_equal(read_image(out / "p03.png").pixels, expected.pixels)
    counts = json.loads((folder / "r.json").read_text())["counts"]
    assert counts == {"done": 36, "failed": 3, "skipped": 1, "not tried": 0}


def test_files_by_uri(folder: Path) -> None:
    for name in BROKEN:
        (folder / "in" / name).unlink()
    for path in sorted((folder / "in").rglob("*.png"))[3:]:
        path.unlink()
    uris = (f"file://{folder}/in", f"file://{folder}/by_uri", "--format", "webp")
    assert run(folder, *uris)[0] == 0
    made = sorted((folder / "by_uri").rglob("*.*"))
    assert [path.suffix for path in made] == [".webp"] * 3
    assert {image_size(path) for path in made} == {(12, 16)}
    assert run(folder, *uris)[0] == 0
    counts = json.loads((folder / "r.json").read_text())["counts"]
    assert counts == {"done": 0, "failed": 0, "skipped": 3, "not tried": 0}
