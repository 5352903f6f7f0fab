"""1×1 convolutions, which are linear layers over the channels of each pixel."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.layers.derived import being_recorded
from escsr.layers.inplace import gelu as gelu_
from escsr.layers.linear import has_one_dnn_linear
from escsr.layers.planning import is_planning


class Pointwise(nn.Conv2d):
    """A 1×1 convolution by the fastest method on a CPU; see `pointwise`.

    Its parameters are those of ``nn.Conv2d`` with a kernel of one pixel.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        bias: Whether to add a number per channel.

    Shape:
        (B, in_channels, H, W) to (B, out_channels, H, W).

    Example:
        >>> Pointwise(32, 40)(torch.rand(1, 32, 24, 24), gelu=True).shape
        torch.Size([1, 40, 24, 24])
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)

    def forward(self, x: Tensor, *, gelu: bool = False) -> Tensor:
        """Apply the convolution, optionally followed by the exact GELU."""
        return pointwise(x, self.weight, self.bias, gelu=gelu)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None, *, gelu: bool = False) -> Tensor:
    """A 1×1 convolution, optionally followed by the exact GELU.

    With one thread, ``F.conv2d`` uses its slowest kernel, which first copies the bias to every
    pixel. In float32 inference on a CPU this function uses oneDNN's linear layer over
    channels-last memory instead, including GELU: 3 instead of 8 ms for 32 to 40 channels of
    240×320 pixels.

    Args:
        x: (B, C_in, H, W).
        weight: (C_out, C_in, 1, 1).
        bias: (C_out,), if any.
        gelu: Whether to apply GELU to the result.

    Returns:
        (B, C_out, H, W), in the memory layout of ``x``.
    """
    pixels = x.permute(0, 2, 3, 1)
    if not (_is_linear_faster(x, weight) and pixels.is_contiguous()):
        out = F.conv2d(x, weight, bias)
        return gelu_(out) if gelu else out
    rows = pixels.view(-1, x.shape[1])
    operation = ["gelu", [], "none"] if gelu else ["none", [], ""]  # "none": not approximated
    made: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight.flatten(1), bias, *operation)
    return made.view(*pixels.shape[:3], -1).permute(0, 3, 1, 2)


def pointwise_replacing(x: Tensor, first: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 1×1 convolution of ``x`` with its first channels replaced.

    In inference on a CPU the combined map is never built: the two parts are multiplied by their
    own columns of the weight and added.

    Args:
        x: (B, C_in, H, W).
        first: (B, P, H, W), used instead of the first P channels of ``x``.
        weight: (C_out, C_in, 1, 1).
        bias: (C_out,), if any.

    Returns:
        (B, C_out, H, W).
    """
    parts = first.shape[1]
    new = first.permute(0, 2, 3, 1)
    quick = _is_linear_faster(x, weight) and x.is_contiguous(memory_format=torch.channels_last)
    if not (quick and new.is_contiguous()):
        return pointwise(torch.cat([first, x[:, parts:]], dim=1), weight, bias)
    of_rest = torch.cat([torch.zeros_like(weight[:, :parts]), weight[:, parts:]], dim=1)
    out = pointwise(x, of_rest, bias)
    of_first = weight[:, :parts].flatten(1)
    rows = out.permute(0, 2, 3, 1).view(-1, out.shape[1])
    rows.addmm_(new.view(-1, parts), of_first.t())
    return out


def _is_linear_faster(x: Tensor, weight: Tensor) -> bool:
    # Tensors without data and traced networks use the plain convolution.
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() > 0
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not is_planning()
        and not being_recorded()
        and has_one_dnn_linear()
    )
