"""Colour. Oracles: OpenCV's YCrCb and resizing, exact level sets."""

import cv2
import numpy as np
import pytest
import torch

from escsr.degradations import quantize, rgb_to_ycbcr, subsample_chroma, to_gray, ycbcr_to_rgb
from tests.degradations.conftest import pictures


def ycrcb(image: torch.Tensor) -> np.ndarray:
    """(H, W, 3) by OpenCV: Y, Cr + 0.5, Cb + 0.5."""
    return cv2.cvtColor(image[0].permute(1, 2, 0).numpy(), cv2.COLOR_RGB2YCrCb)


def test_ycbcr_by_opencv(image):
    expected = ycrcb(image)[..., [0, 2, 1]] - [0, 0.5, 0.5]
    found = rgb_to_ycbcr(image)
    # OpenCV's coefficients for chroma have three digits.
    assert np.abs(found[0].permute(1, 2, 0).numpy() - expected).max() < 1e-3
    assert (ycbcr_to_rgb(found) - image).abs().max() < 2e-6
    gray = cv2.cvtColor(image[0].permute(1, 2, 0).numpy(), cv2.COLOR_RGB2GRAY)
    assert np.abs(to_gray(image)[0, 0].numpy() - gray).max() < 2e-4


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("smooth", [False, True])
def test_chroma_by_opencv(factor, smooth):
    # Colours near gray: nothing is clipped, and chroma can be read from the result.
    image = 0.5 + 0.15 * (pictures(1, 32, 48) - 0.5)
    chroma = ycrcb(image)
    small = cv2.resize(chroma, (48 // factor, 32 // factor), interpolation=cv2.INTER_AREA)
    kind = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    expected = cv2.resize(small, (48, 32), interpolation=kind)
    found = ycrcb(subsample_chroma(image, factor, smooth=smooth))
    assert np.abs(found[..., 1:] - expected[..., 1:]).max() < 1e-3
    assert np.abs(found[..., 0] - chroma[..., 0]).max() < 1e-3


def test_chroma_of_odd_sizes_and_factor_one(image):
    assert subsample_chroma(image[..., :7, :5], 4).shape == (1, 3, 7, 5)
    assert (subsample_chroma(image, 1) - image).abs().max() < 2e-6


def test_levels_are_the_nearest_ones():
    image = torch.rand(2, 3, 30, 30, generator=torch.Generator().manual_seed(0)) * 1.2 - 0.1
    found = quantize(image, [5, 256])
    grid = torch.arange(5) / 4
    nearest = grid[(image[:1].unsqueeze(-1) - grid).abs().argmin(-1)]
    assert torch.equal(found[:1], nearest)
    assert len(torch.unique(found[0])) == 5
    assert torch.equal(found[1], (image[1].clamp(0, 1) * 255).round() / 255)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: quantize(x, [1]), "levels"),
        (lambda x: quantize(x, [8, 8]), "as many levels"),
        (lambda x: subsample_chroma(x, 0), "factor"),
        (lambda x: subsample_chroma(x, 2.5), "factor"),
        (lambda x: rgb_to_ycbcr(x[:, :2]), "B, 3, H, W"),
    ],
)
def test_refusals(call, message, image):
    with pytest.raises(ValueError, match=message):
        call(image)
