"""The work behind the other tabs: batches, degradations, the authors' networks.

Oracle: `escsr.upscale`, the zip module, `escsr degrade` for the same draws.
"""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import escsr
from escsr.app import networks
from escsr.app.choices import Order
from escsr.app.degrading import degrade_one, make_sheet
from escsr.app.desk import Desk
from escsr.app.folder import Folder
from escsr.app.jobs import Job
from escsr.app.limits import Limits
from escsr.app.many import Batch, upscale_batch
from escsr.app.sessions import Sessions
from escsr.app.words import RefusedError
from escsr.images import Picture, read_image, write_image
from escsr.inference import Cancelled
from tests.forking import run_python

PHOTO = Path(__file__).resolve().parents[1] / "data" / "photo.png"
ORDER = Order(model="default", size={"scale": 1.5})


@pytest.fixture
def desk():
    made = Desk(limits=Limits(jobs=1, files=5), sessions=Sessions(), folder=Folder())
    yield made
    made.close()


@pytest.fixture
def files(tmp_path):
    """Five files, one of them broken, two of one name."""
    rng = np.random.default_rng(0)
    paths = []
    for name in ("a/photo.png", "b/photo.png", "c/broken.png", "d/x.png", "e/PHOTO.png"):
        path = tmp_path / name
        path.parent.mkdir()
        pixels = rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)
        write_image(path, Picture(pixels=pixels))
        paths.append(path)
    paths[2].write_bytes(b"broken")
    return paths


def nothing(job):
    return None


def test_a_batch_with_one_broken_file_gives_the_others_and_one_message(desk, files):
    batch = upscale_batch(desk, "me", Batch.of(files, 5), ORDER, Job("me", nothing))
    assert [row.state for row in batch.rows] == ["done", "done", "failed", "done", "done"]
    assert batch.summary == "4 of 5 pictures are done, 1 failed."
    (said,) = (row.text for row in batch.rows if row.state == "failed")
    assert said.startswith("broken.png: ")
    with zipfile.ZipFile(batch.file) as archive:
        names = archive.namelist()
        assert names == [
            "photo_15x12.png",
            "photo_15x12 (2).png",
            "x_15x12.png",
            "PHOTO_15x12 (3).png",
        ]
        good = [path for path in files if path.parent.name != "c"]
        for name, path in zip(names, good, strict=True):
            made = read_image(io.BytesIO(archive.read(name))).pixels
            assert np.array_equal(made, escsr.upscale(path, scale=1.5).pixels)


def test_a_stopped_batch_keeps_what_is_done(desk, files):
    job = Job("me", nothing)
    batch = Batch.of(files[:2], 5)
    told = job.tell_part

    def stop_in_the_second(share):
        told(share)
        if batch.rows[1].state == "working":
            job.stop.set()

    job.tell_part = stop_in_the_second
    with pytest.raises(Cancelled):
        upscale_batch(desk, "me", batch, ORDER, job)
    assert [row.state for row in batch.rows] == ["done", "stopped"]
    with zipfile.ZipFile(batch.file) as archive:
        assert archive.namelist() == ["photo_15x12.png"]


def test_no_batch_without_files_or_with_too_many(desk, files):
    for given in ([], files * 2):
        with pytest.raises(RefusedError):
            Batch.of(given, 5)
    batch = upscale_batch(desk, "me", Batch.of(files[2:3], 5), ORDER, Job("me", nothing))
    assert batch.file is None


def test_degradations_are_those_of_the_command(desk, tmp_path):
    made = degrade_one(desk, "me", str(PHOTO), "real_light", 2.0, 7)
    options = ("--preset", "real_light", "--scale", "2", "--seed", "7")
    done = run_python("-m", "escsr", "degrade", PHOTO, "-o", tmp_path, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    picture, record = made.files
    expected = read_image(tmp_path / "photo.png").pixels
    assert np.array_equal(read_image(picture).pixels, expected)
    drawn, commanded = (
        json.loads(Path(path).read_text()) for path in (record, tmp_path / "photo.json")
    )
    assert drawn["steps"] == commanded["steps"]
    assert [read_image(view).size for view in made.view] == [(96, 112)] * 2
    sheet = make_sheet(desk, "me", str(PHOTO), "real_light", 2.0, 7, 2)
    assert read_image(sheet).size[1] == 2 * 268


@pytest.mark.parametrize(
    ("name", "scale", "seed"),
    [("none", 2, 0), ("real", 0.5, 0), ("real", 2, -1), ("real", 2, None)],
)
def test_impossible_degradations_are_refused(desk, name, scale, seed):
    with pytest.raises(ValueError, match=r"one of|at least 1|from 0"):
        degrade_one(desk, "me", str(PHOTO), name, scale, seed)


def test_networks_are_downloaded_only_when_asked(desk, monkeypatch, tmp_path):
    monkeypatch.setenv("ESCSR_CACHE", str(tmp_path))
    monkeypatch.setenv("ESCSR_OFFLINE", "1")
    assert not networks.is_here("esc_light_x2")
    assert networks.is_here("default")
    assert networks.about("esc_light_x2").startswith("about 2 MB from github.com")
    with pytest.raises(escsr.models.NotFetchedError):
        desk.sessions["esc_light_x2"]
    with pytest.raises(RefusedError, match="escsr fetch esc_light_x2") as caught:
        networks.bring("esc_light_x2", Job("me", nothing))
    assert str(tmp_path) not in str(caught.value)
