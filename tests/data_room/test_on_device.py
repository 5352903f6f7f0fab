"""Batches made on the training device. Oracle: the data sets' own samples, one at a time."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image

from escsr.data import ArbitraryScaleDataset, BatchLoader, FolderDataset, PairedDataset
from escsr.data.on_device import resized
from escsr.resize import imresize

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(9)
    for name, (height, width) in {"a": (49, 61), "b": (83, 57)}.items():
        smooth = rng.integers(0, 256, (height // 3 + 1, width // 3 + 1, 3)).astype(np.uint8)
        Image.fromarray(imresize(smooth, size=(height, width))).save(tmp_path / f"{name}.png")
    return tmp_path


def compare(dataset, indices, device):
    """Every sample of a batch against the one that the data set makes by itself."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    dataset.open_on(torch.device(device))
    batch = {name: values.cpu() for name, values in dataset.batch(indices).items()}
    for n, index in enumerate(indices):
        sample = dataset[index]
        assert sample.keys() == batch.keys()
        for name, wanted in sample.items():
            got = batch[name][n]
            assert got.dtype == wanted.dtype == torch.float32
            assert got.shape == wanted.shape
            # levels are the same; turned into floats, CUDA's division may differ in the last bit
            gap = (got - wanted).abs()
            assert gap.max() < (1e-6 if device == "cuda" else 1e-9), (name, index)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("scale", "patch"), [(1, 9), (2, 7), (3, 8), (4, 12), (5, 4)])
def test_folder(photos, scale, patch, device):
    dataset = FolderDataset(roots=(photos,), scale=scale, patch=patch, seed=2)
    compare(dataset, range(40), device)


@pytest.mark.parametrize("device", DEVICES)
def test_folder_at_the_very_edges(tmp_path, device):
    # photos of just the crop's size: all of the context is mirrored
    for n, (height, width) in enumerate([(24, 24), (27, 26)]):
        pixels = np.random.default_rng(n).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{n}.png")
    dataset = FolderDataset(roots=(tmp_path,), scale=4, patch=6, seed=2)
    compare(dataset, range(16), device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "options",
    [
        {"group": 6},
        {"group": 6, "multiple": 4, "augment": False},
        {"group": 6, "scales": (1.0, 1.0)},
        {"queries": 50},
        {"queries": 1, "scales": (2.5, 2.5)},
    ],
    ids=str,
)
def test_any_scale(photos, options, device):
    dataset = ArbitraryScaleDataset(roots=(photos,), patch=10, seed=7, **options)
    for first in (0, 6, 12, 18):
        compare(dataset, range(first, first + 6), device)


def test_sharpened_truth_and_the_photo_beside_it(photos):
    dataset = ArbitraryScaleDataset(
        roots=(photos,), patch=10, group=4, sharpen=True, keep_photo=True
    )
    compare(dataset, range(4), "cpu")


@pytest.mark.parametrize("device", DEVICES)
def test_pairs(photos, tmp_path_factory, device):
    small = tmp_path_factory.mktemp("small")
    for path in photos.iterdir():
        photo = np.asarray(Image.open(path))
        size = (photo.shape[0] // 2, photo.shape[1] // 2)
        Image.fromarray(imresize(photo, size=size)).save(small / path.name)
    dataset = PairedDataset(roots_gt=(photos,), roots_lq=(small,), scale=2, patch=9, seed=1)
    compare(dataset, range(20), device)


@pytest.mark.parametrize("size", [(8, 4), (30, 7), (5, 13), (1, 3), (12, 9)], ids=str)
def test_resizing_is_the_filter(size):
    pixels = np.random.default_rng(1).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    got = resized(torch.from_numpy(pixels)[None], size)[0].numpy()
    assert np.array_equal(got, imresize(pixels, size=size))
    floats = pixels / 255
    got = resized(torch.from_numpy(floats)[None], size)[0].numpy()
    assert np.allclose(got, imresize(floats, size=size), atol=1e-12)


def test_loader_makes_batches_on_the_device(photos):
    def batches(workers, **options):
        dataset = ArbitraryScaleDataset(roots=(photos,), patch=8, group=4, seed=3, **options)
        with BatchLoader(dataset, batch=4, start=2, stop=9, workers=workers) as loader:
            return list(loader)

    for workers in (0, 2):  # no processes are started: the samples are the device's own work
        made = batches(workers, on_device=True)
        assert len(made) == 7
        for a, b in zip(made, batches(0), strict=True):
            assert all(torch.equal(a[name], b[name]) for name in b)


def test_damaged_photos_are_refused_or_passed_over_as_by_the_data_set(photos, caplog):
    whole = (photos / "b.png").read_bytes()
    (photos / "b.png").write_bytes(whole[: len(whole) // 2])
    refusing = FolderDataset(roots=(photos,), scale=2, patch=8)
    refusing.open_on(torch.device("cpu"))
    with pytest.raises(ValueError, match=r"b\.png cannot be decoded.*bad_files"):
        refusing.batch(range(30))
    skipping = FolderDataset(roots=(photos,), scale=2, patch=8, bad_files="skip")
    with caplog.at_level(logging.WARNING):
        compare(skipping, range(30), "cpu")
    assert "another photo is used" in caplog.text


def test_what_cannot_be_made_there_is_refused(photos):
    with pytest.raises(ValueError, match="lq_from makes one picture at a time"):
        ArbitraryScaleDataset(
            roots=(photos,), patch=8, queries=4, lq_from="real_light", on_device=True
        )
    with pytest.raises(RuntimeError, match="open_on"):
        FolderDataset(roots=(photos,), scale=2, patch=8).batch([0])
