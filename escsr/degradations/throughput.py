"""Pictures per second of the preset "real", compared with the same draws done literally."""

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from escsr.degradations.literal import degrade_literally
from escsr.degradations.pipeline import Draw, degrade
from escsr.degradations.presets import preset


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """The result of the measurement.

    Attributes:
        literal: Pictures per second of the literal form, one at a time.
        escsr: Pictures per second in batches.
        difference: Mean absolute difference between the two results, in 8-bit steps. A last bit
            may round a coefficient of JPEG to its neighbour, so it is not 0.
    """

    literal: float
    escsr: float
    difference: float


def measure_throughput(
    *,
    size: int = 256,
    scale: int = 4,
    batch: int = 8,
    batches: int = 4,
    repeats: int = 3,
    sharpen: bool = True,
    seed: int = 0,
    device: str = "cpu",
) -> Throughput:
    """Measure both ways alternately, on the same pictures and draws; the fastest pass counts.

    Args:
        size: Side of the pictures, in pixels, at least 26.
        scale: Side of the LQ pictures is ``size // scale``.
        batch: Pictures per batch.
        batches: Batches per pass.
        repeats: Number of passes.
        sharpen: Whether the preset sharpens first, as published.
        seed: Seed of pictures and draws.
        device: Where ours runs; the literal one runs on the CPU.

    Returns:
        Both rates. Compare them only within one call.

    Example:
        >>> found = measure_throughput(size=64, batches=1, repeats=1)
        >>> found.escsr > found.literal
        True
    """
    rng = np.random.default_rng(seed)
    pipeline = preset("real", sharpen=sharpen)
    sizes = {"size": (size, size), "lq_size": (size // scale, size // scale)}
    draws = [[pipeline.draw(rng, **sizes) for _ in range(batch)] for _ in range(batches)]
    images = [_pictures(rng, batch, size) for _ in range(batches)]

    slow, fast = [], []
    difference = 0.0
    for _ in range(repeats):
        began = time.perf_counter()
        expected = [_literal(*pair) for pair in zip(images, draws, strict=True)]
        slow.append(time.perf_counter() - began)
        moved = [batch_images.to(device) for batch_images in images]
        began = time.perf_counter()
        found = [degrade(*pair) for pair in zip(moved, draws, strict=True)]
        if device != "cpu":
            torch.cuda.synchronize()
        fast.append(time.perf_counter() - began)
        difference = float((torch.cat(found).cpu() - torch.cat(expected)).abs().mean()) * 255
    count = batch * batches
    return Throughput(literal=count / min(slow), escsr=count / min(fast), difference=difference)


def _literal(images: Tensor, draws: list[Draw]) -> Tensor:
    pairs = zip(torch.split(images, 1), draws, strict=True)
    return torch.cat([degrade_literally(image, draw) for image, draw in pairs])


def _pictures(rng: np.random.Generator, batch: int, size: int) -> Tensor:
    """(batch, 3, size, size): soft shapes and some texture."""
    coarse = torch.from_numpy(rng.random((batch, 3, 8, 8), dtype=np.float32))
    smooth = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic")
    texture = torch.from_numpy(rng.random((batch, 3, size, size), dtype=np.float32))
    return (0.9 * smooth + 0.1 * texture).clamp(0, 1)
