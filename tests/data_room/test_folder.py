"""Pairs from folders. Oracles: whole-photo resizing, counts, and the same sample made again."""

import logging
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from escsr.data import FolderDataset, PhotoCache, list_images
from escsr.data.folder import crop_pair
from escsr.resize import imresize


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def photos(tmp_path):
    """Two photos, one four times the area of the other."""
    Image.fromarray(noise(60, 70, 1)).save(tmp_path / "small.png")
    Image.fromarray(noise(120, 140, 2)).save(tmp_path / "large.png")
    return tmp_path


@pytest.mark.parametrize(("scale", "patch"), [(1, 5), (2, 8), (3, 7), (4, 4)])
def test_crop_equals_the_crop_of_the_whole_small_photo(scale, patch):
    photo = noise(61, 75)
    rows, columns = 61 // scale, 75 // scale
    whole = imresize(photo[: rows * scale, : columns * scale], size=(rows, columns))
    for top in {0, 1, 2, 3, (rows - patch) // 2, rows - patch - 1, rows - patch}:
        for left in {0, 1, 2, 3, (columns - patch) // 2, columns - patch - 1, columns - patch}:
            lq, gt = crop_pair(photo, scale=scale, top=top, left=left, patch=patch)
            assert np.array_equal(lq, whole[top : top + patch, left : left + patch])
            y, x, side = top * scale, left * scale, patch * scale
            assert np.array_equal(gt, photo[y : y + side, x : x + side])


def test_sample_is_an_aligned_pair_of_float_tensors(photos):
    # oracle: without augmentation some crop of some photo is found again, pixel for pixel
    dataset = FolderDataset(roots=(photos,), scale=2, patch=16, seed=3, augment=False)
    wholes = {name: np.asarray(Image.open(photos / name)) for name in ("small.png", "large.png")}
    for n in range(10):
        pair = dataset[n]
        assert pair["lq"].shape == (3, 16, 16)
        assert pair["gt"].shape == (3, 32, 32)
        assert pair["lq"].dtype == pair["gt"].dtype == torch.float32
        lq, gt = (np.rint(pair[k].numpy().transpose(1, 2, 0) * 255) for k in ("lq", "gt"))
        found = 0
        for photo in wholes.values():
            small = imresize(photo, size=(photo.shape[0] // 2, photo.shape[1] // 2))
            for top in range(small.shape[0] - 15):
                for left in range(small.shape[1] - 15):
                    if np.array_equal(small[top : top + 16, left : left + 16], lq):
                        place = photo[2 * top : 2 * top + 32, 2 * left : 2 * left + 32]
                        assert np.array_equal(place, gt)
                        found += 1
        assert found == 1


def test_sample_depends_on_seed_and_index_only(photos):
    def make(**changes):
        options = {"roots": (photos,), "scale": 2, "patch": 16, "seed": 3} | changes
        return FolderDataset(**options)

    expected = [make()[n] for n in range(6)]  # a fresh dataset for each
    for dataset in (make(), make(cache_bytes=0), pickle.loads(pickle.dumps(make()))):
        for n in (5, 0, 3, 3, 1, 4, 2):  # in any order, and again
            for key in ("lq", "gt"):
                assert torch.equal(dataset[n][key], expected[n][key])
    assert not torch.equal(expected[0]["gt"], expected[1]["gt"])
    assert not torch.equal(make(seed=4)[0]["gt"], expected[0]["gt"])


def test_photos_are_drawn_by_area_and_positions_evenly(tmp_path):
    # flat photos of known colours tell which was drawn; a ramp tells where
    ramp = np.zeros((16, 64, 3), np.uint8)
    ramp[:, :, 0] = 4 * np.arange(64)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    Image.fromarray(np.full((48, 64, 3), 255, np.uint8)).save(tmp_path / "b.png")
    dataset = FolderDataset(roots=(tmp_path,), scale=1, patch=16, seed=0, augment=False)
    first = [round(float(dataset[n]["gt"][0, 0, 0]) * 255) for n in range(4000)]
    where = [value // 4 for value in first if value < 250]
    share = len(where) / 4000
    assert abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)  # four standard deviations
    counts = np.bincount(where, minlength=49)
    assert len(counts) == 49  # every column from the first to the last that fits
    assert counts.min() > 0
    expected = len(where) / 49
    assert ((counts - expected) ** 2 / expected).sum() < 48 + 4 * np.sqrt(2 * 48)  # chi square


def test_every_variant_of_augmentation_occurs(tmp_path):
    Image.fromarray(noise(8, 8)).save(tmp_path / "only.png")
    dataset = FolderDataset(roots=(tmp_path,), scale=1, patch=8, seed=0)
    seen = {dataset[n]["gt"].numpy().tobytes() for n in range(200)}
    assert len(seen) == 8


def test_each_photo_is_decoded_once_if_the_budget_allows(photos):
    dataset = FolderDataset(roots=(photos,), scale=2, patch=16, seed=0)
    for n in range(50):
        dataset[n]
    assert dataset._pool.photo.decoded == 2


def test_cache_stays_within_its_budget_and_forgets_the_oldest(photos):
    sizes = {"a": 10, "b": 20, "c": 30, "huge": 70}
    read = []

    def decode(path):
        read.append(path.name)
        return np.zeros((1, sizes[path.name], 3), np.uint8)

    cache = PhotoCache(decode, budget=180)  # room for 60 pixels
    for name in ("a", "b", "c", "a", "huge", "b", "c"):
        cache(photos / name)
        assert cache.bytes_held <= 180
    assert read == ["a", "b", "c", "huge"]
    sizes["d"] = 1
    cache(photos / "d")  # a is the oldest: forgotten
    cache(photos / "b")
    cache(photos / "a")
    assert read == ["a", "b", "c", "huge", "d", "a"]
    with pytest.raises(ValueError, match="read-only"):
        cache(photos / "b")[:] = 1


def test_files_are_listed_in_a_fixed_order(tmp_path):
    names = ["b/2.png", "a.JPG", "b/1.webp", "notes.txt", ".hidden.png", ".git/x.png", "z9.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    listed = [path.relative_to(tmp_path).as_posix() for path in list_images([tmp_path])]
    assert listed == ["a.JPG", "b/1.webp", "b/2.png", "z9.png"]
    held_out = list_images([tmp_path], include=["*9.*", "b/2*"])
    rest = list_images([tmp_path], exclude=["*9.*", "b/2*"])
    assert [path.name for path in held_out] == ["2.png", "z9.png"]
    assert sorted(held_out + rest) == sorted(list_images([tmp_path]))
    twice = list_images([tmp_path / "b", tmp_path / "b"])
    assert [path.name for path in twice] == ["1.webp", "2.png"] * 2


def test_missing_folders_are_all_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*neither"):
        list_images([tmp_path, tmp_path / "nowhere", tmp_path / "neither"])
    with pytest.raises(FileNotFoundError, match="no usable picture"):
        FolderDataset(roots=(tmp_path,), scale=2, patch=8)


def test_bad_and_small_files_are_named_and_refused_or_left_out(photos, caplog):
    (photos / "broken.png").write_bytes(b"no picture at all")
    Image.fromarray(noise(31, 90)).save(photos / "tiny.png")
    with pytest.raises(ValueError, match="2 of 4 pictures") as caught:
        FolderDataset(roots=(photos,), scale=2, patch=16)
    for part in ("broken.png", "tiny.png", "90x31", "32x32", "skip"):
        assert part in str(caught.value)
    with caplog.at_level(logging.WARNING):
        dataset = FolderDataset(roots=(photos,), scale=2, patch=16, bad_files="skip")
    assert [path.name for path in dataset.paths] == ["large.png", "small.png"]
    assert "broken.png" in caplog.text
    assert "tiny.png" in caplog.text


def test_damage_behind_the_header_is_named_or_drawn_around(photos):
    whole = (photos / "large.png").read_bytes()
    (photos / "large.png").write_bytes(whole[: len(whole) // 2])
    dataset = FolderDataset(roots=(photos,), scale=2, patch=16, seed=0)
    with pytest.raises(ValueError, match=r"large\.png"):
        [dataset[n] for n in range(50)]
    dataset = FolderDataset(roots=(photos,), scale=2, patch=16, seed=0, bad_files="skip")
    samples = [dataset[n]["gt"] for n in range(10)]
    again = FolderDataset(roots=(photos,), scale=2, patch=16, seed=0, bad_files="skip")
    assert torch.equal(again[7]["gt"], samples[7])


def test_a_small_budget_is_told(photos, caplog):
    with caplog.at_level(logging.WARNING):
        FolderDataset(roots=(photos,), scale=2, patch=16, cache_bytes=1000)
    assert "cache_bytes" in caplog.text


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"scale": 0}, "scale"),
        ({"scale": 1.5}, "scale"),
        ({"patch": 0}, "patch"),
        ({"seed": -1}, "seed"),
        ({"bad_files": "ignore"}, "bad_files"),
        ({"cache_bytes": -1}, "budget"),
    ],
)
def test_numbers_out_of_range_are_refused(photos, options, named):
    with pytest.raises(ValueError, match=named):
        FolderDataset(**({"roots": (photos,), "scale": 2, "patch": 8} | options))
    with pytest.raises(IndexError):
        FolderDataset(roots=(photos,), scale=2, patch=8)[-1]
