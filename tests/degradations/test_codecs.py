"""Real codecs. Oracle: OpenCV's own encoding and decoding, bit for bit."""

import sys

import cv2
import numpy as np
import pytest
import torch

from escsr.degradations import encode_decode, encode_decode_video
from tests.degradations.conftest import pictures

OPTION = {
    "jpeg": (".jpg", cv2.IMWRITE_JPEG_QUALITY),
    "webp": (".webp", cv2.IMWRITE_WEBP_QUALITY),
    "avif": (".avif", getattr(cv2, "IMWRITE_AVIF_QUALITY", 512)),
}


def by_opencv(image: torch.Tensor, ending: str, options: list[int]) -> torch.Tensor:
    rgb = (image * 255).round().byte().permute(1, 2, 0).numpy()
    data = cv2.imencode(ending, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)[1]
    back = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return torch.from_numpy(back.astype(np.float32) / 255).permute(2, 0, 1)


@pytest.mark.parametrize("file_format", ["jpeg", "webp", "avif"])
@pytest.mark.parametrize("size", [(31, 48), (64, 1)])
def test_bits_of_opencv(file_format, size):
    ending, option = OPTION[file_format]
    if not cv2.haveImageWriter(ending):
        pytest.skip(f"this OpenCV has no {file_format}")
    images = pictures(3, *size)
    found = encode_decode(images, file_format, [20, 60, 95])
    for image, quality, result in zip(images, (20, 60, 95), found, strict=True):
        assert torch.equal(result, by_opencv(image, ending, [option, quality]))


def test_jpeg_subsampling(image):
    """4:2:0 is what OpenCV does unasked; 4:4:4 keeps more of the colours."""
    unasked = by_opencv(image[0], ".jpg", [cv2.IMWRITE_JPEG_QUALITY, 70])
    assert torch.equal(encode_decode(image, "jpeg", [70])[0], unasked)
    errors = [
        (encode_decode(image, "jpeg", [70], subsampling=kind) - image).abs().mean().item()
        for kind in ("4:4:4", "4:2:2", "4:2:0")
    ]
    assert errors == sorted(errors)
    assert errors[0] < errors[2]


def test_values_outside_are_clipped_and_halves_rounded():
    image = torch.full((1, 3, 16, 16), 1.7)
    assert torch.equal(encode_decode(image, "webp", [100]), torch.ones_like(image))


def test_missing_writer_is_said(monkeypatch, image):
    monkeypatch.setattr(cv2, "haveImageWriter", lambda _ending: False)
    with pytest.raises(RuntimeError, match=r"without avif: upgrade"):
        encode_decode(image, "avif", [50])


def test_missing_pyav_is_said(monkeypatch, image):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'escsr\[video\]'"):
        encode_decode_video(image, "h264", [30])


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 5)])
@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg4", "vp9"])
def test_any_size_is_a_video(codec, size, capfd):
    """Oracle: the picture is one colour, which a codec keeps; nothing is printed."""
    pytest.importorskip("av")
    image = torch.full((1, 3, *size), 0.5)
    found = encode_decode_video(image, codec, [10])
    assert found.shape == image.shape
    assert (found - image).abs().max() < 0.03
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("codec", ["h264", "mpeg4", "vp9"])
def test_video_does_not_depend_on_what_lay_in_memory(codec):
    """Oracle: the first time, while memory is taken and given back in between."""
    pytest.importorskip("av")
    image, rng = pictures(1, 43, 61), np.random.default_rng(0)
    first = encode_decode_video(image, codec, [21], motion=(1, -3))
    for _ in range(60):
        junk = [np.full(rng.integers(1, 200_000), 7, np.uint8) for _ in range(3)]
        assert torch.equal(first, encode_decode_video(image, codec, [21], motion=(1, -3)))
        del junk


@pytest.mark.parametrize("codec", ["h264", "mpeg4", "vp9"])
def test_video_is_near_the_picture_and_again_the_same(codec):
    """Oracle: invariants; only where PyAV is installed."""
    pytest.importorskip("av")
    image = pictures(1, 63, 97)
    fine, coarse = (encode_decode_video(image, codec, [quality]) for quality in (5, 30))
    assert fine.shape == image.shape
    assert (fine - image).abs().mean() < (coarse - image).abs().mean() < 0.15
    assert torch.equal(coarse, encode_decode_video(image, codec, [30]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: encode_decode(x, "gif", [50]), "jpeg, webp, avif"),
        (lambda x: encode_decode(x, "jpeg", [0]), "quality"),
        (lambda x: encode_decode(x, "jpeg", [50.5]), "whole number"),
        (lambda x: encode_decode(x, "jpeg", [50], subsampling="4:1:1"), "4:2:0"),
        (lambda x: encode_decode(x, "jpeg", [50, 50]), "as many qualities"),
        (lambda x: encode_decode_video(x, "av1", [30]), "h264"),
        (lambda x: encode_decode_video(x, "mpeg4", [40]), "quality"),
        (lambda x: encode_decode_video(x, "h264", [40], frames=0), "frames"),
        (lambda x: encode_decode_video(x, "h264", [40], motion=(0, 99)), "motion"),
        (lambda x: encode_decode_video(x, "h264", [40], motion=(1,)), r"\(down, right\)"),
    ],
)
def test_refusals(call, message, image):
    with pytest.raises(ValueError, match=message):
        call(image)
