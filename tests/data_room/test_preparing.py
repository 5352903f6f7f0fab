"""Preparing photos. Oracles: numpy on the photos, and what an uninterrupted run gives."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from escsr.data import list_images, prepare_photos
from escsr.data import preparing as module
from escsr.data.preparing import positions
from tests.forking import run_python

ROOT = Path(__file__).resolve().parents[2]


def noise(height, width, seed):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def source(tmp_path):
    """Two good photos and one of each fault."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    Image.fromarray(noise(50, 70, 1)).save(folder / "a.png")
    Image.fromarray(noise(40, 32, 2)).save(folder / "more" / "b.png")
    Image.fromarray(noise(50, 70, 1)).save(folder / "same_as_a.bmp")
    Image.fromarray(noise(31, 70, 3)).save(folder / "tiny.png")
    Image.fromarray(noise(40, 40, 4)[..., 0]).save(folder / "gray.png")
    Image.fromarray(np.dstack([noise(40, 40, 5), noise(40, 40, 6)[..., 0]])).save(folder / "t.png")
    (folder / "broken.png").write_bytes(b"nothing")
    return folder


def make(source, out, **changes):
    return prepare_photos([source], out, **({"crop": 32, "step": 16, "workers": 2} | changes))


def contents(folder):
    return {path.name: path.read_bytes() for path in list_images([folder])}


@pytest.mark.parametrize(("length", "side", "step"), [(100, 32, 16), (33, 32, 32), (97, 48, 7)])
def test_pieces_cover_the_length(length, side, step):
    starts = positions(length, side, step)
    assert starts[0] == 0
    assert starts[-1] == length - side
    gaps = np.diff(starts)
    assert 0 < gaps.min() <= gaps.max() <= step
    assert gaps.max() - gaps.min() <= 1
    assert positions(side, side, step) == positions(side - 5, side, step) == [0]


def test_sub_images_are_cut_from_the_photos(source, tmp_path):
    out = tmp_path / "out"
    report = make(source, out)
    photo = np.asarray(Image.open(source / "a.png"))
    covered = np.zeros(photo.shape[:2], int)
    for path in list_images([out], include=["a_*"]):
        piece = np.asarray(Image.open(path))
        assert piece.shape == (32, 32, 3)
        windows = np.lib.stride_tricks.sliding_window_view(photo, piece.shape)[:, :, 0]
        (place,) = np.argwhere((windows == piece).all(axis=(-3, -2, -1)))
        covered[place[0] : place[0] + 32, place[1] : place[1] + 32] += 1
    assert covered.min() >= 1
    pieces = list_images([out])
    assert report["statistics"]["sub_images"] == len(pieces) == 3 * 4 + 2 + 4
    assert report["statistics"]["bytes"] == sum(path.stat().st_size for path in pieces)
    assert (out / "more" / "b_002.png").exists()
    assert Image.open(out / "gray_001.png").mode == "L"


def test_faults_are_named_and_left_out(source, tmp_path):
    report = make(source, tmp_path / "out", gray=False)
    said = {Path(path).name: problem for path, problem in report["left_out"].items()}
    starts = {
        "same_as_a.bmp": "duplicate: the same as",
        "tiny.png": "small: 70x31",
        "gray.png": "gray",
        "t.png": "transparent",
        "broken.png": "unreadable",
    }
    assert said.keys() == starts.keys()
    assert all(said[name].startswith(start) for name, start in starts.items())
    assert [Path(photo["path"]).name for photo in report["photos"]] == ["a.png", "b.png"]
    assert json.loads((tmp_path / "out" / "prepared.json").read_text()) == report


