"""Which picture becomes which file. Oracle: the files laid out by hand in each test."""

from pathlib import Path

import pytest

from escsr.picture_files import Source, find_pictures, list_images
from escsr.picture_targets import PictureTask, check_targets, plan_targets, split_existing

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
    names = ("a", "b", "sub/c", "d")  # the tree is kept
    assert [task.target for task in tasks] == [folder / "o" / f"{n}.webp" for n in names]
    assert [task.name for task in tasks] == ["a.jpg", "b.gif", "sub/c.png", "d.JPG"]


def test_one_picture_into_a_file_or_a_folder(folder):
    one = find_pictures([folder / "in/a.jpg"])
    (task,) = plan_targets(one, folder / "x.PNG", writable=WRITABLE)
    assert task.target == folder / "x.PNG"
    (folder / "x.png").mkdir()  # an existing folder is one, whatever its name
    (task,) = plan_targets(one, folder / "x.png", writable=WRITABLE)
    assert task.target == folder / "x.png" / "a.jpg"
    for name in ("res_v1.2", "res_v1.2/", "my.pictures", "new.png/", "new.xyz/", "plain"):
        (task,) = plan_targets(one, f"{folder}/{name}", writable=WRITABLE)
        assert task.target == folder / name / "a.jpg", name
    for name in ("o.gif", "o.jpgg", "o.heic"):
        with pytest.raises(ValueError, match=r"cannot write \.\w+ files; .* a folder"):
            plan_targets(one, folder / name, writable=WRITABLE)
    with pytest.raises(ValueError, match="not written to standard output"):
        plan_targets(one, "-", writable=WRITABLE)


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


def test_patterns(folder):
    def names(pattern):
        return [source.name for source in find_pictures([f"{folder}/{pattern}"])]

    assert names("in/*") == ["a.jpg", "b.gif", "sub/c.png"]  # sub is a folder that matches
    assert names("in/*.*") == ["a.jpg", "b.gif"]
    assert names("in/**/*.png") == ["sub/c.png"]
    assert names("**/[a-b].*") == ["in/a.jpg", "in/b.gif"]
    assert names("i?/s*") == ["in/sub/c.png"]
    assert names("in/*.txt") == ["notes.txt"]  # a kind of file that was named is taken
    with pytest.raises(FileNotFoundError, match="no picture matches"):
        names("in/*.webp")
    with pytest.raises(FileNotFoundError, match="no folder .*nowhere"):
        names("nowhere/*.webp")
    (folder / "[a].png").touch()  # a file that is there is no pattern
    assert names("[a].png") == ["[a].png"]


def test_several_folders_stay_apart(folder):
    sources = find_pictures([folder / "in/sub", folder / "in", folder / "d.JPG"])
    assert [s.name for s in sources] == [
        *("sub/c.png", "in/a.jpg", "in/b.gif", "in/sub/c.png", "d.JPG")
    ]
    targets = [t.target for t in plan_targets(sources, folder / "o", writable=WRITABLE)]
    assert len(set(targets)) == 5


def test_names_by_a_template(folder):
    sources = find_pictures([folder / "in"])
    template, fields = "{stem}_x{scale}_{type}{suffix}", {"scale": "2.5"}
    tasks = plan_targets(sources, folder / "o", writable=WRITABLE, template=template, fields=fields)
    wanted = ["a_x2.5_jpg.jpg", "b_x2.5_gif.png", "sub/c_x2.5_png.png"]
    assert [t.target.relative_to(folder / "o").as_posix() for t in tasks] == wanted
    for wrong, said in {
        "{steem}{suffix}": r"did you mean 'stem'\?",
        "{stem}_{width}{suffix}": "There are: scale, stem, suffix, type",
        "{stem": "cannot be read",
        "{}{suffix}": "names {}",
        "{stem.x}{suffix}": "names {stem.x}",
        "../{stem}{suffix}": "not a path",
        "{stem}.gif": "must end in",
    }.items():
        with pytest.raises(ValueError, match=said):
            plan_targets(sources, folder / "o", writable=WRITABLE, template=wrong, fields=fields)
    with pytest.raises(ValueError, match="both be written"):
        plan_targets(sources[:2], folder / "o", writable=WRITABLE, template="one.png")
    with pytest.raises(ValueError, match="is one file"):
        plan_targets(sources[:1], folder / "x.png", writable=WRITABLE, template="y{stem}.png")


def test_outputs_that_exist(folder):
    tasks = plan_targets(find_pictures([folder / "in"]), folder / "o", writable=WRITABLE)
    (folder / "o").mkdir()
    tasks[1].target.touch()
    assert split_existing(tasks, "overwrite") == (tasks, [tasks[1]])
    assert split_existing(tasks, "skip") == ([tasks[0], tasks[2]], [tasks[1]])
    with pytest.raises(ValueError, match=r"1 of 3 outputs exist, such as .*b\.png"):
        split_existing(tasks, "refuse")
    with pytest.raises(ValueError, match="overwrite, skip, refuse, not keep"):
        split_existing(tasks, "keep")


def test_links_are_followed_and_loops_cut(folder):
    (folder / "disk").mkdir()
    (folder / "disk/e.png").touch()
    try:
        (folder / "in/linked").symlink_to(folder / "disk")
        (folder / "disk/back").symlink_to(folder / "in")
        (folder / "in/self").symlink_to(folder / "in")
        (folder / "in/gone.png").symlink_to(folder / "lost.png")
    except OSError:
        pytest.skip("no symbolic links here")
    with pytest.warns(
        UserWarning, match=r"gone\.png is left out: .*lost\.png, which does not exist"
    ):
        found = list_images([folder / "in"])
    (folder / "in/gone.png").unlink()
    with pytest.warns(UserWarning, match=r"links to folders are followed: \S*in/linked$"):
        assert [source.path for source in find_pictures([folder / "in"])] == found
    names = [path.relative_to(folder / "in").as_posix() for path in found]
    assert names == ["a.jpg", "b.gif", "linked/e.png", "sub/c.png"]
    (folder / "gone.png").symlink_to(folder / "lost.png")
    with pytest.raises(FileNotFoundError, match=r"gone\.png: the link leads to .*lost\.png"):
        find_pictures([folder / "gone.png"])
