"""Layer normalisation over the channels of a picture."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.choices import choices_for


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of an NCHW tensor.

    Args:
        dim: Number of channels.
        eps: Added to the variance.

    Shape:
        (B, dim, H, W) to the same. The result is channels-last in memory, which makes
        convolutions on a CPU several times faster, unless `escsr.choices` chooses otherwise.

    Source:
        Layer Normalization, arXiv 1607.06450.
    """

    def __init__(self, dim: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each pixel over its channels."""
        channels_last = x.permute(0, 2, 3, 1)
        normed = F.layer_norm(channels_last, self.weight.shape, self.weight, self.bias, self.eps)
        normed = normed.permute(0, 3, 1, 2)
        contiguous = choices_for(x.device, x.dtype).layout == "contiguous"
        return normed.contiguous() if contiguous else normed
