"""Decoded photos in a folder. Oracles: the decoder itself, and how often it was asked."""

import errno
import logging
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from escsr.data import FolderDataset, PhotoCache
from escsr.images import read_rgb


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def open_cache(photo, **changes):
    return PhotoCache(read_rgb, **({"budget": 0, "folder": photo.parent / "decoded"} | changes))


def test_a_photo_is_decoded_once_for_all_processes_and_runs(photo):
    cache, later = open_cache(photo), open_cache(photo)
    worker = pickle.loads(pickle.dumps(cache))
    for asked in (cache, cache, worker, later):
        assert np.array_equal(asked(photo), read_rgb(photo))
    assert (cache.decoded, worker.decoded, later.decoded) == (1, 0, 0)
    assert later.bytes_held == 0
    with pytest.raises(ValueError, match="read-only"):
        later(photo)[0] = 1


def test_a_changed_photo_is_decoded_anew(photo):
    cache = open_cache(photo)
    cache(photo)
    Image.fromarray(np.full((40, 50, 3), 7, np.uint8)).save(photo)
    assert cache(photo).min() == cache(photo).max() == 7
    assert cache.decoded == 2


@pytest.mark.parametrize("damage", [0, 30, 3000])
def test_what_a_crash_left_is_written_anew(photo, damage):
    open_cache(photo)(photo)
    (stored,) = (photo.parent / "decoded").glob("*.npy")
    os.truncate(stored, damage)
    cache = open_cache(photo)
    for _ in range(2):
        assert np.array_equal(cache(photo), read_rgb(photo))
    assert cache.decoded == 1
    assert [path.name for path in stored.parent.iterdir()] == [stored.name]


def test_a_full_disk_is_told_and_memory_takes_over(photo, monkeypatch, caplog):
    def full(file, array):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    cache = open_cache(photo, budget=10**6)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert np.array_equal(cache(photo), read_rgb(photo))
    assert [record.getMessage().count("No space left") for record in caplog.records] == [1]
    assert cache.decoded == 2  # once for the folder, once for memory
    assert list((photo.parent / "decoded").iterdir()) == []


def test_more_photos_than_a_process_may_have_files_open(photo):
    resource = pytest.importorskip("resource", reason="limits are a matter of Unix")
    paths = [photo.with_name(f"{n}.png") for n in range(60)]
    for path in paths:
        Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(path)
    cache = open_cache(photo)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 60
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 30, limits[1]))
    try:
        for _ in range(2):
            assert all(cache(path).shape == (2, 2, 3) for path in paths)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_dataset_gives_the_same_samples_from_a_folder(photo, caplog):
    options = {"roots": (photo.parent,), "scale": 2, "patch": 8, "seed": 1}
    plain = FolderDataset(**options)
    with caplog.at_level(logging.WARNING):
        stored = FolderDataset(**options, cache_bytes=0, cache_folder=photo.parent / "decoded")
    assert not caplog.records  # a small cache_bytes does not matter then
    for n in range(8):
        assert all(torch.equal(plain[n][key], stored[n][key]) for key in ("lq", "gt"))
