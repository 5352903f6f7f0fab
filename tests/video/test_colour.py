"""Y'CbCr and RGB. Oracles: the definitions of H.273 in plain arithmetic, and libswscale."""

import numpy as np
import pytest
import torch

from escsr.video.colour import ColourTags, from_rgb, to_rgb

av = pytest.importorskip("av")

from escsr.video.frames import frame_of, planar_format, planes_of  # noqa: E402


@pytest.mark.parametrize("matrix", [1, 5, 6, 7, 9, 4, 8])
@pytest.mark.parametrize(("bits", "full"), [(8, False), (10, False), (8, True), (12, True)])
def test_there_and_back(matrix: int, bits: int, full: bool) -> None:
    rgb = torch.rand(3, 12, 10, generator=torch.Generator().manual_seed(0))
    planes = from_rgb(rgb, bits=bits, matrix=matrix, full=full, shape=(12, 10))
    again = to_rgb(planes, bits=bits, matrix=matrix, full=full)
    # Half a step of each of the three, as the matrix adds them up.
    assert (again - rgb).abs().max() < 1.6 / (2**bits * (1 if full else 0.85))


@pytest.mark.parametrize("bits", [8, 10])
def test_known_colours_of_bt709(bits: int) -> None:
    unit = 2 ** (bits - 8)
    colours = {
        (0, 0, 0): (16, 128, 128),
        (1, 1, 1): (235, 128, 128),
        (1, 0, 0): (62.559, 102.336, 240),  # 16 + 219·0.2126; 128 − 224·0.2126/1.8556; 128 + 112
        (0, 0, 1): (31.812, 240, 117.726),
    }
    for rgb, expected in colours.items():
        tensor = torch.tensor(rgb, dtype=torch.float32)[:, None, None].expand(3, 2, 2)
        planes = from_rgb(tensor, bits=bits, matrix=1, full=False, shape=(1, 1))
        assert [round(value * unit) for value in expected] == [int(p[0, 0]) for p in planes]


@pytest.mark.parametrize(("name", "matrix"), [("yuv420p", 1), ("yuv422p", 5), ("yuv444p", 9)])
@pytest.mark.parametrize("full", [False, True])
def test_as_libswscale_where_colours_are_smooth(name: str, matrix: int, full: bool) -> None:
    y, x = np.mgrid[:32, :48]
    rgb = np.stack([60 + 2 * x, 40 + 3 * y, 200 - x - y], -1).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(
        format=name, dst_colorspace=matrix, dst_color_range=2 if full else 1
    )
    planes, bits = planes_of(frame)
    ours = 255 * to_rgb(planes, bits=bits, matrix=matrix, full=full).permute(1, 2, 0).numpy()
    assert np.abs(ours - rgb)[2:-2, 2:-2].max() < 4
    assert np.abs((ours - rgb).mean((0, 1))).max() < 1.7  # libswscale rounds downwards


@pytest.mark.parametrize(
    ("name", "planar"),
    [
        ("nv12", "yuv420p"),
        ("p010le", "yuv420p10le"),
        ("rgb24", "gbrp"),
        ("pal8", "gbrp"),
        ("yuva420p", "yuv420p"),
        ("yuv411p", "yuv444p"),
        ("gray", "gray"),
        ("rgb48le", "gbrp16le"),
        ("yuyv422", "yuv422p"),
        ("yuvj420p", "yuvj420p"),
    ],
)
def test_formats_of_planes(name: str, planar: str) -> None:
    assert planar_format(name) == planar


def test_red_stays_red() -> None:
    rgb = torch.zeros(3, 4, 6)
    rgb[0] = 1
    frame = frame_of(from_rgb(rgb, bits=8, matrix=0, full=True, shape=(4, 6)), "gbrp")
    assert (frame.to_ndarray(format="rgb24") == [255, 0, 0]).all()
    planes, bits = planes_of(frame)
    assert torch.equal(to_rgb(planes, bits=bits, matrix=0, full=True), rgb)


def test_odd_sides() -> None:
    rgb = torch.rand(3, 5, 7)
    frame = frame_of(from_rgb(rgb, bits=8, matrix=1, full=False, shape=(3, 4)), "yuv420p")
    planes, _ = planes_of(frame)
    assert [tuple(plane.shape) for plane in planes] == [(5, 7), (3, 4), (3, 4)]


def test_what_players_guess_does_not_change() -> None:
    none = ColourTags()
    assert none.enlarged((240, 320), (480, 640)) == none
    assert none.enlarged((720, 1280), (1440, 2560)) == none
    assert none.enlarged((480, 640), (960, 1280)).matrix == 6  # not BT.709, as players would take
    tagged = ColourTags(matrix=1, range=1, primaries=9, transfer=16)
    assert tagged.enlarged((480, 640), (960, 1280)) == tagged
