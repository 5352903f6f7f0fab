"""JPEG on tensors. Oracles: block-by-block loops with SciPy's DCT, OpenCV's codec, invariants."""

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn

from escsr.degradations import encode_decode, jpeg_differentiable
from escsr.degradations.jpeg import CHROMA_TABLE
from escsr.images.jpeg_tables import LUMA_TABLE
from tests.degradations.conftest import pictures

TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])


def coded(plane: np.ndarray, table: np.ndarray) -> np.ndarray:
    result = np.empty_like(plane)
    for row in range(0, plane.shape[0], 8):
        for column in range(0, plane.shape[1], 8):
            block = np.s_[row : row + 8, column : column + 8]
            steps = np.round(dctn(plane[block], norm="ortho") / table)
            result[block] = idctn(steps * table, norm="ortho")
    return result


def by_blocks(image: np.ndarray, quality: float, transposed: bool) -> np.ndarray:
    """(H, W, 3) in [0, 1], by the definition."""
    height, width, _ = image.shape
    padded = np.pad(image * 255.0, ((0, -height % 16), (0, -width % 16), (0, 0)))
    ycc = padded @ TO_YCC.T
    factor = (5000 / quality if quality < 50 else 200 - 2 * quality) / 100
    luma = np.array(LUMA_TABLE, float)
    planes = [coded(ycc[..., 0] - 128, (luma.T if transposed else luma) * factor) + 128]
    for channel in (1, 2):
        mean = ycc[..., channel].reshape(len(ycc) // 2, 2, -1, 2).mean(axis=(1, 3))
        small = coded(mean, np.array(CHROMA_TABLE, float) * factor)
        planes.append(small.repeat(2, axis=0).repeat(2, axis=1))
    rgb = np.stack(planes, axis=-1) @ TO_RGB.T
    return np.clip(rgb, 0, 255)[:height, :width] / 255


@pytest.mark.parametrize("quality", [11.3, 49.9, 63.0, 88.8])
@pytest.mark.parametrize("tables", ["standard", "real-esrgan"])
@pytest.mark.parametrize("size", [(48, 64), (37, 29), (5, 3)])
def test_as_defined(quality, tables, size):
    """In float64, so that no coefficient is rounded to another side."""
    image = pictures(1, *size, seed=3).double()
    found = jpeg_differentiable(image, [quality], tables=tables)[0].permute(1, 2, 0).numpy()
    expected = by_blocks(image[0].permute(1, 2, 0).numpy(), quality, tables == "real-esrgan")
    assert np.abs(found - expected).max() < 1e-9


def test_quality_100_rounds_nothing():
    """The limit of the definition, whose factor is 0 there: only chroma loses, by its halving."""
    gray = pictures(1, 37, 29, seed=5)[:, :1].repeat(1, 3, 1, 1)
    assert (jpeg_differentiable(gray, [100]) - gray).abs().max() < 1e-5
    both = jpeg_differentiable(gray.repeat(2, 1, 1, 1), [100, 40])
    assert torch.equal(both[1:], jpeg_differentiable(gray, [40]))
    leaf = gray.clone().requires_grad_()
    jpeg_differentiable(leaf, [100]).sum().backward()
    assert leaf.grad.isfinite().all()


def test_standard_tables_are_those_of_a_real_codec():
    """Oracle: OpenCV's file of a gray picture: there a codec rounds its tables and no more."""
    image = pictures(1, 64, 64, seed=4)[:, :1].repeat(1, 3, 1, 1)
    real = encode_decode(image, "jpeg", [20])
    standard, transposed = (
        (jpeg_differentiable(image, [20], tables=tables) - real).abs().mean().item() * 255
        for tables in ("standard", "real-esrgan")
    )
    assert standard < 1
    assert transposed > 4 * standard


def test_gradient_goes_through_rounding(image):
    image = 0.3 + 0.4 * image  # nothing is clipped
    picture = image.clone().requires_grad_()
    coded_picture = jpeg_differentiable(picture, [60.0])
    assert torch.equal(coded_picture, jpeg_differentiable(image, [60.0]))
    coded_picture.mean().backward()
    # The transform keeps the mean, so each pixel counts about alike.
    gradient = picture.grad * image.numel()
    inside = gradient[:, :, 16:32, 16:32]
    assert inside.mean().item() == pytest.approx(1, abs=1e-3)
    assert gradient.isfinite().all()


def test_lower_quality_is_further_off(image):
    errors = [
        (jpeg_differentiable(image, [q]) - image).abs().mean().item() for q in (95, 60, 30, 10)
    ]
    assert errors == sorted(errors)


@pytest.mark.parametrize(
    ("qualities", "options", "message"),
    [
        ([0.0], {}, "quality"),
        ([101.0], {}, "quality"),
        ([50.0, 50.0], {}, "as many qualities"),
        ([50.0], {"tables": "mine"}, "standard"),
    ],
)
def test_refusals(qualities, options, message, image):
    with pytest.raises(ValueError, match=message):
        jpeg_differentiable(image, qualities, **options)
