"""Networks compiled for pictures of all sizes."""

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
    """Whether a session compiles its network: as asked, or as the table of choices says."""
    if asked is not None:
        return asked
    return choices_for(device, dtype or torch.float32).compile


class CompiledNetwork:
    """A network through `torch.compile`, with sizes left open; as it is where that fails.

    Programs are made at the first call, and kept on disk by PyTorch. Window attention completes
    windows, so there is one program for pictures of whole windows and one or two for the others,
    and another for very small ones.

    Args:
        network: In evaluation mode on its device, without hooks: a program calls none.
        dtype: Number type of autocast; None for none.

    Attributes:
        failure: Why it runs as it is; None while it is compiled.
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
        """Enlarge as `SuperResolver.forward`."""
        if self.failure is None:
            try:
                with self._lock:  # a program is made once
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
