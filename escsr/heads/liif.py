"""Local implicit image function."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.heads.base import HEADS
from escsr.heads.implicit import ImageSkip, ImplicitHead, Places, check_positive, perceptron
from escsr.layers.inplace import add, relu


@HEADS.register(
    "liif",
    about="As published: a perceptron computes each pixel from the nearest features.",
)
class LIIF(ImplicitHead):
    """A perceptron from the features near a point, and where the point lies, to its colour.

    The defaults are those published. The part of the first layer that sees features is a
    convolution over them, once per pixel of the features instead of four times per pixel of
    the result.

    Args:
        in_channels: Channels of the features.
        hidden_dim: Width of the hidden layers.
        depth: Number of hidden layers.
        local_ensemble: See `ImplicitHead`.
        unfold: See the 3×3 pixels around a pixel of the features, not only itself.
        cell_decode: Give the perceptron the size of the requested pixel.
        cell_max_scale: See `ImplicitHead`; the published LIIF clips nothing, ESC with it
            does at 4.
        image_skip: See `ImplicitHead`; published without.
        memory_mib: See `ImplicitHead`.

    Raises:
        ValueError: If an argument is impossible.

    Source:
        Learning Continuous Image Representation with Local Implicit Image Function,
        arXiv 2012.09161.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        hidden_dim: int = 256,
        depth: int = 4,
        local_ensemble: bool = True,
        unfold: bool = True,
        cell_decode: bool = True,
        cell_max_scale: float | None = None,
        image_skip: ImageSkip = None,
        memory_mib: float = 128,
    ) -> None:
        super().__init__(
            local_ensemble=local_ensemble,
            cell_max_scale=cell_max_scale,
            image_skip=image_skip,
            memory_mib=memory_mib,
        )
        check_positive(hidden_dim=hidden_dim, depth=depth)
        self.cell_decode = cell_decode
        self.kernel_size = 3 if unfold else 1
        self.seen = in_channels * self.kernel_size**2
        # Inputs of the first layer: features (channel, row, column), y, x, cell y, cell x.
        inputs = [self.seen + (4 if cell_decode else 2), *[hidden_dim] * (depth - 1)]
        first, *others = (nn.Linear(width, hidden_dim) for width in inputs)
        self.first = first
        self.layers = nn.ModuleList(others)
        self.last = nn.Linear(hidden_dim, 3)

    @property
    def widths(self) -> tuple[int, int]:
        """See `ImplicitHead`."""
        return self.first.out_features, self.first.out_features

    def prepare(self, features: Tensor, cell: Tensor) -> tuple[Tensor, ...]:
        """The first layer's view of the features, (B, h, w, hidden_dim)."""
        side = self.kernel_size
        weight = self.first.weight[:, : self.seen]
        kernel = weight.reshape(len(weight), -1, side, side)
        return (F.conv2d(features, kernel, padding=side // 2).permute(0, 2, 3, 1).contiguous(),)

    def hidden(self, maps: tuple[Tensor, ...], places: Places) -> Tensor:
        """All layers but the last."""
        y, x, *cell = self.first.weight[:, self.seen :].unbind(1)
        constant: Tensor = self.first.bias
        if self.cell_decode:
            constant = constant + F.linear(places.cell, torch.stack(cell, dim=1))
        found = add(places.take(maps[0]), places.x * x + constant)
        return perceptron(relu(add(found, places.y * y)), self.layers)
