"""Which picture becomes which file. Oracle: the files laid out by hand in each test."""

from pathlib import Path

import pytest

from escsr.picture_files import PictureTask, Source, check_targets, find_pictures, plan_targets

WRITABLE = (".png", ".jpg", ".webp")


@pytest.fixture
def folder(tmp_path):
    for name in ("in/a.jpg", "in/b.gif", "in/sub/c.png", "in/.hidden.png", "in/notes.txt", "d.JPG"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_inputs_in_their_order(folder):
    found = find_pictures([folder / "d.JPG", folder / "in"])
    assert found == [
        Source(folder / "d.JPG", "d.JPG"),
        Source(folder / "in/a.jpg", "a.jpg"),
        Source(folder / "in/b.gif", "b.gif"),
        Source(folder / "in/sub/c.png", "sub/c.png"),
    ]


def test_missing_inputs_and_empty_folders(folder):
    with pytest.raises(FileNotFoundError, match=r"there is no picture .*nowhere"):
        find_pictures([folder / "in", folder / "nowhere"])
    (folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"there are no pictures in .*empty"):
        find_pictures([folder / "empty"])


def test_endings(folder):
    sources = find_pictures([folder / "in", folder / "d.JPG"])
    names = [task.target.name for task in plan_targets(sources, folder / "o", writable=WRITABLE)]
    assert names == ["a.jpg", "b.png", "c.png", "d.jpg"]
    tasks = plan_targets(sources, folder / "o", writable=WRITABLE, suffix=".webp")
    assert [task.target for task in tasks] == [folder / "o" / f"{n}.webp" for n in "abcd"]
    assert [task.name for task in tasks] == ["a.jpg", "b.gif", "sub/c.png", "d.JPG"]


def test_one_picture_into_a_file_or_a_folder(folder):
    one = find_pictures([folder / "in/a.jpg"])
    (task,) = plan_targets(one, folder / "x.PNG", writable=WRITABLE)
    assert task.target == folder / "x.PNG"
    (folder / "x.png").mkdir()  # an existing folder is one, whatever its name
    (task,) = plan_targets(one, folder / "x.png", writable=WRITABLE)
    assert task.target == folder / "x.png" / "a.jpg"
    with pytest.raises(ValueError, match=r"cannot write \.v2 files"):
        plan_targets(one, folder / "o.v2", writable=WRITABLE)
    (task,) = plan_targets(one, folder / "o.v2", writable=WRITABLE, dotted_folder=True)
    assert task.target == folder / "o.v2" / "a.jpg"


def test_outputs_that_cannot_be(folder):
    several = find_pictures([folder / "in"])
    with pytest.raises(ValueError, match="3 pictures cannot go into one file"):
        plan_targets(several, folder / "x.png", writable=WRITABLE)
    with pytest.raises(ValueError, match=r"notes.txt is a file and no picture"):
        plan_targets(several, folder / "in/notes.txt", writable=WRITABLE)


def test_targets_that_would_destroy_something(folder):
    with pytest.raises(ValueError, match="is itself an input"):
        plan_targets(find_pictures([folder / "in"]), folder / "in", writable=WRITABLE)
    one = find_pictures([folder / "in/a.jpg"])
    (folder / "o/a.jpg").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"a.jpg is a folder"):
        plan_targets(one, folder / "o", writable=WRITABLE)
    with pytest.raises(ValueError, match=r"the sheet and .*a.jpg would both be written"):
        plan_targets(
            one, folder / "p", writable=WRITABLE, reserved={folder / "p/a.jpg": "the sheet"}
        )
    tasks = [PictureTask(Path(f"{n}.png"), folder / "same.png", n) for n in "xy"]
    with pytest.raises(ValueError, match=r"x\.png and y\.png would both be written to .*same\.png"):
        check_targets(tasks)


def test_a_link_to_an_input_is_that_input(folder):
    (folder / "o").mkdir()
    try:
        (folder / "o/a.jpg").symlink_to(folder / "in/a.jpg")
    except OSError:
        pytest.skip("no symbolic links here")
    with pytest.raises(ValueError, match="is itself an input"):
        plan_targets(find_pictures([folder / "in/a.jpg"]), folder / "o", writable=WRITABLE)
