"""A discriminator that judges every pixel, and the spectral norm that keeps it smooth."""

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

_DRAWN_ITERATIONS = 15
"""Initial power iterations, after which the estimate of the norm is good."""

# ---------------------------------------------------------------------------- spectral norm


class SpectralNorm(nn.Module):
    """A parametrization that divides a weight by its largest singular value.

    That value is estimated by power iteration: one more iteration at each use in training mode,
    none in evaluation mode. It is computed in float32 also under autocast.

    Args:
        weight: The weight, (out, in, ...), seen as a matrix of ``out`` rows.

    Source:
        Spectral Normalization for Generative Adversarial Networks, arXiv 1802.05957.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        self.register_buffer("u", F.normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("v", F.normalize(torch.randn(matrix.shape[1]), dim=0))
        self._iterate(matrix, _DRAWN_ITERATIONS)

    @torch.no_grad()
    def _iterate(self, matrix: Tensor, times: int) -> None:
        for _ in range(times):
            self.u.copy_(F.normalize(torch.mv(matrix, self.v), dim=0))
            self.v.copy_(F.normalize(torch.mv(matrix.T, self.u), dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        """Normalise; gradients flow through the norm too, for fixed singular vectors."""
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.flatten(1)
            if self.training:
                self._iterate(matrix, 1)
            # copies: the backward pass needs the vectors of this use, and the next use changes them
            norm = torch.dot(self.u.clone(), torch.mv(matrix, self.v.clone()))
            return weight / norm


def refresh_norms(network: nn.Module) -> None:
    """Do one power iteration of every spectral norm, and stop them until the next call.

    The engine calls this once at the beginning of a step. All passes of the step, over any number
    of pieces of the batch, then see the same discriminator. It works with
    `torch.nn.utils.parametrizations.spectral_norm` as well as ours.

    Args:
        network: The network; it is left in training mode, its parametrizations in evaluation
            mode.
    """
    network.train()
    with torch.no_grad():
        for module in network.modules():
            if parametrize.is_parametrized(module):
                assert isinstance(module.parametrizations, nn.ModuleDict)
                for name in module.parametrizations:
                    getattr(module, name)
                module.parametrizations.eval()


def _normalised(conv: nn.Conv2d) -> nn.Conv2d:
    parametrize.register_parametrization(conv, "weight", SpectralNorm(conv.weight))
    return conv


# ---------------------------------------------------------------------------- the network


class UNetDiscriminator(nn.Module):
    """Scores every pixel of a picture by how much it looks like part of a photograph.

    Three halvings and three enlargements with skips between equal sizes; every convolution but
    the first and the last is divided by its spectral norm, which steadies the training. Bilinear
    enlargement goes to the size of the skip, so pictures of any size from 8 x 8 are accepted; for
    multiples of 8 it is the network of the paper.

    Args:
        features: Channels at full size, at least 1; 64 in the paper.
        in_channels: Channels of the picture.

    Shape:
        (B, in_channels, H, W), about [0, 1], to logits (B, 1, H, W): above 0 for photographs.

    Raises:
        ValueError: If a number is below 1.

    Example:
        >>> UNetDiscriminator(features=8)(torch.rand(1, 3, 45, 50)).shape
        torch.Size([1, 1, 45, 50])

    Source:
        Real-ESRGAN, arXiv 2107.10833.
    """

    def __init__(self, *, features: int = 64, in_channels: int = 3) -> None:
        super().__init__()
        if features < 1 or in_channels < 1:
            raise ValueError(
                f"features and in_channels must be at least 1, got {features} and {in_channels}"
            )
        widths = [features * 2**level for level in range(4)]
        self.first = nn.Conv2d(in_channels, features, 3, padding=1)
        self.down = nn.ModuleList(
            _normalised(nn.Conv2d(a, 2 * a, 4, stride=2, padding=1, bias=False))
            for a in widths[:-1]
        )
        self.up = nn.ModuleList(
            _normalised(nn.Conv2d(2 * a, a, 3, padding=1, bias=False)) for a in widths[-2::-1]
        )
        self.refine = nn.ModuleList(
            _normalised(nn.Conv2d(features, features, 3, padding=1, bias=False)) for _ in range(2)
        )
        self.last = nn.Conv2d(features, 1, 3, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Judge pictures.

        Raises:
            ValueError: If they are smaller than 8 x 8.
        """
        if min(pictures.shape[-2:]) < 8:
            raise ValueError(
                "the discriminator needs pictures of at least 8 x 8 pixels, got "
                f"{pictures.shape[-2]} x {pictures.shape[-1]}"
            )
        skips = [_leaky(self.first(pictures))]
        for conv in self.down:
            skips.append(_leaky(conv(skips[-1])))
        x = skips.pop()
        for conv in self.up:
            skip = skips.pop()
            x = F.interpolate(x, skip.shape[-2:], mode="bilinear", align_corners=False)
            x = _leaky(conv(x)) + skip
        for conv in self.refine:
            x = _leaky(conv(x))
        logits: Tensor = self.last(x)
        return logits


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


# ---------------------------------------------------------------------------- published files

_PUBLISHED = {
    "conv0": "first",
    **{f"conv{1 + i}": f"down.{i}" for i in range(3)},
    **{f"conv{4 + i}": f"up.{i}" for i in range(3)},
    **{f"conv{7 + i}": f"refine.{i}" for i in range(2)},
    "conv9": "last",
}
_PUBLISHED_PARTS = {
    "weight_orig": "parametrizations.weight.original",
    "weight_u": "parametrizations.weight.0.u",
    "weight_v": "parametrizations.weight.0.v",
}


def from_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate the names of Real-ESRGAN's discriminator files to those of `UNetDiscriminator`.

    Args:
        tensors: A file's tensors; those with other names are returned as they are.

    Returns:
        The same tensors under our names.
    """
    if not all(re.fullmatch(r"conv\d\.\w+", name) for name in tensors):
        return dict(tensors)
    renamed = {}
    for name, tensor in tensors.items():
        module, part = name.split(".")
        renamed[f"{_PUBLISHED[module]}.{_PUBLISHED_PARTS.get(part, part)}"] = tensor
    return renamed
