"""Convolutional attention: a large kernel shared by all layers plus a small dynamic one."""

import abc

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.choices import choices_for
from escsr.layers.derived import Derived, being_recorded
from escsr.layers.inplace import add
from escsr.layers.large_convolution import convolve_large
from escsr.layers.pointwise import Pointwise, pointwise_replacing


def symmetrize(kernel: Tensor) -> Tensor:
    """Average a kernel over the eight flips and rotations of the square.

    Args:
        kernel: (..., K, K).

    Returns:
        (..., K, K), unchanged by any flip or quarter turn.
    """
    flipped = kernel + kernel.flip(-1)
    flipped = flipped + flipped.flip(-2)
    return (flipped + flipped.transpose(-2, -1)) / 8


class LargeKernel(nn.Module):
    """The one large kernel that all `ConvAttention` layers of a network share.

    Args:
        partial_dim: Channels P that it mixes.
        kernel_size: Side K, odd.
    """

    def __init__(self, partial_dim: int, kernel_size: int) -> None:
        super().__init__()
        _check_kernel_size(kernel_size)
        self.weight = nn.Parameter(torch.empty(partial_dim, partial_dim, kernel_size, kernel_size))
        # The mean over 8 symmetries divides the standard deviation by about √8; undo that.
        nn.init.normal_(self.weight, std=(8 / self.weight[0].numel()) ** 0.5)
        self.symmetric = Derived(symmetrize)

    def train(self, mode: bool = True) -> "LargeKernel":
        """Switch between training and evaluation; drops the cached kernel."""
        self.symmetric.clear()
        return super().train(mode)

    def forward(self) -> tuple[Tensor]:
        """Return the symmetrised kernel, (P, P, K, K)."""
        return (self.symmetric(self.weight),)


