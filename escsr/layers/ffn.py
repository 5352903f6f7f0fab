"""Feed-forward network with a depthwise convolution."""

from torch import Tensor, nn

from escsr.layers.inplace import add, gelu
from escsr.layers.pointwise import Pointwise


class ConvFFN(nn.Module):
    """Pointwise expansion, depthwise 3×3 beside an identity, pointwise projection.

    ``h = gelu(expand(x)); h = gelu(depthwise(h)) + h; project(h)``, with the exact GELU.

    Args:
        dim: Channels in and out.
        ratio: Hidden width is ``int(dim * ratio)``.

    Shape:
        (B, dim, H, W) to the same.

    Source:
        ESC, arXiv 2503.06671.
    """

    def __init__(self, dim: int, *, ratio: float) -> None:
        super().__init__()
        hidden = int(dim * ratio)
        self.expand = Pointwise(dim, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.project = Pointwise(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network to each pixel and its eight neighbours."""
        hidden = self.expand(x, gelu=True)
        hidden = add(gelu(self.depthwise(hidden)), hidden)
        projected: Tensor = self.project(hidden)
        return projected
