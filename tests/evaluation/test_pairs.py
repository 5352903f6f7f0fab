"""Oracle: folders laid out by hand."""

from pathlib import Path

import numpy as np
import pytest

from escsr.evaluation import find_pairs, find_pictures
from escsr.images import Picture, write_image


def put(path: Path, height: int, width: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, Picture(pixels=np.zeros((height, width, 3), np.uint8)))
    return path


def test_names_with_and_without_the_scale(tmp_path):
    put(tmp_path / "hr" / "b.png", 8, 12)
    put(tmp_path / "hr" / "a.png", 8, 8)
    put(tmp_path / "hr" / "sub" / "a.png", 16, 8)
    put(tmp_path / "lq" / "ax2.png", 4, 4)
    put(tmp_path / "lq" / "b.webp", 4, 6)
    put(tmp_path / "lq" / "sub" / "ax2.png", 8, 4)
    pairs = find_pairs(tmp_path / "hr", tmp_path / "lq", scale=2)
    found = [(p.name, p.lq.relative_to(tmp_path / "lq").as_posix(), p.gt_size) for p in pairs]
    assert found == [
        ("a", "ax2.png", (8, 8)),
        ("b", "b.webp", (8, 12)),
        ("sub/a", "sub/ax2.png", (16, 8)),
    ]


def test_name_with_the_scale_goes_first(tmp_path):
    put(tmp_path / "hr" / "a.png", 8, 8)
    put(tmp_path / "lq" / "ax2.png", 4, 4)
    put(tmp_path / "lq" / "a.png", 4, 4)
    (pair,) = find_pairs(tmp_path / "hr", tmp_path / "lq", scale=2.0)
    assert pair.lq.name == "ax2.png"


@pytest.mark.parametrize(("height", "fits"), [(11, False), (12, True), (14, True), (15, False)])
def test_hr_may_be_less_than_one_lq_pixel_larger(tmp_path, height, fits):
    put(tmp_path / "hr" / "a.png", height, 9)
    put(tmp_path / "lq" / "a.png", 4, 3)
    if fits:
        (pair,) = find_pairs(tmp_path / "hr", tmp_path / "lq", scale=3)
        assert pair.gt_size == (12, 9)
    else:
        with pytest.raises(ValueError, match=rf"a\.png is {height} x 9.*needs 12 x 9"):
            find_pairs(tmp_path / "hr", tmp_path / "lq", scale=3)


def test_all_problems_are_named_at_once(tmp_path):
    put(tmp_path / "hr" / "fine.png", 8, 8)
    put(tmp_path / "hr" / "alone.png", 8, 8)
    put(tmp_path / "hr" / "large.png", 20, 8)
    put(tmp_path / "hr" / "twice.png", 8, 8)
    put(tmp_path / "hr" / "twice.webp", 8, 8)
    (tmp_path / "hr" / "broken.png").write_bytes(b"not a picture")
    for name in ("fine", "large", "twice"):
        put(tmp_path / "lq" / f"{name}.png", 4, 4)
    with pytest.raises(ValueError, match="^4 problems") as caught:
        find_pairs(tmp_path / "hr", tmp_path / "lq", scale=2)
    message = str(caught.value)
    for name in ("alone.png", "large.png", "twice.webp", "broken.png"):
        assert message.count(str(tmp_path / "hr" / name)) == 1, message
    assert "fine.png" not in message
    assert "alonex2 or alone" in message


def test_swapped_folders_are_guessed(tmp_path):
    put(tmp_path / "hr" / "a.png", 8, 8)
    put(tmp_path / "lq" / "a.png", 4, 4)
    with pytest.raises(ValueError, match="swapped"):
        find_pairs(tmp_path / "lq", tmp_path / "hr", scale=2)


@pytest.mark.parametrize(
    ("scale", "lq_size", "gt_size"),
    [(2, (5, 8), (10, 16)), (3, (3, 5), (9, 15)), (2.5, (4, 6), (10, 15)), (1, (11, 17), (11, 17))],
)
def test_sizes_of_lq_to_be_made(tmp_path, scale, lq_size, gt_size):
    put(tmp_path / "hr" / "a.png", 11, 17)
    (pair,) = find_pairs(tmp_path / "hr", scale=scale)
    assert (pair.lq, pair.lq_size, pair.gt_size) == (None, lq_size, gt_size)


def test_nothing_there(tmp_path):
    put(tmp_path / "hr" / "a.png", 2, 8)
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="gone"):
        find_pairs(tmp_path / "gone", scale=2)
    with pytest.raises(FileNotFoundError, match="none holds no pictures"):
        find_pairs(tmp_path / "none", scale=2)
    with pytest.raises(FileNotFoundError, match="none holds no pictures"):
        find_pairs(tmp_path / "hr", tmp_path / "none", scale=2)
    with pytest.raises(ValueError, match="too few"):
        find_pairs(tmp_path / "hr", scale=4)
    with pytest.raises(ValueError, match="scale"):
        find_pairs(tmp_path / "hr", scale=0.5)


