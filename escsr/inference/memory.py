"""How much memory a picture will take, found without computing it."""

import weakref
from collections.abc import Callable
from typing import Any

import psutil
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from escsr.layers import planning
from escsr.model import SuperResolver


class _PeakTracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the tensors that are alive, by their storages."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = self._live = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_iter(out):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = storage.nbytes()
            self._live += self._sizes[key]
            self.peak = max(self.peak, self._live)
            weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self._live -= self._sizes.pop(key)


def estimate_memory(model: SuperResolver, height: int, width: int, size: tuple[int, int]) -> int:
    """Estimate the peak memory of one forward pass, weights left out.

    The network runs on tensors without contents, so this takes a fraction of a second for any
    size and knows every backbone and head. What libraries take beside the tensors is allowed
    for by a quarter more and 128 MiB (`escsr bench` shows the estimate beside the measured peak).

    Args:
        model: Any network.
        height: Rows of the picture.
        width: Its columns.
        size: (H_out, W_out) to make.

    Returns:
        Bytes.

    Example:
        >>> estimate_memory(escsr.load("esc_tiny_x4"), 256, 256, (1024, 1024)) // 2**20
        229
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    tracker = _PeakTracker()
    with (
        torch.no_grad(),
        planning(),
        FakeTensorMode(allow_non_fake_inputs=True),
        tracker,
    ):
        reference = next(model.parameters())
        model(torch.empty(1, 3, height, width, device=reference.device), size=size)
    return int(1.25 * tracker.peak) + (128 << 20)


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on a device, or None where that cannot be told."""
    if device.type == "cuda":
        # What PyTorch holds in reserve is free for the next pass, too.
        reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserve
    if device.type == "cpu":
        return int(psutil.virtual_memory().available)
    return None
