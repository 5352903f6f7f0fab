"""Noise. Oracles: moments, the definitions written out per picture, invariants."""

import numpy as np
import pytest
import torch

from escsr.degradations import camera_noise, gaussian_noise, poisson_noise
from escsr.degradations.effects import GaussianNoiseParameters, PoissonNoiseParameters
from escsr.degradations.literal import _gaussian, _poisson
from tests.degradations.conftest import pictures


def flat(value: float, side: int = 128) -> torch.Tensor:
    return torch.full((1, 3, side, side), value)


@pytest.mark.parametrize("sigma", [3.0, 25.0])
def test_gaussian_has_its_deviation(sigma):
    """49152 samples: the deviation's own standard error is 0.3 %."""
    noise = gaussian_noise(flat(0.5), [sigma], grays=[False], seeds=[1]) - 0.5
    assert noise.std().item() * 255 == pytest.approx(sigma, rel=0.02)
    assert abs(noise.mean().item()) * 255 < sigma / 50
    channels = noise[0].flatten(1)
    assert torch.corrcoef(channels).fill_diagonal_(0).abs().max() < 0.03


def test_gray_noise_is_the_same_in_all_channels():
    for noisy in (
        gaussian_noise(flat(0.5), [9.0], grays=[True], seeds=[1]),
        poisson_noise(flat(0.5), [1.0], grays=[True], seeds=[1]),
    ):
        assert noisy.std() > 0.01
        assert torch.equal(noisy[:, 0], noisy[:, 1])
        assert torch.equal(noisy[:, 0], noisy[:, 2])


@pytest.mark.parametrize("gray", [False, True])
def test_as_written_out(gray):
    image = pictures(1, 40, 33)
    step = PoissonNoiseParameters(scale=1.7, gray=gray, seed=5)
    found = poisson_noise(image, [1.7], grays=[gray], seeds=[5])
    assert (found - _poisson(image, step)).abs().max() < 1e-6
    step = GaussianNoiseParameters(sigma=17.0, gray=gray, seed=5)
    found = gaussian_noise(image, [17.0], grays=[gray], seeds=[5])
    assert (found - _gaussian(image, step)).abs().max() < 1e-6


def test_poisson_variance_is_mean_over_photons():
    """A ramp of 256 levels: 256 photons at white, so the variance at x is x / 256 · scale²."""
    ramp = (torch.arange(256) / 255).repeat(1, 3, 512, 1)
    noise = poisson_noise(ramp, [1.0], grays=[False], seeds=[3]) - ramp
    for level in (32, 100, 180):
        variance = noise[..., level].var().item()
        assert variance == pytest.approx(level / 255 / 256, rel=0.12)


def test_camera_noise_has_its_variance_in_linear_light():
    for level in (0.3, 0.6):
        noisy = camera_noise(flat(level), [0.05], [0.01], grains=[0.0], seeds=[2])
        variance = (noisy**2).var().item()
        assert variance == pytest.approx(0.05**2 * level**2 + 0.01**2, rel=0.05)


def test_grain_keeps_the_variance_and_joins_neighbours():
    fine = camera_noise(flat(0.5), [0.05], [0.01], grains=[0.0], seeds=[2])[0, 0] ** 2
    coarse = camera_noise(flat(0.5), [0.05], [0.01], grains=[1.0], seeds=[2])[0, 0] ** 2
    assert coarse.var().item() == pytest.approx(fine.var().item(), rel=0.06)

    def correlation(plane: torch.Tensor) -> float:
        pair = np.corrcoef(plane[:, :-1].numpy().ravel(), plane[:, 1:].numpy().ravel())
        return float(pair[0, 1])

    assert abs(correlation(fine)) < 0.03
    # Of a Gaussian of 1 pixel, at a distance of 1: exp(-1/4).
    assert correlation(coarse) == pytest.approx(np.exp(-0.25), abs=0.05)


def test_seeds_decide():
    image = pictures(1, 20, 20)
    one, same, other = (
        gaussian_noise(image, [9.0], grays=[False], seeds=[seed]) for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    torch.manual_seed(0)  # the global generator is neither used nor moved
    state = torch.get_rng_state()
    poisson_noise(image, [1.0], grays=[False], seeds=[1])
    assert torch.equal(state, torch.get_rng_state())


def test_black_and_white_stay_in_range():
    for value in (0.0, 1.0):
        for noisy in (
            gaussian_noise(flat(value, 16), [255.0], grays=[False], seeds=[0]),
            poisson_noise(flat(value, 16), [10.0], grays=[False], seeds=[0]),
            camera_noise(flat(value, 16), [1.0], [1.0], grains=[5.0], seeds=[0]),
        ):
            assert noisy.min() >= 0
            assert noisy.max() <= 1
            assert noisy.isfinite().all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: gaussian_noise(x, [-1.0], grays=[False], seeds=[0]), "sigma"),
        (lambda x: gaussian_noise(x, [1.0], grays=[False], seeds=[-1]), "seed"),
        (lambda x: gaussian_noise(x, [1.0], grays=[False], seeds=[0, 1]), "as many seeds"),
        (lambda x: poisson_noise(x, [11.0], grays=[False], seeds=[0]), "scale"),
        (lambda x: camera_noise(x, [0.1], [2.0], grains=[0.0], seeds=[0]), "read"),
        (lambda x: camera_noise(x[:, :1], [0.1], [0.1], grains=[0.0], seeds=[0]), "B, 3, H, W"),
    ],
)
def test_refusals(call, message, image):
    with pytest.raises(ValueError, match=message):
        call(image)