def put_colours(path: Path, height: int, width: int, *, gray: bool, spread: int = 0) -> None:
    """A picture whose channels lie ``spread`` steps apart, stored with one or three channels."""
    pixels = np.full((height, width, 3), 100, np.uint8) + np.array([0, spread, 0], np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, Picture(pixels=pixels, gray=gray))


def test_swapped_folders_are_guessed_where_names_carry_the_scale(tmp_path):
    put(tmp_path / "hr" / "a.png", 8, 8)
    put(tmp_path / "lq" / "ax2.png", 4, 4)
    with pytest.raises(ValueError, match=r"there is a\.png: are the folders swapped"):
        find_pairs(tmp_path / "lq", tmp_path / "hr", scale=2)


def test_lq_without_hr_is_named_unless_of_another_scale(tmp_path):
    put(tmp_path / "hr" / "a.png", 8, 8)
    for name in ("ax2", "ax3", "ax4"):
        put(tmp_path / "lq" / f"{name}.png", 4, 4)
    assert len(find_pairs(tmp_path / "hr", tmp_path / "lq", scale=2)) == 1
    put(tmp_path / "lq" / "bx2.png", 4, 4)
    with pytest.raises(ValueError, match=r"bx2\.png: no HR picture named b"):
        find_pairs(tmp_path / "hr", tmp_path / "lq", scale=2)


@pytest.mark.parametrize(
    ("gray_lq", "gray_hr", "spread", "wrong"),
    [(True, False, 30, "lq"), (False, True, 30, "hr"), (True, False, 1, ""), (True, True, 30, "")],
)
def test_gray_against_colours(tmp_path, gray_lq, gray_hr, spread, wrong):
    # A gray file beside a colour file that shows no colour is a conversion, not a mistake.
    put_colours(tmp_path / "lq" / "a.png", 4, 4, gray=gray_lq, spread=spread)
    put_colours(tmp_path / "hr" / "a.png", 8, 8, gray=gray_hr, spread=spread)
    if not wrong:
        assert find_pairs(tmp_path / "hr", tmp_path / "lq", scale=2)
        return
    with pytest.raises(ValueError, match=rf"{wrong}.a\.png is gray, but .* has colours"):
        find_pairs(tmp_path / "hr", tmp_path / "lq", scale=2)


def test_gray_kept_as_rgb_against_colours(tmp_path):
    put_colours(tmp_path / "lq" / "a.png", 4, 4, gray=False, spread=0)
    put_colours(tmp_path / "hr" / "a.png", 8, 8, gray=False, spread=30)
    with pytest.raises(ValueError, match=r"lq.a\.png is gray, but .* has colours"):
        find_pairs(tmp_path / "hr", tmp_path / "lq", scale=2)


def test_damaged_pictures_are_all_named_beforehand(tmp_path):
    for name in ("a", "b", "c"):
        put(tmp_path / "hr" / f"{name}.png", 8, 8)
    whole = (tmp_path / "hr" / "a.png").read_bytes()
    for name in ("b", "c"):
        (tmp_path / "hr" / f"{name}.png").write_bytes(whole[:-20])
    for find in (find_pairs, find_pictures):  # small ones to be made, and no truth
        with pytest.raises(ValueError, match=r"(?s)2 problems.*b\.png.*c\.png"):
            find(tmp_path / "hr", scale=2)


def test_another_scale_on_each_axis(tmp_path):
    """ "whole": the true sizes, and the network is asked for them."""
    put(tmp_path / "hr" / "a.png", 30, 45)
    put(tmp_path / "lq" / "a.png", 15, 15)
    (pair,) = find_pairs(tmp_path / "hr", tmp_path / "lq", scale=2, alignment="whole")
    assert pair.gt_size == (30, 45)
    with pytest.raises(ValueError, match="are the folders swapped"):
        find_pairs(tmp_path / "lq", tmp_path / "hr", scale=2, alignment="whole")
    with pytest.raises(ValueError, match="needs 30 x 30"):
        find_pairs(tmp_path / "hr", tmp_path / "lq", scale=2)


def test_alignments(tmp_path):
    put(tmp_path / "hr" / "a.png", 14, 12)
    put(tmp_path / "lq" / "a.png", 4, 4)
    folders = (tmp_path / "hr", tmp_path / "lq")
    assert find_pairs(*folders, scale=3)[0].offset == (0, 0)
    assert find_pairs(*folders, scale=3, alignment="centre")[0].offset == (1, 0)
    with pytest.raises(ValueError, match="14 x 12.*needs 12 x 12"):
        find_pairs(*folders, scale=3, alignment="exact")
    with pytest.raises(ValueError, match="its small picture needs 12 x 12"):
        find_pairs(tmp_path / "hr", scale=3, alignment="exact")


def test_pictures_without_ground_truth(tmp_path):
    put(tmp_path / "b.png", 5, 8)
    put(tmp_path / "sub" / "a.png", 4, 4)
    found = [(p.name, p.hr, p.lq_size, p.gt_size) for p in find_pictures(tmp_path, scale=2.5)]
    assert found == [("b", None, (5, 8), (12, 20)), ("sub/a", None, (4, 4), (10, 10))]
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"broken\.png"):
        find_pictures(tmp_path, scale=2)
