"""Samples of any scale. Oracles: the resize of the crop, a search for the crop, plain formulas."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from escsr.data import ArbitraryScaleDataset, BatchLoader, degraded
from escsr.degradations import PRESETS, preset, usm_sharpen
from escsr.resize import imresize


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(5)
    for name, (height, width) in {"a": (50, 61), "b": (70, 44)}.items():
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return tmp_path


def make(photos, **changes):
    options = {"roots": (photos,), "patch": 10, "scales": (1.0, 4.0), "seed": 7} | changes
    return ArbitraryScaleDataset(**options)


def pixels(tensor):
    return np.rint(tensor.numpy().transpose(1, 2, 0) * 255).astype(np.uint8)


def occurs(crop, photo):
    windows = np.lib.stride_tricks.sliding_window_view(photo, crop.shape)
    return bool((windows == crop).all(axis=(-3, -2, -1)).any())


def test_whole_pictures_are_crops_with_their_bicubic(photos):
    dataset = make(photos, group=1, augment=False)
    wholes = [np.asarray(Image.open(photos / name)) for name in ("a.png", "b.png")]
    sides = set()
    for n in range(25):
        lq, gt = (pixels(dataset[n][key]) for key in ("lq", "gt"))
        sides.add(len(gt))
        assert np.array_equal(lq, imresize(gt, size=(10, 10)))
        assert any(occurs(gt, photo) for photo in wholes)
    assert len(sides) > 10
    assert min(sides) >= 10
    assert max(sides) <= 40


def test_queries_are_pixels_of_the_whole_picture_without_repetition(photos):
    # oracle: the same stream asked for whole pictures
    queries, whole = make(photos, queries=60), make(photos, group=1)
    for n in range(10):
        sample, gt = queries[n], whole[n]["gt"]
        side = gt.shape[-1]
        assert torch.equal(sample["lq"], whole[n]["lq"])
        assert sample["coords"].abs().max() < 1
        assert torch.equal(sample["cells"], torch.full((60, 2), 2 / side))
        for (y, x), value in zip(sample["coords"].tolist(), sample["gt"], strict=True):
            row, column = ((c + 1) / 2 * side - 0.5 for c in (y, x))
            assert abs(row - round(row)) < 1e-4
            assert torch.equal(value, gt[:, round(row), round(column)])
        assert len(torch.unique(sample["coords"], dim=0)) == 60


def test_coordinates_sample_the_picture_where_it_says(photos):
    # oracle: torch's grid_sample, which counts (x, y)
    sample, whole = make(photos, queries=40)[3], make(photos, group=1)[3]
    grid = sample["coords"].flip(-1)[None, None]
    read = torch.nn.functional.grid_sample(whole["gt"][None], grid, align_corners=False)
    assert torch.allclose(read[0, :, 0].T, sample["gt"], atol=1e-4)


def test_all_pixels_can_be_queried(photos):
    sample = make(photos, queries=100, scales=(1.0, 1.0))[0]
    centres = (2 * np.arange(10) + 1) / 10 - 1
    expected = {(round(y, 5), round(x, 5)) for y in centres for x in centres}
    assert {(round(y, 5), round(x, 5)) for y, x in sample["coords"].tolist()} == expected


def test_scales_are_drawn_evenly(photos):
    # chi square over sides 11 to 39 (10 and 40 are rounded to from one side only)
    dataset = make(photos, queries=1)
    sides = [dataset.drawing.side(n) for n in range(6000)]
    counts = np.bincount(sides, minlength=41)[11:40]
    expected = 6000 / 30
    assert ((counts - expected) ** 2 / expected).sum() < 28 + 4 * np.sqrt(2 * 28)
    assert sum(np.bincount(sides)[[10, 40]]) == 6000 - counts.sum()


def test_a_group_has_one_scale_and_stacks(photos):
    dataset = make(photos, group=4)
    with BatchLoader(dataset, batch=4, start=0, stop=8) as loader:
        batches = list(loader)
    assert len({batch["gt"].shape for batch in batches}) > 3
    for k, batch in enumerate(batches):
        assert batch["lq"].shape == (4, 3, 10, 10)
        for i in range(4):
            assert torch.equal(batch["gt"][i], dataset[4 * k + i]["gt"])


def test_scales_that_do_not_stack_are_explained(photos):
    with (
        BatchLoader(make(photos, group=1), batch=4, start=0, stop=8) as loader,
        pytest.raises(ValueError, match="group=BATCH_SIZE"),
    ):
        list(loader)


@pytest.mark.parametrize("form", [{"queries": 30}, {"group": 3}])
def test_sample_depends_on_seed_and_index_only(photos, tmp_path, form):
    expected = [make(photos, **form)[n] for n in range(6)]
    for dataset in (
        make(photos, **form, cache_bytes=0),
        make(photos, **form, cache_folder=tmp_path / "decoded"),
        pickle.loads(pickle.dumps(make(photos, **form))),
    ):
        for n in (5, 0, 3, 3, 1, 4, 2):
            sample = dataset[n]
            assert sample.keys() == expected[n].keys()
            assert all(torch.equal(sample[key], expected[n][key]) for key in sample)
    assert not torch.equal(make(photos, **form, seed=8)[0]["lq"], expected[0]["lq"])


def spoil(gt, size, rng):
    """A degradation that draws an odd number of times, and in 8 bits."""
    rng.random(int(rng.integers(1, 9)))
    noise = rng.integers(-20, 21, (*size, 3))
    return np.clip(imresize(gt, size=size) + noise, 0, 255).astype(np.uint8)


def test_small_pictures_can_be_made_otherwise(photos):
    plain, spoilt = make(photos, queries=30), make(photos, queries=30, lq_from=spoil)
    again = pickle.loads(pickle.dumps(spoilt))
    for n in range(5):
        assert torch.equal(plain[n]["gt"], spoilt[n]["gt"])
        assert torch.equal(plain[n]["coords"], spoilt[n]["coords"])
        assert torch.equal(spoilt[n]["lq"], again[n]["lq"])
        difference = (plain[n]["lq"] - spoilt[n]["lq"]).abs().max() * 255
        assert 1 <= difference <= 20.01


@pytest.mark.slow
def test_workers_give_the_same_samples(photos):
    dataset = make(photos, queries=30, lq_from=spoil)
    with BatchLoader(dataset, batch=2, start=1, stop=4, workers=2) as loader:
        for k, batch in enumerate(loader, start=1):
            for i in range(2):
                sample = dataset[2 * k + i]
                assert all(torch.equal(batch[key][i], sample[key]) for key in sample)


def test_wrong_small_pictures_are_refused(photos):
    with pytest.raises(ValueError, match=r"\(10, 10, 3\) uint8"):
        make(photos, queries=30, lq_from=lambda gt, size, rng: gt[:5])[0]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "group=BATCH_SIZE"),
        ({"queries": 30, "group": 4}, "leave it out"),
        ({"queries": 101}, "at most 100"),
        ({"queries": 0}, "queries"),
        ({"group": 0}, "group"),
        ({"group": 1, "scales": (0.5, 4.0)}, "1 <= least"),
        ({"group": 1, "scales": (3.0, 2.0)}, "1 <= least"),
        ({"group": 1, "patch": 2.5}, "patch"),
        ({"group": 1, "scales": (1.0, 4.5)}, r"b\.png is 44x70, smaller .* 45x45"),
        ({"group": 1, "bad_files": "ignore"}, "bad_files"),
    ],
)
def test_wrong_settings_are_refused(photos, options, named):
    with pytest.raises(ValueError, match=named):
        make(photos, **options)


def test_sides_are_multiples_and_never_smaller_than_the_patch(photos):
    sides = {make(photos, group=1, multiple=6)[n]["gt"].shape[-1] for n in range(60)}
    assert sides == {12, 18, 24, 30, 36, 42}
    # the same stream as without, but for the rounding
    for n in range(10):
        plain = make(photos, group=1)[n]["gt"].shape[-1]
        rounded = make(photos, group=1, multiple=5)[n]["gt"].shape[-1]
        assert abs(plain - rounded) <= 3


def test_named_degradation_is_the_preset_with_the_samples_own_numbers(photos):
    plain, damaged = (make(photos, group=1, lq_from=name) for name in (None, "real_light"))
    pipeline = preset("real_light")
    for n in range(4):
        gt = damaged[n]["gt"]
        assert torch.equal(gt, plain[n]["gt"])
        assert not torch.equal(damaged[n]["lq"], plain[n]["lq"])
        assert torch.equal(damaged[n]["lq"], damaged[n]["lq"])
    gt = pixels(damaged[0]["gt"])
    draw = pipeline.draw(np.random.default_rng(3), size=gt.shape[:2], lq_size=(10, 10))
    expected = pipeline.apply(torch.from_numpy(gt).permute(2, 0, 1)[None] / 255, [draw])[0]
    made = degraded("real_light")(gt, (10, 10), np.random.default_rng(3))
    assert np.array_equal(made, pixels(expected.clamp(0, 1)))


def test_sharpened_crop_is_the_truth_and_the_source(photos):
    options = {"group": 1, "scales": (2.0, 2.0), "augment": False}
    plain, sharp = make(photos, **options), make(photos, **options, sharpen=True)
    for n in range(3):
        gt = pixels(sharp[n]["gt"])
        assert np.array_equal(gt, pixels(usm_sharpen(plain[n]["gt"][None])[0].clamp(0, 1)))
        assert np.array_equal(pixels(sharp[n]["lq"]), imresize(gt, size=(10, 10)))


def test_photo_is_the_truth_before_it_was_sharpened(photos):
    options = {"group": 1, "scales": (2.0, 2.0), "lq_from": "real_light"}
    plain = make(photos, **options)
    kept = make(photos, **options, sharpen=True, keep_photo=True)
    for n in range(2):
        assert torch.equal(kept[n]["photo"], plain[n]["gt"])
        assert not torch.equal(kept[n]["photo"], kept[n]["gt"])
    with pytest.raises(ValueError, match="keep_photo is for sharpen=True"):
        make(photos, **options, keep_photo=True)


def test_preset_that_sharpens_does_so_once(photos):
    options = {"group": 1, "scales": (2.0, 2.0), "augment": False, "sharpen": True}
    by_name = make(photos, **options, lq_from="real")
    by_hand = make(photos, **options, lq_from=degraded("real", sharpen=False))
    assert torch.equal(by_name[1]["lq"], by_hand[1]["lq"])


def test_unknown_degradation_is_told(photos):
    with pytest.raises(ValueError, match="real_light"):
        make(photos, group=1, lq_from="real_lite")


@pytest.mark.parametrize("name", list(PRESETS))
def test_degraded_small_pictures_can_be_made_by_other_processes(name):
    gt = np.random.default_rng(2).integers(0, 256, (48, 40, 3), dtype=np.uint8)
    make = degraded(name)
    again = pickle.loads(pickle.dumps(make))
    lqs = [each(gt, (24, 20), np.random.default_rng(3)) for each in (make, again)]
    assert np.array_equal(*lqs)
