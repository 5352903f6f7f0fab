"""Pairs of files. Oracles: names as DIV2K has them, and pictures that say where they come from."""

import logging
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from escsr.data import BatchLoader, PairedDataset
from escsr.data.pairing import lq_names, pair_folders


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folders(tmp_path):
    """Two pairs named as in DIV2K; each small picture is every second pixel of its large one."""
    for name, large in (("0001", picture(40, 60, 1)), ("0002", picture(52, 36, 2))):
        save(tmp_path / "HR" / f"{name}.png", large)
        save(tmp_path / "LR" / "X2" / f"{name}x2.png", large[::2, ::2])
    return tmp_path / "HR", tmp_path / "LR" / "X2"


def make(folders, **changes):
    options = {"roots_gt": folders[:1], "roots_lq": folders[1:], "scale": 2, "patch": 8, "seed": 3}
    return PairedDataset(**(options | changes))


def test_crops_are_aligned_and_augmented_alike(folders):
    plain, dataset = make(folders, augment=False), make(folders)
    seen = set()
    for n in range(40):
        # every second pixel, from the first or, where flipped, the second row and column
        lq, gt = dataset[n]["lq"], dataset[n]["gt"]
        assert lq.shape == (3, 8, 8)
        assert gt.shape == (3, 16, 16)
        assert any(torch.equal(lq, gt[:, y::2, x::2]) for y in (0, 1) for x in (0, 1))
        assert torch.equal(plain[n]["lq"], plain[n]["gt"][:, ::2, ::2])
        seen.add(plain[n]["gt"].numpy().tobytes())
    assert len(seen) > 30


def test_pairs_are_drawn_by_area_from_edge_to_edge(tmp_path):
    ramp = np.zeros((16, 40, 3), np.uint8)
    ramp[..., 0] = 4 * np.arange(40)
    save(tmp_path / "HR" / "a.png", ramp)
    save(tmp_path / "LR" / "a.png", ramp)
    save(tmp_path / "HR" / "b.png", np.full((48, 40, 3), 255, np.uint8))
    save(tmp_path / "LR" / "b.png", np.full((48, 40, 3), 255, np.uint8))
    dataset = make((tmp_path / "HR", tmp_path / "LR"), scale=1, patch=16, augment=False)
    first = [round(float(dataset[n]["gt"][0, 0, 0]) * 255) for n in range(2000)]
    where = [value // 4 for value in first if value < 250]
    assert abs(len(where) / 2000 - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 2000)
    assert set(where) == set(range(25))


def test_a_large_picture_may_have_a_few_rows_more(folders):
    extra = np.vstack([picture(40, 60, 1), picture(1, 60, 8)])
    save(folders[0] / "0001.png", extra)
    dataset = make(folders, include=["0001*"], augment=False)
    for n in range(200):
        assert torch.equal(dataset[n]["lq"], dataset[n]["gt"][:, ::2, ::2])


@pytest.mark.parametrize(
    ("lq", "patterns"),
    [
        ("LR/p.png", None),
        ("LR/px2.webp", None),
        ("LR/p_LR.png", None),
        ("LR/X2/px2.png", ("X{scale}/{name}x{scale}",)),
        ("LR/small_p.png", ("{name}", "small_{name}")),
    ],
)
def test_naming_patterns(tmp_path, lq, patterns):
    save(tmp_path / "HR" / "p.png", picture(20, 20))
    save(tmp_path / lq, picture(10, 10))
    options = {} if patterns is None else {"patterns": patterns}
    dataset = make((tmp_path / "HR", tmp_path / "LR"), **options)
    assert dataset.pairs[0].lq == tmp_path / lq


def test_names_of_subfolders_and_other_scales():
    assert lq_names("a/b", 2.5) == ["a/bx2.5", "a/b_LR", "a/b"]


def test_every_mismatch_is_named(folders, tmp_path, caplog):
    large, small = folders
    save(large / "lonely.png", picture(40, 40))
    save(large / "odd.png", picture(43, 40))
    save(small / "oddx2.png", picture(20, 20))
    save(large / "tiny.png", picture(14, 14))
    save(small / "tinyx2.png", picture(7, 7))
    save(large / "gray.png", picture(40, 40))
    save(small / "grayx2.png", picture(20, 20)[..., 0])
    save(large / "twice.png", picture(40, 40))
    save(large / "twice.jpg", picture(40, 40))
    save(small / "twicex2.png", picture(20, 20))
    (large / "broken.png").write_bytes(b"nothing")
    save(small / "brokenx2.png", picture(20, 20))
    save(small / "orphanx2.png", picture(20, 20))
    with pytest.raises(ValueError, match="6 of 9 pictures") as caught:
        make(folders)
    lines = str(caught.value).splitlines()[1:]
    for part in (
        "lonely.png: no small picture lonelyx2 or lonely_LR or lonely in",
        "odd.png is 43 x 40, but",
        "tinyx2.png is 7x7, smaller than the patch of 8x8",
        "grayx2.png is gray, but",
        "twice.png: twice.jpg has the same name",
        "broken.png",
    ):
        assert sum(part in line for line in lines) == 1, part
    with caplog.at_level(logging.WARNING):
        dataset = make(folders, bad_files="skip")
    assert [path.stem for path in dataset.paths] == ["0001", "0002", "twice"]
    assert all(line.strip() in caplog.text for line in lines)
    assert "1 small pictures belong to no picture" in caplog.text


def test_a_gray_photo_kept_as_rgb_is_no_mismatch(tmp_path):
    gray = picture(40, 40)[..., :1]
    save(tmp_path / "HR" / "a.png", gray.repeat(3, axis=2))
    save(tmp_path / "LR" / "a.png", gray[::2, ::2, 0])
    assert len(make((tmp_path / "HR", tmp_path / "LR")).pairs) == 1


def test_swapped_folders_are_recognised(folders):
    large, small = folders
    _, problems, _ = pair_folders(small, large, scale=2, patterns=["{name}"])
    assert "no small picture" in problems[0]
    save(large / "0001x2.png", picture(40, 60))
    _, problems, _ = pair_folders(small, large, scale=2, patterns=["{name}"])
    assert any("are the folders swapped?" in problem for problem in problems)


def test_pictures_held_out_are_not_orphans(folders, caplog):
    with caplog.at_level(logging.WARNING):
        dataset = make(folders, exclude=["0002*"])
    assert [path.stem for path in dataset.paths] == ["0001"]
    assert not caplog.records


def test_damage_behind_the_header_is_named_or_drawn_around(folders):
    path = folders[1] / "0002x2.png"
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ValueError, match=r"0002x2\.png cannot be decoded"):
        [make(folders)[n] for n in range(50)]
    dataset = make(folders, bad_files="skip")
    assert all(dataset[n]["lq"].shape == (3, 8, 8) for n in range(10))


