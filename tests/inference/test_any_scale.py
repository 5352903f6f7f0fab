"""Exact sizes through `escsr.upscale`, with a network for any scale and with one of one scale.

Oracles: the network itself, asked for the size, and `imresize`.
"""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import escsr
from escsr.backbones import BACKBONES
from escsr.heads import Head
from escsr.images import to_float
from escsr.inference import UpscaleNotice, estimate_memory
from escsr.resize import imresize

pytestmark = pytest.mark.filterwarnings("ignore::escsr.inference.UpscaleNotice")

SMALL = {"num_blocks": 1, "conv_blocks": 1}


class Plain(Head):
    """The least that makes any scale."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.to_rgb = nn.Conv2d(in_channels, 3, 1)

    def forward(self, features: Tensor, lq: Tensor, size: tuple[int, int]) -> Tensor:
        enlarged = F.interpolate(self.to_rgb(features), size, mode="bilinear")
        return F.interpolate(lq, size, mode="bilinear") + 0.1 * enlarged


@pytest.fixture(scope="module")
def free() -> escsr.SuperResolver:
    """A network for any scale."""
    torch.manual_seed(0)
    backbone = BACKBONES.get("esc_tiny")(**SMALL)
    config = escsr.ModelConfig(backbone="esc_tiny", head="plain")
    model = escsr.SuperResolver(backbone, Plain(backbone.out_channels), config=config).eval()
    model.trained = True  # so that no notice of it comes
    return model


@pytest.fixture(scope="module")
def fixed() -> escsr.SuperResolver:
    torch.manual_seed(0)
    model = escsr.build("esc_tiny", scale=2, backbone_args=SMALL).eval()
    model.trained = True
    return model


def photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def planes(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(to_float(pixels))[None]


REQUESTS = [
    ((1, 1), {"size": (3, 5)}, (3, 5)),
    ((17, 31), {"size": (100, 64)}, (100, 64)),
    ((17, 31), {"scale": 2.5}, (42, 78)),
    ((17, 31), {"scale": 3.14159}, (53, 97)),
    ((17, 31), {"scale": 30}, (510, 930)),
    ((17, 31), {"scale": 1}, (17, 31)),
    ((17, 31), {"width": 100}, (55, 100)),
    ((17, 31), {"height": 100}, (100, 182)),
    ((17, 31), {"min_side": 50}, (50, 91)),
    ((17, 31), {"max_side": 50}, (27, 50)),
]


@pytest.mark.parametrize(("shape", "asked", "size"), REQUESTS)
def test_exact_sizes_of_any_scale(
    free: escsr.SuperResolver, shape: tuple[int, int], asked: dict, size: tuple[int, int]
) -> None:
    pixels = photo(*shape)
    result = escsr.upscale(pixels, model=free, **asked)
    with torch.inference_mode():
        expected = free(planes(pixels), size=size)[0].clamp(0, 1).permute(1, 2, 0).numpy()
    assert result.shape == (*size, 3)
    assert np.abs(result - expected * 255).max() <= 0.501  # nothing but the rounding between


@pytest.mark.parametrize(("shape", "asked", "size"), REQUESTS)
def test_exact_sizes_of_one_scale(
    fixed: escsr.SuperResolver, shape: tuple[int, int], asked: dict, size: tuple[int, int]
) -> None:
    assert escsr.upscale(photo(*shape), model=fixed, **asked).shape == (*size, 3)


def test_any_scale_has_nothing_to_notice(free: escsr.SuperResolver) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        escsr.upscale(photo(9, 12), width=31, model=free)
        assert escsr.upscale(photo(9, 12), model=free).shape == (36, 48, 3)  # unasked: ×4


@pytest.mark.parametrize("asked", [{"scale": 0.5}, {"size": (20, 13)}, {"max_side": 20}])
def test_smaller_is_a_filter_and_is_said(
    free: escsr.SuperResolver, fixed: escsr.SuperResolver, asked: dict
) -> None:
    pixels = photo(20, 26)
    for model in (free, fixed):
        with pytest.warns(UpscaleNotice, match="smaller than the picture, 26×20.*filter") as seen:
            result = escsr.upscale(pixels, model=model, **asked)
        assert all("untrained" not in str(notice.message) for notice in seen)
        expected = imresize(pixels, size=result.shape[:2], round_between=False)
        assert np.abs(result.astype(int) - expected).max() <= 1
        tensor = escsr.upscale(planes(pixels), model=model, **asked)
        assert np.abs(tensor[0].permute(1, 2, 0).numpy() * 255 - expected).max() <= 0.51


def test_one_side_up_and_one_down(free: escsr.SuperResolver) -> None:
    pixels = photo(20, 26)
    with pytest.warns(UpscaleNotice, match="one side is to shrink: its result of 26×50 pixels"):
        result = escsr.upscale(pixels, size=(50, 13), model=free)
    with torch.inference_mode():
        made = free(planes(pixels), size=(50, 26))[0].clamp(0, 1).permute(1, 2, 0).numpy()
    expected = np.clip(imresize(made, size=(50, 13)), 0, 1)
    assert np.abs(result - expected * 255).max() <= 0.51


def test_transparency_follows_the_size(free: escsr.SuperResolver) -> None:
    rgba = np.dstack([photo(20, 26), photo(20, 26)[..., 0]])
    with pytest.warns(UpscaleNotice):
        small = escsr.upscale(rgba, scale=0.5, model=free)
    assert np.array_equal(small[..., 3], imresize(rgba[..., 3], size=(10, 13), round_between=False))
    assert escsr.upscale(rgba, height=47, model=free).shape == (47, 61, 4)


def test_default_stretches_too() -> None:
    with pytest.warns(UpscaleNotice, match="stretches"):
        wide = escsr.upscale(photo(6, 6), size=(7, 24))
    assert wide.shape == (7, 24, 3)


@pytest.mark.parametrize("head", ["lte", "liif"])
def test_memory_of_implicit_heads_is_foreseen(head: str) -> None:
    """Their tables of coordinates and their blocks of rows work on tensors without contents."""
    if head not in escsr.list_heads():
        pytest.skip(f"this version has no head {head!r}")
    model = escsr.build("esc_tiny", head=head, backbone_args=SMALL)
    small, large = (estimate_memory(model, 64, 64, (side, side)) for side in (128, 512))
    assert small < large
    # The result is there at least; one hidden layer of the whole grid at once is never.
    assert 3 * 512 * 512 * 4 < large < 256 * 512 * 512 * 4
    pixels = photo(9, 12)
    with pytest.warns(UpscaleNotice, match="untrained"):
        assert escsr.upscale(pixels, size=(23, 31), model=model).shape == (23, 31, 3)
