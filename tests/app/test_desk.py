"""What the page does, without the page.

Oracle: `escsr.upscale` and `write_image`, byte for byte; plain crops.
"""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

import escsr
from escsr.app.choices import SAME, Order, size_arguments
from escsr.app.desk import Desk
from escsr.app.folder import Folder
from escsr.app.jobs import Job, Jobs
from escsr.app.limits import Limits
from escsr.app.pictures import Region
from escsr.app.sessions import Sessions
from escsr.app.words import RefusedError
from escsr.images import Picture, read_image, write_image
from escsr.inference import Cancelled

PHOTO = Path(__file__).resolve().parents[1] / "data" / "photo.png"


@pytest.fixture
def desk():
    made = Desk(limits=Limits(jobs=1, waiting=2), sessions=Sessions(), folder=Folder())
    yield made
    made.close()
    assert not made.folder.path.exists()


def order(**options):
    return Order(**{"model": "default", "size": {"scale": 1.5}, **options})


@pytest.mark.parametrize(
    ("options", "name"),
    [({}, "photo_168x144.png"), ({"type": "JPEG", "quality": 70}, "photo_168x144.jpg")],
)
def test_the_file_is_that_of_the_library(desk, tmp_path, options, name):
    made = desk.whole("me", str(PHOTO), order(**options), Job("me", lambda job: None))
    expected = tmp_path / name
    write_image(expected, escsr.upscale(PHOTO, scale=1.5), quality=options.get("quality", 95))
    assert made.file.name == name
    assert made.file.read_bytes() == expected.read_bytes()
    assert "112×96 → 168×144" in made.report
    assert [read_image(view).size for view in made.view] == [(144, 168)] * 2


def test_preview_shows_the_part_that_was_asked(desk):
    """With the library's resizing for the network, the crop is where it should be."""
    view, notes = desk.preview("me", str(PHOTO), order(size={"scale": 2.0}), 100, 0, 100)
    before, after = (read_image(file).pixels.astype(int) for file in view)
    assert before.shape == after.shape == (192, 224, 3)  # smaller than a crop: all of it
    assert np.abs(before - after).mean() < 12
    plain = escsr.resize.imresize(read_image(PHOTO).pixels, size=(192, 224))
    assert np.array_equal(before, plain)
    zoomed, _ = desk.preview("me", str(PHOTO), order(size={"scale": 2.0}), 100, 0, 200)
    middle = read_image(view[1]).pixels[48:144, 56:168]
    assert np.array_equal(read_image(zoomed[1]).pixels, middle.repeat(2, 0).repeat(2, 1))
    assert notes == ()


def test_regions_stay_inside():
    assert Region.around((1000, 2000), 0, 1) == Region(top=840, left=0, height=160, width=160)
    assert Region.around((1000, 100), 1, 0.5) == Region(top=420, left=0, height=160, width=100)


def test_results_beyond_the_limit_are_refused_before_any_work(desk, tmp_path):
    small = Desk(limits=Limits(made=50_000), sessions=desk.sessions, folder=desk.folder)
    with pytest.raises(RefusedError, match=r"448×384.*such as ×2"):
        small.whole("me", str(PHOTO), order(size={"scale": 4.0}), Job("me", lambda job: None))
    write_image(tmp_path / "wide.png", Picture(pixels=np.zeros((2, 2500, 3), np.uint8)))
    with pytest.raises(ValueError, match=r"WebP holds sides of at most 16383"):
        desk.plan(desk.uploads.read(tmp_path / "wide.png"), order(type="WebP", size={"scale": 8.0}))


def test_too_little_memory_is_told(desk):
    from escsr.app.words import explain

    poor = Desk(limits=desk.limits, sessions=Sessions(memory="1MB"), folder=desk.folder)
    with pytest.raises(MemoryError) as caught:
        poor.whole("me", str(PHOTO), order(), Job("me", lambda job: None))
    assert "Choose a smaller size" in explain(caught.value)


@pytest.mark.parametrize(
    ("how", "given", "wanted"),
    [
        ("Scale", (3.5, None, None), {"scale": 3.5}),
        ("Width", (None, 800, None), {"width": 800}),
        ("Width × height", (None, 800, 600.0), {"size": (600, 800)}),
        ("4K", (None, None, None), {"max_side": 3840}),
    ],
)
def test_sizes(how, given, wanted):
    assert size_arguments(how, *given) == wanted