class DecomposedLargeKernel(nn.Module):
    """The shared kernel of ESC-FP: a pointwise and a depthwise part.

    Args:
        partial_dim: Channels P that it mixes.
        kernel_size: Side K, odd.
    """

    def __init__(self, partial_dim: int, kernel_size: int) -> None:
        super().__init__()
        _check_kernel_size(kernel_size)
        self.channel = nn.Parameter(torch.empty(partial_dim, partial_dim, 1, 1))
        self.spatial = nn.Parameter(torch.empty(partial_dim, 1, kernel_size, kernel_size))
        nn.init.normal_(self.channel, std=partial_dim**-0.5)
        nn.init.normal_(self.spatial, std=1 / kernel_size)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Return the pointwise (P, P, 1, 1) and the depthwise (P, 1, K, K) kernel."""
        return self.channel, self.spatial


def _check_kernel_size(kernel_size: int) -> None:
    if kernel_size % 2 == 0 or kernel_size < 3:
        raise ValueError(f"kernel_size must be odd and at least 3, not {kernel_size}")


def convolve_literal(x: Tensor, kernel: Tensor, dynamic: Tensor) -> Tensor:
    """Convolve with the large kernel and with each sample's own depthwise one, and add.

    Args:
        x: (B, P, H, W).
        kernel: (P, P, K, K), shared by the batch.
        dynamic: (B, P, 3, 3), a depthwise kernel per sample.

    Returns:
        (B, P, H, W), zero padding.
    """
    return F.conv2d(x, kernel, padding=kernel.shape[-1] // 2) + depthwise_per_sample(x, dynamic)


def convolve_merged(x: Tensor, kernel: Tensor, dynamic: Tensor) -> Tensor:
    """`convolve_literal` as a single convolution, for a batch of one.

    The dynamic kernel is depthwise, so it can be added to the centre of the large kernel's
    diagonal.
    """
    margin = (kernel.shape[-1] - dynamic.shape[-1]) // 2
    own = F.pad(torch.diag_embed(dynamic[0].permute(1, 2, 0)).permute(2, 3, 0, 1), [margin] * 4)
    return convolve_large(x, kernel + own)


def depthwise_per_sample(x: Tensor, kernels: Tensor) -> Tensor:
    """Depthwise cross-correlation with a kernel per sample and channel, zero padding.

    Args:
        x: (B, P, H, W).
        kernels: (B, P, k, k), k odd.

    Returns:
        (B, P, H, W).
    """
    batch, channels, height, width = x.shape
    side = kernels.shape[-1]
    out = F.conv2d(
        x.reshape(1, batch * channels, height, width),
        kernels.reshape(batch * channels, 1, side, side),
        padding=side // 2,
        groups=batch * channels,
    )
    return out.reshape(batch, channels, height, width)


def _convolve_as(dtype: torch.dtype, layer: nn.Conv2d, x: Tensor) -> Tensor:
    bias = None if layer.bias is None else layer.bias.to(dtype)
    return F.conv2d(x, layer.weight.to(dtype), bias)


class _PartialConvAttention(nn.Module, abc.ABC):
    """Base of both kinds: mixes a part of the channels, then all of them pointwise."""

    def __init__(self, dim: int, *, partial_dim: int, squeezed: int) -> None:
        super().__init__()
        if not 0 < partial_dim <= dim:
            raise ValueError(f"partial_dim must lie in 1…dim ({dim}), not {partial_dim}")
        self.partial_dim = partial_dim
        self.literal = False
        self.squeeze = nn.Conv2d(partial_dim, squeezed, 1)
        self.excite = nn.Conv2d(squeezed, 9 * partial_dim, 1)
        self.aggregate = Pointwise(dim, dim)
        # The dynamic kernel starts near zero, as the large kernel already mixes.
        nn.init.normal_(self.excite.weight, std=1e-3)
        nn.init.zeros_(self.excite.bias)  # type: ignore[arg-type]

    def pool(self, x: Tensor) -> Tensor:
        """The mean over the picture that the dynamic kernel is computed from.

        Args:
            x: (B, C, H, W), or some rows of it; the mean of the picture is the mean of its bands'
                means weighted by rows.

        Returns:
            (B, P, 1, 1).
        """
        # One kernel multiplies a whole picture, so its rounding error does not average out like
        # that of pixels. Double precision reduces the error of ESC by a third and takes 2 % more
        # time.
        double = x.device.type == "cpu" and x.dtype == torch.float32 and not being_recorded()
        exact = torch.float64 if double and not torch.is_autocast_enabled("cpu") else x.dtype
        return x[:, : self.partial_dim].to(exact).mean(dim=(2, 3), keepdim=True)

    def dynamic_kernel(self, pooled: Tensor, dtype: torch.dtype) -> Tensor:
        """Compute a 3×3 depthwise kernel per sample from the result of `pool`: (B, P, 3, 3)."""
        exact = pooled.dtype
        kernel = _convolve_as(exact, self.excite, F.gelu(_convolve_as(exact, self.squeeze, pooled)))
        return kernel.to(dtype).reshape(len(pooled), self.partial_dim, 3, 3)

    @abc.abstractmethod
    def mix(self, x: Tensor, kernels: tuple[Tensor, ...], dynamic: Tensor) -> Tensor:
        """Mix the first P channels, (B, P, H, W), with the shared kernels and the dynamic one."""

    def forward(
        self, x: Tensor, kernels: tuple[Tensor, ...], pooled: Tensor | None = None
    ) -> Tensor:
        """Apply the layer.

        Args:
            x: (B, C, H, W), or a band of it.
            kernels: The network's shared kernels.
            pooled: Result of `pool` for the whole picture; by default for ``x``.

        Returns:
            (B, C, H, W).
        """
        pooled = self.pool(x) if pooled is None else pooled
        first = x[:, : self.partial_dim]
        mixed = self.mix(first, kernels, self.dynamic_kernel(pooled, x.dtype))
        return pointwise_replacing(x, mixed, self.aggregate.weight, self.aggregate.bias)


class ConvAttention(_PartialConvAttention):
    """Convolutional attention with a full large kernel.

    Args:
        dim: Channels C.
        partial_dim: The first P channels are mixed over space, the others pass.

    Attributes:
        literal: Always run the two convolutions of the definition (the reference).

    Shape:
        (B, C, H, W) and the kernels of a `LargeKernel`, to (B, C, H, W).

    Source:
        ESC, arXiv 2503.06671, section 3.2.
    """

    def __init__(self, dim: int, *, partial_dim: int) -> None:
        super().__init__(dim, partial_dim=partial_dim, squeezed=max(partial_dim // 2, 1))

    def mix(self, x: Tensor, kernels: tuple[Tensor, ...], dynamic: Tensor) -> Tensor:
        """Convolve (B, P, H, W) with the shared kernel and its own."""
        (kernel,) = kernels
        if self.literal:
            return convolve_literal(x, kernel, dynamic)
        if x.shape[0] > 1 or not choices_for(x.device, x.dtype).merge:
            return add(convolve_large(x, kernel), depthwise_per_sample(x, dynamic))
        return convolve_merged(x, kernel, dynamic)


class DecomposedConvAttention(_PartialConvAttention):
    """Convolutional attention of ESC-FP: pointwise, then depthwise with the sum of kernels.

    Args:
        dim: Channels C.
        partial_dim: The first P channels are mixed over space, the others pass.

    Attributes:
        literal: See `ConvAttention`.

    Shape:
        (B, C, H, W) and the kernels of a `DecomposedLargeKernel`, to (B, C, H, W).

    Source:
        ESC-FP of arXiv 2503.06671.
    """

    def __init__(self, dim: int, *, partial_dim: int) -> None:
        super().__init__(dim, partial_dim=partial_dim, squeezed=max(partial_dim // 4, 1))

    def mix(self, x: Tensor, kernels: tuple[Tensor, ...], dynamic: Tensor) -> Tensor:
        """Convolve (B, P, H, W) with the shared kernels and its own."""
        channel, spatial = kernels
        x = F.conv2d(x, channel)
        if self.literal or x.shape[0] == 1:
            margin = (spatial.shape[-1] - dynamic.shape[-1]) // 2
            return depthwise_per_sample(x, spatial[:, 0] + F.pad(dynamic, [margin] * 4))
        large = F.conv2d(x, spatial, padding=spatial.shape[-1] // 2, groups=x.shape[1])
        return large + depthwise_per_sample(x, dynamic)