def test_sample_depends_on_seed_and_index_only(folders, tmp_path):
    expected = [make(folders)[n] for n in range(6)]
    for dataset in (
        make(folders, cache_bytes=0),
        make(folders, cache_folder=tmp_path / "decoded"),
        pickle.loads(pickle.dumps(make(folders))),
    ):
        for n in (5, 0, 3, 3, 1, 4, 2):
            assert all(torch.equal(dataset[n][key], expected[n][key]) for key in ("lq", "gt"))
    assert not torch.equal(make(folders, seed=4)[0]["gt"], expected[0]["gt"])


@pytest.mark.slow
def test_workers_give_the_same_samples(folders):
    dataset = make(folders)
    with BatchLoader(dataset, batch=2, start=1, stop=4, workers=2) as loader:
        for k, batch in enumerate(loader, start=1):
            for i in range(2):
                assert torch.equal(batch["gt"][i], dataset[2 * k + i]["gt"])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"roots_lq": ()}, "one by one, got 1 and 0"),
        ({"patterns": ("{nam}",)}, "must hold"),
        ({"patterns": ("{name",)}, "not complete"),
        ({"patterns": "{name}"}, "list of patterns"),
        ({"scale": 1.5}, "scale"),
        ({"patch": 0}, "patch"),
        ({"bad_files": "ignore"}, "bad_files"),
    ],
)
def test_wrong_settings_are_refused(folders, options, named):
    with pytest.raises(ValueError, match=named):
        make(folders, **options)


def test_no_pair_at_all(tmp_path):
    (tmp_path / "HR").mkdir()
    with pytest.raises(FileNotFoundError, match="no usable pair"):
        make((tmp_path / "HR", tmp_path / "HR"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        make((tmp_path / "HR", tmp_path / "nowhere"))