def test_statistics_are_those_of_the_photos(tmp_path):
    source = tmp_path / "photos"
    source.mkdir()
    tiles = [noise(10, 10, n).repeat(4, axis=0).repeat(4, axis=1) for n in (1, 2)]
    tiles[1] = np.vstack([tiles[1], tiles[1] // 3])
    for n, tile in enumerate(tiles):
        Image.fromarray(tile).save(source / f"{n}.png")
    figures = make(source, tmp_path / "out")["statistics"]
    pixels = np.concatenate([tile.reshape(-1, 3) for tile in tiles]) / 255
    assert np.allclose(figures["mean_rgb"], pixels.mean(axis=0), atol=1e-9)
    assert np.allclose(figures["std_rgb"], pixels.std(axis=0), atol=1e-9)
    assert figures["height"] == {"min": 40, "median": 60, "max": 80}
    assert (figures["photos"], figures["megapixels"], figures["gray"]) == (2, 4800e-6, 0)


def test_an_interrupted_run_goes_on(source, tmp_path, monkeypatch):
    make(source, tmp_path / "whole")
    out = tmp_path / "out"
    write, left = module.write_image, [7]

    def failing(path, picture):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(f"{path}: no space left")
        write(path, picture)

    monkeypatch.setattr(module, "write_image", failing)
    with pytest.raises(OSError, match="no space left"):
        make(source, out, workers=1)
    assert json.loads((out / "prepared.json").read_text())["finished"] is False
    assert len(list_images([out])) == 7
    left[0] = 11  # as many as are missing, and no more
    assert make(source, out)["finished"] is True
    assert contents(out) == contents(tmp_path / "whole")


def test_a_changed_photo_is_cut_anew_and_others_are_left(source, tmp_path):
    out = tmp_path / "out"
    make(source, out)
    untouched = (out / "more" / "b_001.png").stat().st_mtime_ns
    Image.fromarray(noise(32, 60, 9)).save(source / "a.png")
    report = make(source, out)
    make(source, tmp_path / "fresh")
    fresh, now = contents(tmp_path / "fresh"), contents(out)
    assert all(now[name] == data for name, data in fresh.items())
    assert {Path(path).name for path in report["left_over"]} == now.keys() - fresh.keys() != set()
    assert (out / "more" / "b_001.png").stat().st_mtime_ns == untouched


def test_two_sources_of_one_name_each(source, tmp_path):
    other = tmp_path / "others"
    other.mkdir()
    Image.fromarray(noise(40, 40, 11)).save(other / "a.png")
    prepare_photos([source, other], tmp_path / "out", crop=32, step=16)
    assert (tmp_path / "out" / "photos" / "a_012.png").exists()
    assert (tmp_path / "out" / "others" / "a_004.png").exists()


def test_wrong_use_is_refused(source, tmp_path):
    make(source, tmp_path / "out")
    with pytest.raises(ValueError, match="made with"):
        make(source, tmp_path / "out", step=8)
    with pytest.raises(ValueError, match="inside the source"):
        make(source, source / "out")
    with pytest.raises(ValueError, match="holds other files"):
        make(source, ROOT / "examples")
    with pytest.raises(ValueError, match="step must be at most crop"):
        make(source, tmp_path / "new", step=33)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        make(tmp_path / "nowhere", tmp_path / "new")
    Image.fromarray(noise(40, 40, 1)).save(source / "a.jpg")
    with pytest.raises(ValueError, match="same names"):
        make(source, tmp_path / "new")
    with pytest.raises(FileNotFoundError, match=r"no photo can be used[\s\S]*small"):
        make(source, tmp_path / "new", include=["tiny*"])


@pytest.mark.parametrize(
    ("crop", "step", "code", "said"),
    [
        ("32", "16", 0, ["tiny.png: small: 70x31", "sub_images: 18"]),
        ("16", "32", 1, ["error: step must be at most crop"]),
    ],
)
def test_tool_prepares_or_says_why_not(source, tmp_path, crop, step, code, said):
    tool, out = ROOT / "tools" / "prepare_data.py", tmp_path / "out"
    run = run_python(tool, source, "-o", out, "--crop", crop, "--step", step, cwd=tmp_path)
    assert run.returncode == code
    assert all(part in (run.stderr if code else run.stdout) for part in said)
    assert (out / "prepared.json").exists() is (code == 0)
