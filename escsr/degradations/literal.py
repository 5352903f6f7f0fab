"""Draws carried out literally, one picture at a time, in plain PyTorch.

Only for comparing results and speed. Convolutions use the kernel padded to 21 x 21, as in
Real-ESRGAN's pipeline, resizing is PyTorch's, and JPEG sums over all 64 frequencies at once. The
only code shared with the effects is that of the drawn numbers, the kernels and the quantization
tables.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from escsr.degradations.effect import Parameters
from escsr.degradations.jpeg import CHROMA_TABLE
from escsr.degradations.kernels import Kernel, blur_kernel, pad_kernel
from escsr.degradations.pipeline import Draw
from escsr.images.jpeg_tables import LUMA_TABLE

_WIDEST = 21
_YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)
_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def degrade_literally(image: Tensor, draw: Draw) -> Tensor:
    """Carry out a draw of the preset "real".

    Args:
        image: (1, 3, H, W) float in [0, 1], sides of at least 26 pixels.
        draw: A draw with effects of "real" only.

    Returns:
        (1, 3, *draw.lq_size) in [0, 1].

    Raises:
        ValueError: There is an effect that is not in "real".
    """
    for step in draw.steps:
        if step.effect not in _LITERAL:
            raise ValueError(f"{step.effect} has no literal form; it has {', '.join(_LITERAL)}")
        image = _LITERAL[step.effect](image, step)
    return image.clamp(0, 1)


def _filtered(image: Tensor, kernel: Kernel) -> Tensor:
    half = len(kernel) // 2
    height, width = image.shape[-2:]
    if half < min(height, width):
        padded = F.pad(image, (half,) * 4, mode="reflect")
    else:  # numpy keeps reflecting where PyTorch refuses
        sides = ((0, 0), (0, 0), (half, half), (half, half))
        padded = torch.from_numpy(np.pad(image.numpy(), sides, mode="reflect"))
    weight = torch.from_numpy(kernel).to(image.dtype).expand(3, 1, -1, -1)
    return F.conv2d(padded, weight, groups=3)


def _blur(image: Tensor, step: Any) -> Tensor:
    kernel: Kernel = step.kernel()
    return _filtered(image, pad_kernel(kernel, max(_WIDEST, len(kernel))))


def _usm(image: Tensor, step: Any) -> Tensor:
    size = step.radius + 1 - step.radius % 2
    kernel = blur_kernel("gaussian_iso", size, sigma_x=0.3 * ((size - 1) * 0.5 - 1) + 0.8)
    residual = image - _filtered(image, kernel)
    mask = (residual.abs() * 255 > step.threshold).float()
    soft = _filtered(mask, kernel)
    sharp = torch.clip(image + step.weight * residual, 0, 1)
    return soft * sharp + (1 - soft) * image


def _resize(image: Tensor, step: Any) -> Tensor:
    return F.interpolate(image, step.size, mode=step.mode, antialias=step.antialias)


def _gaussian(image: Tensor, step: Any) -> Tensor:
    shape = (1, 1 if step.gray else 3, *image.shape[-2:])
    field = torch.randn(shape, generator=torch.Generator().manual_seed(step.seed))
    return torch.clamp(image + field * float(step.sigma) / 255, 0, 1)


def _poisson(image: Tensor, step: Any) -> Tensor:
    base = image
    if step.gray:
        weights = torch.tensor([0.2989, 0.587, 0.114]).view(1, 3, 1, 1)
        base = (image * weights).sum(1, keepdim=True)
    base = torch.clamp((base * 255).round(), 0, 255) / 255
    photons = 2 ** np.ceil(np.log2(len(torch.unique(base))))
    generator = torch.Generator().manual_seed(step.seed)
    noise = torch.poisson(base * photons, generator=generator) / photons - base
    return torch.clamp(image + noise * float(step.scale), 0, 1)


def _quantize(image: Tensor, step: Any) -> Tensor:
    top: int = step.levels - 1
    return torch.clamp((image * top).round(), 0, top) / top


def _jpeg(image: Tensor, step: Any) -> Tensor:
    height, width = image.shape[-2:]
    padded = F.pad(image.clamp(0, 1) * 255, (0, -width % 16, 0, -height % 16))
    ycbcr = torch.tensordot(torch.tensor(_YCBCR), padded[0], dims=1)
    factor = (5000 / step.quality if step.quality < 50 else 200 - 2 * step.quality) / 100
    luma_table = torch.tensor(LUMA_TABLE, dtype=torch.float32)
    if step.tables == "real-esrgan":
        luma_table = luma_table.T
    luma = _coded(ycbcr[0] - 128, luma_table * factor) + 128
    steps = torch.tensor(CHROMA_TABLE, dtype=torch.float32) * factor
    chroma = [
        F.interpolate(_coded(F.avg_pool2d(plane[None], 2)[0], steps)[None, None], scale_factor=2)
        for plane in ycbcr[1:]
    ]
    rgb = torch.tensordot(
        torch.tensor(_RGB), torch.cat([luma[None, None], *chroma], dim=1)[0], dims=1
    )
    cropped: Tensor = rgb[None, :, :height, :width]
    return cropped.clamp(0, 255) / 255


def _coded(plane: Tensor, steps: Tensor) -> Tensor:
    """Pass (H, W) through its coefficients: sums of all 64 products of two cosines per block."""
    height, width = plane.shape
    cut = plane.view(height // 8, 8, width // 8, 8).permute(0, 2, 1, 3)
    k = np.arange(8)
    cosines = np.cos((2 * k[:, None] + 1) * k[None] * np.pi / 16)
    norm = np.array([np.sqrt(0.5)] + [1.0] * 7) / 2
    basis = np.einsum("xu,yv,u,v->xyuv", cosines, cosines, norm, norm).astype(np.float32)
    products = torch.from_numpy(basis)
    coefficients = torch.tensordot(cut, products, dims=2)
    coefficients = (coefficients / steps).round() * steps
    blocks: Tensor = torch.tensordot(coefficients, products.permute(2, 3, 0, 1), dims=2)
    return blocks.permute(0, 2, 1, 3).reshape(height, width)


_LITERAL: dict[str, Callable[[Tensor, Parameters], Tensor]] = {
    "usm_sharpen": _usm,
    "blur": _blur,
    "resize": _resize,
    "gaussian_noise": _gaussian,
    "poisson_noise": _poisson,
    "jpeg_differentiable": _jpeg,
    "quantize": _quantize,
}
