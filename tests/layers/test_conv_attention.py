"""Convolutional attention: one convolution equals two. Oracles: loops, rot90 and flip."""

import pytest
import torch
import torch.nn.functional as F

from escsr.layers import (
    ConvAttention,
    DecomposedConvAttention,
    DecomposedLargeKernel,
    LargeKernel,
)
from escsr.layers.conv_attention import (
    convolve_literal,
    convolve_merged,
    depthwise_per_sample,
    symmetrize,
)


def test_symmetrize_is_the_mean_over_the_dihedral_group() -> None:
    kernel = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    turned = [torch.rot90(kernel, n, (2, 3)) for n in range(4)]
    mean = sum(t + t.flip(-1) for t in turned) / 8
    torch.testing.assert_close(symmetrize(kernel), mean)


@pytest.mark.parametrize("side", [3, 5])
def test_depthwise_per_sample_is_a_cross_correlation(side: int) -> None:
    x = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    kernels = torch.randn(2, 3, side, side, dtype=torch.float64)
    out = depthwise_per_sample(x, kernels)
    padded = F.pad(x, [side // 2] * 4)
    for b, c, i, j in ((0, 0, 0, 0), (1, 2, 5, 6), (0, 1, 3, 2), (1, 0, 2, 6)):
        window = padded[b, c, i : i + side, j : j + side]
        assert out[b, c, i, j] == pytest.approx((window * kernels[b, c]).sum().item())


def test_merged_equals_literal() -> None:
    x = torch.randn(1, 4, 9, 8, dtype=torch.float64)
    kernel, dynamic = torch.randn(4, 4, 7, 7).double(), torch.randn(1, 4, 3, 3).double()
    torch.testing.assert_close(
        convolve_merged(x, kernel, dynamic), convolve_literal(x, kernel, dynamic)
    )


@pytest.mark.parametrize(
    ("layer_type", "kernel_type"),
    [(ConvAttention, LargeKernel), (DecomposedConvAttention, DecomposedLargeKernel)],
)
def test_all_paths_agree(layer_type: type, kernel_type: type) -> None:
    torch.manual_seed(0)
    layer = layer_type(8, partial_dim=4).double()
    torch.nn.init.normal_(layer.excite.weight)  # a dynamic kernel that matters
    kernels = kernel_type(4, 7).double()()
    x = torch.randn(3, 8, 6, 9, dtype=torch.float64)
    results = []
    for literal in (True, False):
        layer.literal = literal
        results += [layer(x, kernels), torch.cat([layer(one[None], kernels) for one in x])]
    for result in results[1:]:
        torch.testing.assert_close(result, results[0])


def test_the_rest_of_the_channels_passes_by() -> None:
    layer = ConvAttention(8, partial_dim=4)
    with torch.no_grad():
        layer.aggregate.weight.copy_(torch.eye(8)[..., None, None])
        layer.aggregate.bias.zero_()
    x = torch.randn(1, 8, 5, 5)
    assert torch.equal(layer(x, LargeKernel(4, 3)())[:, 4:], x[:, 4:])


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="kernel_size must be odd"):
        LargeKernel(4, 6)
    with pytest.raises(ValueError, match="partial_dim must lie in"):
        ConvAttention(8, partial_dim=9)
