"""Compiling networks for pictures of all sizes."""

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from escsr.choices import choices_for
from escsr.inference.networks import private_network
from escsr.layers import WindowAttention
from escsr.model import SuperResolver


def should_compile(asked: bool | None, device: torch.device, dtype: torch.dtype | None) -> bool:
    """Whether a session compiles its network: as requested, or by the table of choices."""
    if asked is not None:
        return asked
    return choices_for(device, dtype or torch.float32).compile


class CompiledNetwork:
    """A network compiled by `torch.compile` with dynamic sizes; uncompiled if that fails.

    Programs are compiled at the first call, and PyTorch caches them on disk. Window attention pads
    to whole windows, so there is one program for pictures of whole windows, one or two for others,
    and another for very small pictures.

    Args:
        network: In evaluation mode on its device, without hooks, which programs do not call.
        dtype: Autocast dtype; None for none.

    Attributes:
        failure: Why it runs uncompiled; None if it is compiled.
    """

    def __init__(self, network: SuperResolver, dtype: torch.dtype | None) -> None:
        self._plain = private_network(network, next(network.parameters()).device, share=True)
        like = next(network.parameters()).to(dtype or torch.float32)
        for module in self._plain.modules():
            if isinstance(module, WindowAttention):
                module.settle(like)
        self._run: Callable[..., Any] = torch.compile(self._plain, dynamic=True)
        self._lock = threading.Lock()
        self.failure: str | None = None

    def __call__(self, lq: Tensor, *, size: tuple[int, int]) -> Tensor:
        """Enlarge like `SuperResolver.forward`."""
        if self.failure is None:
            try:
                with self._lock:  # compile only once
                    made: Tensor = self._run(lq, size=size)
                return made
            except Exception as error:
                if not _is_of_compiler(error):
                    raise
                self.failure = str(error).strip().splitlines()[0]
        return self._plain(lq, size=size)


def _is_of_compiler(error: Exception) -> bool:
    return any(
        kind.__module__.startswith(("torch._dynamo", "torch._inductor"))
        for kind in type(error).__mro__
    )
