"""Convolutions with large kernels and few channels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from escsr.layers.derived import being_recorded

# Numbers in an AVX-512 register; oneDNN uses one of them per output channel.
_LANES = 16


def convolve_large(x: Tensor, kernel: Tensor) -> Tensor:
    """``F.conv2d(x, kernel, padding=K // 2)``, in inference on a CPU several rows at once.

    With 8 channels, half of every vector register would be empty. Rows of the result are
    therefore computed in pairs, as the channels of one convolution with stride 2 whose kernels
    are one row taller and zero in the row that only the other row of the pair uses. The sums are
    bit-identical; for 8 channels of 240×320 pixels and K = 13 they take 9.1 instead of 15.7 ms.

    Args:
        x: (B, C, H, W).
        kernel: (P, C, K, K), K odd.

    Returns:
        (B, P, H, W), zero padding.
    """
    side = kernel.shape[-1]
    together = _LANES // kernel.shape[0]
    if together < 2 or not _has_vectors_to_fill(x):
        return F.conv2d(x, kernel, padding=side // 2)
    batch, _, height, width = x.shape
    stacked = torch.cat([F.pad(kernel, (0, 0, row, together - 1 - row)) for row in range(together)])
    x = F.pad(x, (0, 0, 0, -height % together))
    made = F.conv2d(x, stacked, stride=(together, 1), padding=side // 2)
    rows = made.permute(0, 2, 3, 1).reshape(batch, -1, width, together, kernel.shape[0])
    pixels = rows.transpose(2, 3).reshape(batch, -1, width, kernel.shape[0])
    return pixels[:, :height].permute(0, 3, 1, 2)


def _has_vectors_to_fill(x: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not being_recorded()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
    )
