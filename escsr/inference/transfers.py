"""Copying pixels to a device and back, as integers and from pinned memory.

A byte is a quarter of a float, and copies from pinned memory are asynchronous.
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from escsr.layers import RowSource
from escsr.pixels import from_float

Samples = NDArray[Any]


@runtime_checkable
class ReadsOn(Protocol):
    """A source of rows with a fast path to a device."""

    def read_on(self, top: int, bottom: int, device: torch.device) -> Tensor:
        """Like `RowSource.read`, on a device other than the CPU."""


def rows_on(source: RowSource, top: int, bottom: int, device: torch.device) -> Tensor:
    """Read rows to a network's device; half precision outside autocast becomes float32.

    Args:
        source: (B, C, H, W).
        top: First row.
        bottom: The one after the last.
        device: Device of the network.

    Returns:
        (B, C, bottom - top, W).
    """
    if is_host(device) or not isinstance(source, ReadsOn):
        return for_network(source.read(top, bottom), device)
    return for_network(source.read_on(top, bottom, device), device)


def for_network(values: Tensor, device: torch.device) -> Tensor:
    """Copy values to a network's device; half precision outside autocast becomes float32."""
    values = values.to(device)
    half = values.dtype.itemsize < 4
    return values.float() if half and not torch.is_autocast_enabled(device.type) else values


def floats_on(samples: Samples, device: torch.device) -> Tensor:
    """Copy integer pixels to a device and convert them to floats there, as on a CPU.

    Args:
        samples: (H, W, 3) or (H, W), uint8 or uint16.
        device: Target device.

    Returns:
        (1, 3 or 1, H, W) float32 in [0, 1].
    """
    white = float(np.iinfo(samples.dtype).max)
    # PyTorch supports few operations on uint16, so values are copied as signed integers.
    signed = samples.view(np.int16) if samples.dtype == np.uint16 else samples
    host = torch.from_numpy(np.ascontiguousarray(np.atleast_3d(signed)))
    if can_pin(device):
        host = host.pin_memory()
    there = host.to(device, non_blocking=True)
    if samples.dtype == np.uint16:
        there = there.to(torch.int32).bitwise_and_(0xFFFF)
    return there.permute(2, 0, 1)[None].to(torch.float32).contiguous().div_(white)


def samples_of(planes: Tensor, depth: int) -> Samples:
    """Convert floats to integer pixels, for 8 bits on their own device.

    Args:
        planes: (C, H, W) in [0, 1], finite.
        depth: 8 or 16 bits.

    Returns:
        (H, W, C) uint8 or uint16.
    """
    if is_host(planes.device) or depth != 8:
        return from_float(planes.cpu().numpy(), depth=depth)
    return bytes_of(planes).cpu().numpy()


def bytes_of(planes: Tensor) -> Tensor:
    """Round (C, H, W) floats in [0, 1] to (H, W, C) uint8; the same numbers as `from_float`."""
    levels = planes.permute(1, 2, 0).float().clamp(0, 1).mul_(255).add_(0.5)
    return levels.to(torch.uint8).contiguous()


def is_host(device: torch.device) -> bool:
    """Whether nothing has to be copied to a device."""
    return device.type == "cpu"


def can_pin(device: torch.device) -> bool:
    """Whether host memory can be pinned for a device."""
    return device.type == "cuda" and torch.cuda.is_available()
