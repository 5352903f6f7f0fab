"""``escsr degrade``, as a user calls it. Oracles: the library, file contents, exit codes."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from escsr.cli.main import app
from escsr.degradations import Draw, degrade
from escsr.degradations.sheet import contact_sheet
from escsr.images import Picture, read_image, write_image
from tests.degradations.conftest import pictures


def run(*args):
    result = CliRunner().invoke(app, ["degrade", *map(str, args)])
    return result.exit_code, result.output + (str(result.exception) if result.exception else "")


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.webp", "deep/c.png")):
        image = pictures(1, 50 + number, 71, seed=number)[0]
        pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        write_image(folder / name, Picture(pixels=pixels), lossless=True)
    return folder


def test_a_folder(photos, tmp_path):
    out = tmp_path / "out"
    code, said = run(photos, "-o", out, "--preset", "real_light", "--seed", 3)
    assert code == 0, said
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    assert names == ["a.json", "a.png", "b.json", "b.png", "deep/c.json", "deep/c.png"]
    for name, height in (("a", 48), ("b", 48), ("deep/c", 52)):
        lq = read_image(out / f"{name}.png").pixels
        assert lq.shape == (height // 4, 17, 3)
        draw = Draw.from_json((out / f"{name}.json").read_text())
        assert draw.size == (height, 68)  # cut to multiples of 4
        assert draw.lq_size == lq.shape[:2]
    # Oracle: the library on the picture that was given.
    gt = read_image(photos / "a.png").pixels[:48, :68]
    image = torch.from_numpy(gt / np.float32(255)).permute(2, 0, 1)[None]
    draw = Draw.from_json((out / "a.json").read_text())
    expected = (degrade(image, [draw])[0] * 255).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(read_image(out / "a.png").pixels, expected)


def test_a_file_does_not_depend_on_its_neighbours(photos, tmp_path):
    assert run(photos, "-o", tmp_path / "all")[0] == 0
    assert run(photos / "b.webp", "-o", tmp_path / "one.png")[0] == 0
    assert run(photos / "b.webp", "-o", tmp_path / "other.png", "--seed", 1)[0] == 0
    same = (tmp_path / "all" / "b.png").read_bytes()
    assert (tmp_path / "one.png").read_bytes() == same
    assert (tmp_path / "other.png").read_bytes() != same


def test_replay(photos, tmp_path):
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    assert run(photos / "a.png", "-o", first, "--scale", 2.5)[0] == 0
    assert read_image(first).size == (20, 28)
    code, said = run(photos / "a.png", "-o", again, "--replay", tmp_path / "first.json")
    assert code == 0, said
    assert first.read_bytes() == again.read_bytes()
    one, two = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("first", "again"))
    assert one["steps"] == two["steps"]
    assert one["about"]["preset"] == "real"


def test_sheet(photos, tmp_path):
    out = tmp_path / "out"
    code, said = run(photos, "-o", out, "--sheet", 5, "--scale", 2)
    assert code == 0, said
    assert "5 draws" in said
    sheet = read_image(out / "sheet.png").pixels
    assert sheet.shape[1] == 4 * (256 + 12)
    assert sheet[:250, :250].std() > 10  # a picture in the first cell
    assert (sheet[-200:, 600:] == 255).all()  # and none in the last but three


def test_cells_hold_the_pictures():
    """Oracle: whole enlargement, and the middle of what is too large."""
    small = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    large = np.arange(40 * 50 * 3, dtype=np.uint32).reshape(40, 50, 3).astype(np.uint8)
    sheet = contact_sheet([small, large], ["a", "b"], cell=32, columns=2)
    assert np.array_equal(sheet[6:38, 6:38], small.repeat(16, 0).repeat(16, 1))
    assert np.array_equal(sheet[6:38, 50:82], large[4:36, 9:41])
    assert (sheet[38:, :44] < 255).any()  # a caption


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("{p}/none.png", "-o", "{t}/out"), "there is no picture"),
        (("{p}/a.png", "-o", "{t}/x.jpg"), "ends in .png"),
        (("{p}", "-o", "{t}/x.png"), "give -o a folder"),
        (("{p}/a.png", "-o", "{p}/a.png"), "is itself an input"),
        (("{p}/a.png", "{p}/a.png", "-o", "{t}/out"), "would both be written"),
        (("{p}/a.png", "-o", "{t}/out", "--scale", "0.5"), "at least 1"),
        (("{p}/a.png", "-o", "{t}/out", "--seed", "-1"), "--seed"),
        (("{p}/a.png", "-o", "{t}/out", "--sheet", "0"), "--sheet"),
        (("{p}/a.png", "-o", "{t}/out", "--preset", "rael"), "Did you mean 'real'"),
        (("{p}/a.png", "-o", "{t}/out", "--replay", "{t}/no.json"), "there is no file"),
        (("{p}/a.png", "-o", "{t}/out", "--replay", "{p}/a.png"), "a.png"),
        (("{p}/a.png", "-o", "{t}/out", "--replay", "x", "--sheet", "3"), "one of them"),
    ],
)
def test_errors_leave_nothing(args, message, photos, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    code, said = run(*(arg.format(p=photos, t=tmp_path) for arg in args))
    assert code != 0
    assert message in said
    assert sorted(tmp_path.rglob("*")) == before


def test_broken_pictures_are_named_and_the_others_made(photos, tmp_path):
    (photos / "d.png").write_bytes((photos / "a.png").read_bytes()[:80])
    code, said = run(photos, "-o", tmp_path / "out")
    assert code != 0
    assert "d.png" in said
    assert "1 of 4" in said
    assert sorted(path.stem for path in (tmp_path / "out").rglob("*.png")) == ["a", "b", "c"]


def test_sheet_of_those_that_could_be_read(photos, tmp_path):
    (photos / "d.png").write_bytes(b"no picture")
    code, said = run(photos, "-o", tmp_path / "out", "--sheet", 4)
    assert code != 0
    assert "1 of 4 pictures could not be degraded" in said
    assert read_image(tmp_path / "out" / "sheet.png").pixels.shape[1] == 4 * (256 + 12)


def test_folders_may_have_dots(photos, tmp_path):
    assert run(photos / "a.png", "-o", tmp_path / "lq_v1.5")[0] == 0
    assert (tmp_path / "lq_v1.5" / "a.png").is_file()


def test_a_json_of_somebody_else_is_not_overwritten(photos, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.json").write_text('{"label": "cat"}')
    code, said = run(photos / "a.png", "-o", tmp_path / "out")
    assert code != 0
    assert "a.json would be overwritten" in said
    assert (tmp_path / "out" / "a.json").read_text() == '{"label": "cat"}'
    assert run(photos / "b.webp", "-o", tmp_path / "out")[0] == 0
    assert run(photos / "b.webp", "-o", tmp_path / "out")[0] == 0  # a record of ours is


def test_what_replaying_leaves_out_is_said(photos, tmp_path):
    assert run(photos / "a.png", "-o", tmp_path / "a.png")[0] == 0
    code, said = run(photos / "a.png", "-o", tmp_path / "x.png", "--replay", tmp_path / "a.json")
    assert code == 0
    assert "top left" not in said  # the rest of a multiple of 4
    write_image(tmp_path / "large.png", Picture(pixels=np.zeros((90, 90, 3), np.uint8)))
    code, said = run(
        tmp_path / "large.png", "-o", tmp_path / "y.png", "--replay", tmp_path / "a.json"
    )
    assert code == 0
    assert "90×90 (of which the top left 68×48, which the draw is for)" in said


def test_a_draw_for_a_larger_picture_is_refused(photos, tmp_path):
    assert run(photos / "deep" / "c.png", "-o", tmp_path / "c.png")[0] == 0
    code, said = run(photos / "a.png", "-o", tmp_path / "x.png", "--replay", tmp_path / "c.json")
    assert code != 0
    assert "the draw is for 68×52 and the picture has 71×50" in said
    assert not (tmp_path / "x.png").exists()