@pytest.mark.parametrize(
    ("how", "given"),
    [
        ("Scale", (9, None, None)),
        ("Width", (2, None, 5)),
        ("Height", (2, 5, 0.5)),
        ("x", (2, 1, 1)),
    ],
)
def test_impossible_sizes_are_refused(how, given):
    with pytest.raises(RefusedError):
        size_arguments(how, *given)


def test_wrong_orders_are_refused():
    with pytest.raises(RefusedError, match=SAME):
        order(type="GIF")
    with pytest.raises(ValueError, match="quality"):
        order(quality=0)


def test_stopping_ends_a_job_between_layers_and_one_that_waits_at_once(desk):
    began = threading.Event()

    def endless(job):
        began.set()
        while not job.stop.wait(0.01):
            pass
        raise Cancelled

    working = desk.jobs.submit("me", endless)
    waiting = desk.jobs.submit("me", endless)
    other = desk.jobs.submit("you", lambda job: 7)
    began.wait(30)
    assert (desk.jobs.ahead(waiting), desk.jobs.ahead(other)) == (1, 2)
    assert "2 pictures are before yours" in other.line(2)
    with pytest.raises(RefusedError, match="waiting"):
        desk.jobs.submit("you", endless)
    assert desk.jobs.stop("me") == 2
    assert waiting.is_over
    until(lambda: working.is_over and other.is_over)
    assert (working.state, waiting.state, other.state) == ("stopped", "stopped", "done")
    assert other.result == 7


def test_a_stopped_picture_leaves_no_file(desk):
    job = desk.jobs.submit("me", lambda job: desk.whole("me", str(PHOTO), order(), job))
    desk.jobs.stop("me")
    until(lambda: job.is_over)
    assert (job.state, job.result) == ("stopped", None)


def test_errors_are_kept_for_the_page():
    jobs = Jobs(Limits(jobs=1))
    job = jobs.submit("me", lambda job: 1 // 0)
    until(lambda: job.is_over)
    assert isinstance(job.error, ZeroDivisionError)
    jobs.close()


def test_files_go_with_their_last_owner():
    folder = Folder()
    upload = folder.path / "abc" / "photo.png"
    upload.parent.mkdir()
    upload.write_bytes(b"x")
    folder.uses("me", upload)
    folder.uses("you", upload)
    mine = folder.new("me")
    folder.drop("me")
    assert upload.exists()
    assert not mine.exists()
    folder.drop("you")
    assert not upload.exists()
    folder.uses("me", PHOTO)  # no file of the folder: never removed
    folder.drop("me")
    assert PHOTO.exists()
    folder.close()


def test_folders_of_killed_apps_are_removed(monkeypatch, tmp_path):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    abandoned = tmp_path / "escsr-app-abc"
    (abandoned / "inner").mkdir(parents=True)
    first = Folder()
    assert not abandoned.exists()
    second = Folder()
    assert first.path.exists()  # its lock is held
    first.close()
    second.close()
    assert not list(tmp_path.iterdir())


def until(done, seconds=60):
    """Wait for something that other threads do."""
    for _ in range(100 * seconds):
        if done():
            return
        time.sleep(0.01)
    pytest.fail("it never happened")


def test_a_large_upload_is_planned_within_the_memory(desk, tmp_path):
    """30 megapixels are taken; the work fits into the bound, and is refused beyond the limit."""
    import psutil

    left = 1 << 30
    bound = psutil.Process().memory_info().rss + left
    write_image(tmp_path / "large.png", Picture(pixels=np.zeros((5000, 6000, 3), np.uint8)))
    bounded = Desk(limits=desk.limits, sessions=Sessions(memory=f"{bound}B"), folder=desk.folder)
    upload = bounded.uploads.read(tmp_path / "large.png")
    _, plan = bounded.plan(upload, order())
    assert plan.size == (7500, 9000)
    assert plan.memory <= left
    with pytest.raises(RefusedError, match="480 megapixels"):
        bounded.plan(upload, order(size={"scale": 4.0}))
