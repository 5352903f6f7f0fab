"""Tensors computed from a weight, cached as long as the weight does not change."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from escsr.layers.planning import is_planning

_is_tracing: Callable[[], bool] = torch.jit.is_tracing  # type: ignore[attr-defined]


def being_recorded() -> bool:
    """Whether the network runs only to be compiled, exported or traced."""
    return torch.compiler.is_compiling() or _is_tracing()


@dataclass(frozen=True)
class _Kept:
    """A computed tensor and what it was computed from."""

    key: tuple[object, ...]
    snapshot: Tensor | None
    value: Tensor


class Derived:
    """Computes a tensor from a weight and caches it during inference.

    It is cached only if no gradient can flow to the weight, and recomputed after the weight was
    written to, replaced, moved or cast. On a CPU the weight's values are compared as well (this
    takes microseconds, as only small weights are used), because a write through ``weight.data``
    does not change the version counter. On other devices such a comparison would stall the
    queue, so a write through ``.data`` there needs a call of ``model.train()`` or
    ``model.eval()``, which drops the cache.

    Threads may share it: each call returns the tensor that it found or computed itself, whatever
    other threads cache or drop in the meantime. Copies and pickles start empty.

    Args:
        compute: The function from weight to tensor.
        limit_bytes: Larger results are not cached but computed on each call.

    Attributes:
        enabled: False computes on each call, for measurements.
    """

    def __init__(self, compute: Callable[[Tensor], Tensor], *, limit_bytes: int = 1 << 26) -> None:
        self.compute = compute
        self.limit_bytes = limit_bytes
        self.enabled = True
        self._kept: _Kept | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the cached tensor out of copies and pickles."""
        return {**vars(self), "_kept": None}

    @property
    def kept(self) -> Tensor | None:
        """The cached tensor, if any."""
        kept = self._kept
        return None if kept is None else kept.value

    def clear(self) -> None:
        """Drop the cached tensor."""
        self._kept = None

    def __call__(self, weight: Tensor) -> Tensor:
        """Return ``compute(weight)``, cached or new."""
        if not self._may_keep(weight):
            return self.compute(weight)
        key = (weight.data_ptr(), weight._version, weight.dtype, weight.device, weight.shape)
        kept = self._kept  # read once: another thread may clear it
        if kept is not None and kept.key == key and not _differs(kept.snapshot, weight):
            return kept.value
        # Outside inference mode: a cached inference tensor could not be used by a later
        # call that needs a gradient for its input.
        with torch.inference_mode(False), torch.no_grad():
            value = self.compute(weight)
            if value.numel() * value.element_size() <= self.limit_bytes:
                on_cpu = weight.device.type == "cpu"
                self._kept = _Kept(key, weight.detach().clone() if on_cpu else None, value)
        return value

    def _may_keep(self, weight: Tensor) -> bool:
        if not self.enabled or is_planning() or being_recorded():
            return False
        needs_gradient = torch.is_grad_enabled() and weight.requires_grad
        return not needs_gradient and not weight.is_inference()


def _differs(snapshot: Tensor | None, weight: Tensor) -> bool:
    return snapshot is not None and not torch.equal(snapshot, weight)
