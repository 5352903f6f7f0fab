"""Resizing. Oracle: torch.nn.functional.interpolate in float64."""

import pytest
import torch
import torch.nn.functional as F

from escsr.degradations import RESIZE_MODES, resize

SIZES = [(51, 73), (13, 200), (120, 11), (1, 1), (52, 72), (25, 36), (51, 146), (7, 5)]
CASES = [(mode, widen) for mode in RESIZE_MODES for widen in (False, True)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("mode", "antialias"), [case for case in CASES if case != ("area", True)])
def test_same_as_pytorch(size, mode, antialias):
    images = torch.rand(2, 3, 51, 73, dtype=torch.float64, generator=torch.Generator())
    expected = F.interpolate(images, size, mode=mode, antialias=antialias)
    found = resize(images, size, mode=mode, antialias=antialias)
    assert (found - expected).abs().max() < 1e-12
    single = resize(images.float(), size, mode=mode, antialias=antialias)
    assert (single - expected).abs().max() < 2e-6


def test_gradient():
    """Oracle: finite differences."""
    images = torch.rand(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    for mode in RESIZE_MODES:
        assert torch.autograd.gradcheck(lambda x, mode=mode: resize(x, (3, 8), mode=mode), images)


def test_input_is_left_alone(image):
    before = image.clone()
    resize(image, (20, 90), mode="bicubic")
    assert torch.equal(image, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (0, 5)}, "at least 1"),
        ({"size": (5.5, 5)}, "whole pixels"),
        ({"size": (5, 5), "mode": "nearest"}, "area, bilinear, bicubic"),
        ({"size": (5, 5), "mode": "area", "antialias": True}, "mean already"),
    ],
)
def test_refusals(image, options, message):
    with pytest.raises(ValueError, match=message):
        resize(image, **options)
