"""Tensors computed from a weight, kept for as long as the weight stays the same."""

from collections.abc import Callable

import torch
from torch import Tensor

_is_tracing: Callable[[], bool] = torch.jit.is_tracing  # type: ignore[attr-defined]


def being_recorded() -> bool:
    """Whether the network runs only to be compiled, exported or traced."""
    return torch.compiler.is_compiling() or _is_tracing()


class Derived:
    """Computes a tensor from a weight and remembers it while only inference is going on.

    Kept only where no gradient can flow to the weight. It is computed anew when the weight
    was written to, replaced, moved or cast. On a CPU the weight's values are compared as
    well (microseconds: only small weights are derived from), because a write through
    ``weight.data`` moves no counter. On other devices such a comparison would stall the
    queue, so there a write through ``.data`` needs a call of ``model.train()`` or
    ``model.eval()``, which forgets everything.

    Args:
        compute: The function from weight to tensor.
        limit_bytes: A larger result is not kept but computed on each call.
    """

    def __init__(self, compute: Callable[[Tensor], Tensor], *, limit_bytes: int = 1 << 26) -> None:
        self.compute = compute
        self.limit_bytes = limit_bytes
        self.enabled = True
        self.clear()

    def clear(self) -> None:
        """Forget the kept tensor."""
        self._key: tuple[object, ...] | None = None
        self._snapshot: Tensor | None = None
        self._value: Tensor | None = None

    def __call__(self, weight: Tensor) -> Tensor:
        """Return ``compute(weight)``, kept or fresh."""
        if not self._may_keep(weight):
            return self.compute(weight)
        key = (weight.data_ptr(), weight._version, weight.dtype, weight.device, weight.shape)
        if self._value is None or key != self._key or self._differs(weight):
            # Outside of inference mode: a kept inference tensor could not be used by a
            # later call that needs a gradient for its input.
            with torch.inference_mode(False), torch.no_grad():
                value = self.compute(weight)
                if value.numel() * value.element_size() > self.limit_bytes:
                    return value
                self._snapshot = weight.detach().clone() if weight.device.type == "cpu" else None
            self._key, self._value = key, value
        return self._value

    def _may_keep(self, weight: Tensor) -> bool:
        if not self.enabled or being_recorded():
            return False
        needs_gradient = torch.is_grad_enabled() and weight.requires_grad
        return not needs_gradient and not weight.is_inference()

    def _differs(self, weight: Tensor) -> bool:
        return self._snapshot is not None and not torch.equal(self._snapshot, weight)
