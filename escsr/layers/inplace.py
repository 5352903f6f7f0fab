"""Operations that reuse memory where no gradient is recorded.

On a CPU, fresh memory for every feature map costs more than the arithmetic on it: on 256×256
pictures, reusing it makes ESC about a fifth faster (`escsr bench`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def gelu(fresh: Tensor) -> Tensor:
    """The exact GELU, written into its argument in inference.

    Args:
        fresh: A tensor that nobody else holds.

    Returns:
        A tensor of the same shape.

    Source:
        Gaussian Error Linear Units, arXiv 1606.08415.
    """
    if torch.is_grad_enabled():
        return F.gelu(fresh)
    written: Tensor = torch.ops.aten.gelu_(fresh)
    return written


def add(fresh: Tensor, other: Tensor) -> Tensor:
    """``fresh + other``, written into ``fresh`` in inference.

    Args:
        fresh: A tensor that nobody else holds.
        other: A tensor of the same shape; not changed.

    Returns:
        The sum, in the wider dtype of the two.
    """
    if torch.is_grad_enabled() or fresh.dtype != other.dtype:
        return fresh + other
    return fresh.add_(other)


def relu(fresh: Tensor) -> Tensor:
    """The positive part, written into its argument in inference.

    Args:
        fresh: A tensor that nobody else holds.

    Returns:
        A tensor of the same shape.
    """
    return F.relu(fresh) if torch.is_grad_enabled() else fresh.relu_()
