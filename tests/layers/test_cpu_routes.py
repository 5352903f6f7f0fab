"""Routes that layers take in inference on a CPU.

Oracle: the same layer while gradients are recorded, which takes none of them, and PyTorch itself.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from escsr.heads import PixelShuffle
from escsr.layers import WindowAttention, large_convolution, strips
from escsr.layers.bands import Band
from escsr.layers.interpolation import add_interpolated, interpolate_rows
from escsr.layers.large_convolution import convolve_large
from escsr.layers.pointwise import Pointwise, pointwise_replacing
from escsr.layers.shuffle import convolve_and_shuffle


def picture(*shape: int, last: bool = True) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    memory = torch.channels_last if last else torch.contiguous_format
    return torch.randn(*shape, generator=generator).contiguous(memory_format=memory)


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("shape", [(1, 6, 5, 7), (2, 6, 1, 1), (3, 6, 4, 1)])
def test_pointwise(shape, last):
    layer, x = Pointwise(6, 5), picture(*shape, last=last)
    kept = x.clone()
    for gelu in (False, True):
        wanted = F.conv2d(x, layer.weight, layer.bias)
        wanted = F.gelu(wanted) if gelu else wanted
        with torch.inference_mode():
            found = layer(x, gelu=gelu)
        assert (found - wanted).abs().max() < 2e-6
        assert found.shape == wanted.shape
        assert torch.equal(x, kept)


@pytest.mark.parametrize("last", [True, False])
def test_replaced_channels(last):
    x, first, layer = (
        picture(2, 6, 5, 7, last=last),
        picture(2, 2, 5, 7, last=last),
        Pointwise(6, 5),
    )
    wanted = layer(torch.cat([first, x[:, 2:]], dim=1))
    kept = x.clone()
    with torch.inference_mode():
        found = pointwise_replacing(x, first, layer.weight, layer.bias)
    assert (found - wanted).abs().max() < 2e-6
    assert torch.equal(x, kept)


@pytest.mark.parametrize("channels", [3, 8, 16])
@pytest.mark.parametrize("size", [(1, 1), (5, 4), (16, 9)])
def test_rows_convolved_together(channels, size, monkeypatch):
    x = picture(2, channels, *size)
    kernel = torch.randn(channels, channels, 5, 5)
    wanted = F.conv2d(x, kernel, padding=2)
    # Also where the vectors of this processor are filled anyway.
    monkeypatch.setattr(large_convolution, "_has_vectors_to_fill", lambda _x: True)
    with torch.inference_mode():
        found = convolve_large(x, kernel)
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() < 1e-4


@pytest.mark.parametrize("batch", [1, 2])
def test_attention_in_strips(batch, monkeypatch):
    attention, x = WindowAttention(8, window_size=4, num_heads=2), picture(batch, 8, 13, 9)
    wanted = attention(x)
    monkeypatch.setattr(strips, "_STRIP", 1)  # one row of windows
    heights = []
    attend = attention._attend_windows

    def watched(x, bias):
        heights.append(x.shape[2])
        return attend(x, bias)

    monkeypatch.setattr(attention, "_attend_windows", watched)
    with torch.inference_mode():
        found = attention(x)
    assert heights == [4] * 4 * batch
    assert (found - wanted).abs().max() < 2e-6


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_convolution_before_a_shuffle(factor):
    layer, x = nn.Conv2d(6, 3 * factor**2, 3, padding=1), picture(2, 6, 4, 5)
    wanted = F.pixel_shuffle(layer(x), factor)
    with torch.inference_mode():
        found = convolve_and_shuffle(layer, x, factor)
    assert (found - wanted).abs().max() < 2e-6


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize(
    ("size", "rows"),
    [((12, 15), (0, 12)), ((12, 15), (3, 9)), ((12, 15), (4, 9)), ((10, 15), (0, 10))],
)
def test_an_enlarged_picture_is_added(mode, size, rows):
    lq, sr = picture(2, 3, 4, 5), picture(2, 3, rows[1] - rows[0], size[1])
    wanted = sr + interpolate_rows(Band.whole(lq), size, rows, mode=mode)
    with torch.inference_mode():
        found = add_interpolated(sr.clone(), Band.whole(lq), size, rows, mode=mode)
    assert (found - wanted).abs().max() < 1e-6


def test_pixel_shuffle_head_is_cropped():
    """A backbone that folds pads its picture, so the head makes more than is asked for."""
    head, features, lq = (
        PixelShuffle(6, scale=4),
        picture(1, 6, 3, 4),
        picture(1, 3, 5, 7, last=False),
    )
    wanted = head(features, lq, (10, 14))
    with torch.inference_mode():
        found = head(features, lq, (10, 14))
    assert found.shape == (1, 3, 10, 14)
    assert (found - wanted).abs().max() < 2e-6
