"""Teachers' pictures as data. Oracles: the crop resized, and what the teacher itself makes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from escsr.data import BatchLoader, TeacherDataset, d4, degraded, prepare_teacher
from escsr.pixels import to_tensor
from escsr.resize import imresize
from tests.data_room.test_on_device import compare

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"a1": (50, 61), "b9": (66, 45)}


def noise(height, width, seed):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def doubled(lq):
    """A teacher whose pictures are known: each pixel as a darker square."""
    return 0.5 * lq.repeat_interleave(2, -1).repeat_interleave(2, -2)


def repeated(scale):
    return lambda lq: lq.repeat_interleave(scale, -1).repeat_interleave(scale, -2)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed, (name, size) in enumerate(SIZES.items()):
        Image.fromarray(noise(*size, seed)).save(folder / f"{name}.png")
    return folder


def prepare(photos, out, *, scale=2, **changes):
    options = {"enlarge": repeated(scale), "name": "squares", "scale": scale} | changes
    return prepare_teacher([photos], out, **options)


def picture(path):
    return np.asarray(Image.open(path))


def pixels(tensor):
    return np.rint(tensor.numpy().transpose(1, 2, 0) * 255).astype(np.uint8)


def places(crop, whole):
    windows = np.lib.stride_tricks.sliding_window_view(whole, crop.shape)
    return np.argwhere((windows == crop).all(axis=(-3, -2, -1)))


def test_folder_holds_the_small_pictures_and_what_the_teacher_makes_of_them(photos, tmp_path):
    report = prepare(photos, tmp_path / "t", enlarge=doubled)
    assert [entry["photo"] for entry in report["pictures"]] == ["a1.png", "b9.png"]
    for name, (height, width) in SIZES.items():
        photo = picture(photos / f"{name}.png")[: height // 2 * 2, : width // 2 * 2]
        lq = imresize(photo, size=(height // 2, width // 2))
        assert np.array_equal(picture(tmp_path / "t" / "lq" / f"{name}.png"), lq)
        squares = (lq.repeat(2, 0).repeat(2, 1) / 2 + 0.5).astype(np.uint8)
        made = picture(tmp_path / "t" / "sr" / f"{name}.png")
        assert np.abs(made.astype(int) - squares).max() <= 1  # halves are rounded to even


def test_preparing_goes_on_after_an_interruption(photos, tmp_path):
    calls = []

    def failing(lq):
        calls.append(lq.shape)
        if len(calls) == 2:
            raise RuntimeError("out of patience")
        return doubled(lq)

    with pytest.raises(RuntimeError, match="out of patience"):
        prepare(photos, tmp_path / "t", enlarge=failing)
    with pytest.raises(ValueError, match=r"b9\.png .* prepare the folder again"):
        TeacherDataset(folders=(tmp_path / "t",), patch=8, scales=(2, 2))
    prepare(photos, tmp_path / "t", enlarge=failing)
    assert len(calls) == 3
    assert json.loads((tmp_path / "t" / "teacher.json").read_text())["finished"]
    with pytest.raises(ValueError, match="another folder"):
        prepare(photos, tmp_path / "t", enlarge=failing, name="another")


def test_a_teacher_that_fails_at_once_leaves_the_folder_free(photos, tmp_path):
    with pytest.raises(ValueError, match=r"makes \(75, 90\).* not ×2"):
        prepare(photos, tmp_path / "t", enlarge=repeated(3))
    prepare(photos, tmp_path / "t", scale=3)


def test_several_draws_of_a_degradation(photos, tmp_path):
    prepare(photos, tmp_path / "t", scale=2, lq_from="real_light", draws=2, seed=5)
    small = [picture(tmp_path / "t" / "lq" / f"a1_{draw}.png") for draw in (0, 1)]
    assert small[0].shape == small[1].shape == (25, 30, 3)
    assert not np.array_equal(*small)
    # oracle: the preset itself, with the generator of the seed and the name
    entropy = np.random.SeedSequence([5, *b"a1_1"])
    rng = np.random.Generator(np.random.PCG64(entropy))
    photo = np.ascontiguousarray(picture(photos / "a1.png")[:50, :60])
    assert np.array_equal(small[1], degraded("real_light")(photo, (25, 30), rng))
    held_out = TeacherDataset(
        folders=(tmp_path / "t",), patch=8, scales=(2, 2), exclude=("*9.*",), roots=(photos,)
    )
    assert held_out.paths == [photos / "a1.png"]  # patterns are those of photos, not of draws


def test_windows_are_reduced_by_less(photos, tmp_path):
    prepare(photos, tmp_path / "t", scale=4, reduce=2, draws=2, seed=5)
    photo = picture(photos / "a1.png")
    small = [picture(tmp_path / "t" / "lq" / f"a1_{draw}.png") for draw in (0, 1)]
    assert small[0].shape == small[1].shape == (photo.shape[0] // 4, photo.shape[1] // 4, 3)
    rows, columns = 2 * small[0].shape[0], 2 * small[0].shape[1]
    found = [  # oracle: of all windows, exactly those that give the same picture
        (top, left)
        for top in range(photo.shape[0] // 4 * 4 - rows + 1)
        for left in range(photo.shape[1] // 4 * 4 - columns + 1)
        for lq in small
        if np.array_equal(
            imresize(photo[top : top + rows, left : left + columns], size=lq.shape[:2]), lq
        )
    ]
    assert len(found) == 2
    assert found[0] != found[1]
    with pytest.raises(ValueError, match="leave out roots"):
        TeacherDataset(folders=(tmp_path / "t",), patch=8, scales=(2, 2), roots=(photos,))
    for wrong in (0, 5):
        with pytest.raises(ValueError, match="reduce"):
            prepare(photos, tmp_path / "u", scale=4, reduce=wrong)
    with pytest.raises(ValueError, match="lq_from"):
        prepare(photos, tmp_path / "u", scale=4, reduce=2, lq_from="real")


def test_ensemble_is_the_mean_over_flips_and_rotations(photos, tmp_path):
    kernel = torch.rand(3, 1, 3, 3, generator=torch.Generator().manual_seed(1)) / 4

    def lopsided(lq):
        return torch.nn.functional.conv2d(repeated(2)(lq), kernel, padding=1, groups=3)

    prepare(photos, tmp_path / "t", enlarge=lopsided, ensemble=True)
    lq = picture(tmp_path / "t" / "lq" / "a1.png")
    # oracle: turned and turned back by NumPy
    total = np.zeros((50, 60, 3))
    for quarters in range(4):
        for mirrored in (False, True):
            turned = np.rot90(lq[:, ::-1] if mirrored else lq, quarters)
            made = lopsided(to_tensor(turned)[None])[0].numpy().transpose(1, 2, 0)
            back = np.rot90(made, -quarters)
            total += back[:, ::-1] if mirrored else back
    got = picture(tmp_path / "t" / "sr" / "a1.png")
    assert np.abs(got - np.clip(total / 8, 0, 1) * 255).max() <= 0.5001


def test_samples_are_crops_of_the_pictures_and_of_the_photo(photos, tmp_path):
    prepare(photos, tmp_path / "t", scale=3, enlarge=lambda lq: 0.5 * repeated(3)(lq))
    dataset = TeacherDataset(
        folders=(tmp_path / "t",),
        patch=7,
        scales=(1.0, 3.0),
        group=1,
        roots=(photos,),
        augment=False,
    )
    sides = set()
    for n in range(20):
        sample = {name: pixels(values) for name, values in dataset[n].items()}
        side = len(sample["gt"])
        sides.add(side)
        found = 0
        for name in SIZES:
            small = picture(tmp_path / "t" / "lq" / f"{name}.png")
            for top, left, _ in places(sample["lq"], small):
                rows = slice(3 * top, 3 * top + 21), slice(3 * left, 3 * left + 21)
                for key, whole in (
                    ("gt", photos / f"{name}.png"),
                    ("teacher", tmp_path / "t" / "sr" / f"{name}.png"),
                ):
                    reduced = imresize(picture(whole)[rows], size=(side, side))
                    assert np.array_equal(sample[key], reduced)
                found += 1
        assert found == 1
    assert len(sides) > 6


def test_turned_samples_stay_aligned(photos, tmp_path):
    # oracle: squares of the small picture are what the teacher makes, in any orientation
    prepare(photos, tmp_path / "t")
    dataset = TeacherDataset(folders=(tmp_path / "t",), patch=6, scales=(2, 2), seed=4)
    for n in range(12):
        sample = dataset[n]
        assert torch.equal(sample["teacher"], repeated(2)(sample["lq"]))
        assert torch.equal(sample["gt"], sample["teacher"])  # without roots it is the truth
    small = {picture(path).tobytes() for path in (tmp_path / "t" / "lq").iterdir()}
    assert small
    assert dataset.scale == 2


def test_the_folder_of_the_least_scale_that_is_large_enough_is_taken(photos, tmp_path):
    for scale in (2, 4):
        level = scale / 8  # tells the folders apart
        prepare(
            photos,
            tmp_path / f"x{scale}",
            scale=scale,
            enlarge=lambda lq, s=scale, v=level: torch.full_like(repeated(s)(lq), v),
        )
    dataset = TeacherDataset(
        folders=(tmp_path / "x4", tmp_path / "x2"), patch=6, scales=(1.0, 4.0), group=1
    )
    for n in range(30):
        teacher = dataset[n]["teacher"]
        wanted = 0.25 if teacher.shape[-1] <= 12 else 0.5
        assert torch.allclose(teacher, torch.tensor(wanted), atol=1 / 255)


@pytest.mark.parametrize("options", [{"group": 4}, {"queries": 20}], ids=str)
def test_batches_on_a_device_are_the_same_samples(photos, tmp_path, options):
    for scale in (2, 3):
        prepare(photos, tmp_path / f"x{scale}", scale=scale, lq_from="bicubic")
    dataset = TeacherDataset(
        folders=(tmp_path / "x2", tmp_path / "x3"),
        patch=8,
        scales=(1.0, 3.0),
        roots=(photos,),
        on_device=True,
        **options,
    )
    for first in (0, 4, 8, 12):
        compare(dataset, range(first, first + 4), "cpu")
    with BatchLoader(dataset, batch=4, start=0, stop=2) as batches:
        assert {"lq", "gt", "teacher"} <= next(batches).keys()


def test_what_does_not_fit_is_told(photos, tmp_path):
    prepare(photos, tmp_path / "t")

    def make(**changes):
        return TeacherDataset(
            **{"folders": (tmp_path / "t",), "patch": 8, "scales": (2, 2)} | changes
        )

    with pytest.raises(ValueError, match=r"scales up to 3 .* are ×2"):
        make(scales=(1, 3), group=2)
    with pytest.raises(ValueError, match="group=BATCH_SIZE"):
        make(scales=(1, 2))
    with pytest.raises(FileNotFoundError, match=r"prepare_teacher\.py"):
        make(folders=(photos,))
    with pytest.raises(ValueError, match=r"a1\.png.* is in no root"):
        make(roots=(tmp_path,))
    with pytest.raises(ValueError, match=r"smaller than the patch of 26x26"):
        make(patch=26)
    Image.fromarray(noise(40, 40, 1)).save(photos / "a1.png")
    with pytest.raises(ValueError, match=r"a1\.png is 40x40, which .* was not made of"):
        make(roots=(photos,))
    Image.fromarray(noise(40, 40, 1)).save(tmp_path / "t" / "sr" / "b9.png")
    with pytest.raises(ValueError, match=r"b9\.png is not 2 times as large"):
        make()


def test_the_tool_takes_a_file_of_ones_own(photos, tmp_path):
    (tmp_path / "helper.py").write_text("FACTOR = 0.5\n")
    (tmp_path / "mine.py").write_text(
        "from helper import FACTOR\n\n\n"
        "def teacher(lq):\n"
        "    return FACTOR * lq.repeat_interleave(2, -1).repeat_interleave(2, -2)\n"
    )
    command = [sys.executable, ROOT / "tools" / "prepare_teacher.py", photos, "--scale", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for teacher, out in ((tmp_path / "mine.py", "own"), ("esc_tiny_x2", "ours")):
        done = subprocess.run(
            [*command, "-o", tmp_path / out, "--teacher", teacher, "--device", "cpu"],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert "2 pictures" in done.stdout
    own, ours = (picture(tmp_path / out / "sr" / "a1.png") for out in ("own", "ours"))
    assert own.shape == ours.shape == (50, 60, 3)
    assert abs(own.mean() - ours.mean() / 2) < 2
    wrong = subprocess.run(
        [*command, "-o", tmp_path / "x", "--teacher", "no_such"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert wrong.returncode == 1
    assert "no_such" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_d4_is_what_the_ensemble_undoes():
    # the pair of functions on a picture without symmetry
    from escsr.data.teaching import _turned_back

    pixels = noise(4, 6, 0)
    for variant in range(8):
        turned = to_tensor(d4(pixels, variant))
        assert torch.equal(_turned_back(turned, variant), to_tensor(pixels))
