"""Filters and sharpening. Oracles: cv2.filter2D, cv2.GaussianBlur, numpy's own padding."""

import cv2
import numpy as np
import pytest
import torch

from escsr.degradations import blur_kernel, filter2d, oversharpen, usm_sharpen
from tests.degradations.conftest import pictures


def by_opencv(image: torch.Tensor, kernel: np.ndarray) -> np.ndarray:
    planes = image.numpy().astype(np.float64)
    return np.stack(
        [cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_REFLECT_101) for plane in planes]
    )


@pytest.mark.parametrize("size", [(33, 70), (64, 64), (12, 25)])
def test_filter_is_a_correlation_with_reflected_borders(size):
    images = pictures(3, *size)
    rng = np.random.default_rng(0)
    kernels = [rng.random((k, k)) for k in (3, 9, 21)]
    kernels = [kernel / kernel.sum() for kernel in kernels]
    found = filter2d(images, kernels)
    for image, kernel, result in zip(images, kernels, found, strict=True):
        assert np.abs(result.numpy() - by_opencv(image, kernel)).max() < 2e-6


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 2), (10, 4)])
def test_pictures_smaller_than_the_kernel(size):
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    kernel = blur_kernel("gaussian_aniso", 21, sigma_x=3, sigma_y=1, theta=0.5)
    padded = np.pad(image.numpy(), ((0, 0), (0, 0), (10, 10), (10, 10)), mode="reflect")
    expected = np.zeros(image.shape)
    for row in range(size[0]):
        for column in range(size[1]):
            patch = padded[..., row : row + 21, column : column + 21]
            expected[..., row, column] = (patch * kernel).sum(axis=(2, 3))
    assert np.abs(filter2d(image, [kernel]).numpy() - expected).max() < 2e-6


def test_gradients_reach_pictures_and_kernels(image):
    """Oracle: finite differences."""
    picture = image[:, :1, :6, :5].double().requires_grad_()
    kernel = torch.rand(1, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(filter2d, (picture, kernel))
    plain = filter2d(picture.detach(), kernel.detach())
    assert torch.allclose(plain, filter2d(picture, kernel), atol=1e-12)


@pytest.mark.parametrize(("radius", "weight", "threshold"), [(50, 0.5, 10), (21, 1.3, 4)])
def test_usm_by_opencv(radius, weight, threshold):
    image = pictures(1, 70, 64, seed=1)
    picture = image[0].permute(1, 2, 0).double().numpy()
    side = radius + 1 - radius % 2

    def blurred(array: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(array, (side, side), 0, borderType=cv2.BORDER_REFLECT_101)

    residual = picture - blurred(picture)
    soft = blurred((np.abs(residual) * 255 > threshold).astype(np.float64))
    expected = soft * np.clip(picture + weight * residual, 0, 1) + (1 - soft) * picture
    found = usm_sharpen(image, weight=weight, radius=radius, threshold=threshold)
    assert np.abs(found[0].permute(1, 2, 0).numpy() - expected).max() < 1e-4
    assert np.abs(expected - picture).max() > 0.05


def test_oversharpen_by_opencv(image):
    plane = image[0].permute(1, 2, 0).double().numpy()
    side = 2 * 4 + 1  # ceil(3 * 1.2) on each side
    blurred = cv2.GaussianBlur(plane, (side, side), 1.2, borderType=cv2.BORDER_REFLECT_101)
    expected = np.clip(plane + 0.8 * (plane - blurred), 0, 1)
    found = oversharpen(image, [0.8], [1.2])
    assert np.abs(found[0].permute(1, 2, 0).numpy() - expected).max() < 2e-6


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (TypeError, lambda x: filter2d(x.numpy(), []), "tensor"),
        (TypeError, lambda x: filter2d(x.half(), []), "float16"),
        (ValueError, lambda x: filter2d(x, torch.ones(1, 2, 2)), "odd"),
        (ValueError, lambda x: filter2d(x, torch.ones(2, 3, 3)), "as many kernels"),
        (ValueError, lambda x: filter2d(x, []), "no kernels"),
        (ValueError, lambda x: usm_sharpen(x, weight=11), "weight"),
        (ValueError, lambda x: usm_sharpen(x[0]), "B, C, H, W"),
        (ValueError, lambda x: oversharpen(x, [1.0], [0.0]), "sigma"),
        (ValueError, lambda x: oversharpen(x, [1.0, 1.0], [1.0]), "amounts"),
    ],
)
def test_refusals(error, call, message, image):
    with pytest.raises(error, match=message):
        call(image)
