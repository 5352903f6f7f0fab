"""A small head for any scale, in a package of its own: copy it and change what it computes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.heads import Head

__all__ = ["PointHead"]


class PointHead(Head):
    """Any scale: every point is a small function of the features around it and of its place.

    Features are looked up bilinearly; the place between the pixels of the features, (-0.5, 0.5]
    in both directions, is two numbers more. Two pointwise layers make a correction of the
    bilinearly enlarged picture. Nothing depends on the grid that is asked for, so that a larger
    grid shows more points of the same picture. It is the local implicit function of LIIF (Chen
    et al., CVPR 2021, arXiv 2012.09161), cut down to its cheapest parts.

    Args:
        in_channels: Channels of the features.
        hidden_dim: Channels between the two layers.

    Raises:
        ValueError: If ``hidden_dim`` is below 1.

    Example:
        >>> model = escsr.build("esc_tiny", head="point", head_args={"hidden_dim": 32})
        >>> model(torch.rand(1, 3, 20, 30), size=(47, 61)).shape
        torch.Size([1, 3, 47, 61])
    """

    def __init__(self, in_channels: int, *, hidden_dim: int = 32) -> None:
        super().__init__()
        if hidden_dim < 1:
            raise ValueError(f"hidden_dim must be at least 1, not {hidden_dim}")
        # A linear layer may go before the linear interpolation: there it has fewer pixels to do.
        self.of_features = nn.Conv2d(in_channels, hidden_dim, 3, padding=1)
        self.of_place = nn.Conv2d(2, hidden_dim, 1, bias=False)
        self.to_rgb = nn.Conv2d(hidden_dim, 3, 1)
        # Untrained, it is nearly the plain enlargement: a good place to start from.
        nn.init.normal_(self.to_rgb.weight, std=1e-3)
        nn.init.zeros_(self.to_rgb.bias)

    def forward(self, features: Tensor, lq: Tensor, size: tuple[int, int]) -> Tensor:
        """Make the picture.

        Args:
            features: (B, in_channels, h, w).
            lq: (B, 3, H, W), RGB in [0, 1].
            size: (H_out, W_out) to make.

        Returns:
            (B, 3, H_out, W_out).
        """
        hidden = F.interpolate(self.of_features(features), size, mode="bilinear")
        place = self.of_place(places(features, size))  # (1, hidden_dim, H_out, W_out)
        correction: Tensor = self.to_rgb(F.relu(hidden + place))
        return F.interpolate(lq, size, mode="bilinear") + correction


def places(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Where each pixel of the result lies between the pixels of the features.

    Args:
        features: (B, C, h, w); only its shape, type and device count.
        size: (H_out, W_out).

    Returns:
        (1, 2, H_out, W_out): down and right from the nearest pixel's centre, in pixels of the
        features, in (-0.5, 0.5].
    """
    axes = []
    for made, given in zip(size, features.shape[-2:], strict=True):
        # Centre of output pixel i in pixels of the features; in float64, for the sake of rounding.
        centre = (torch.arange(made, dtype=torch.float64) + 0.5) * given / made - 0.5
        axes.append((centre - torch.ceil(centre - 0.5)).to(features))
    down, right = torch.meshgrid(*axes, indexing="ij")
    return torch.stack((down, right))[None]
