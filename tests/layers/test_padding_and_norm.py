"""Reflection padding and layer norm. Oracles: NumPy's reflect, the written-out formula."""

import numpy as np
import pytest
import torch

from escsr.layers import LayerNorm2d, reflect_pad


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (2, 3), (5, 7), (17, 2)])
@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 2, 3, 0), (9, 31, 8, 30)])
def test_reflect_pad_equals_numpy(shape: tuple[int, int], pads: tuple[int, ...]) -> None:
    left, right, top, bottom = pads
    x = torch.rand(2, 3, *shape)
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (top, bottom), (left, right)), mode="reflect")
    found = reflect_pad(x, left=left, right=right, top=top, bottom=bottom)
    assert np.array_equal(found.numpy(), expected)


def test_layer_norm_is_over_channels() -> None:
    norm = LayerNorm2d(5).double()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    centred = x - x.mean(1, keepdim=True)
    expected = centred / (x.var(1, unbiased=False, keepdim=True) + 1e-6).sqrt()
    expected = expected * norm.weight[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(norm(x), expected)
