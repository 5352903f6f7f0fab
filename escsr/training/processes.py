"""The processes that share a run, on Hugging Face accelerate.

``accelerate launch`` and ``torchrun`` start several. Otherwise a run is one process, and accelerate
is not even imported.
"""

import atexit
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from escsr.devices import pick_device, refuse_after_fork

_SIZES = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
"""Environment variables in which launchers give the number of processes."""


class Processes:
    """The processes of a run: their devices, shared gradients, and figures all must agree on.

    Args:
        device: "auto" or a torch device's name. With several processes "auto" gives each its own
            GPU if there are any; "cpu" keeps all on the CPU.

    Attributes:
        count: How many processes share the run.
        number: This process's number, from 0; number 0 writes the files.
        device: Where this process computes.

    Raises:
        ImportError: If accelerate is not installed.
        ValueError: If several processes ask for the same GPU.
        RuntimeError: See `escsr.devices.refuse_after_fork`.
    """

    def __init__(self, device: str) -> None:
        refuse_after_fork()
        self.count, self.number, self.device = 1, 0, torch.device("cpu")
        if not _launched_with_others():
            self.device = pick_device(device)
            return
        if device not in ("auto", "cpu", "cuda"):
            raise ValueError(
                f"device {device!r} is one device, but several processes share this run; leave "
                'it at "auto", or use "cpu"'
            )
        try:
            from accelerate import Accelerator
        except ImportError as error:
            raise ImportError(
                "a run that several processes share needs accelerate: pip install 'escsr[train]'"
            ) from error
        self._accelerator = Accelerator(cpu=device == "cpu" or not torch.cuda.is_available())
        self.count = int(self._accelerator.num_processes)
        self.number = int(self._accelerator.process_index)
        self.device = self._accelerator.device
        atexit.register(self._accelerator.state.destroy_process_group)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.number == 0

    def share_gradients(self, network: nn.Module) -> nn.Module:
        """Wrap a network so that its gradients are averaged over the processes."""
        if self.count == 1:
            return network
        wrapped: nn.Module = self._accelerator.prepare_model(network, device_placement=False)
        return wrapped

    def keep_gradients(self, network: nn.Module) -> AbstractContextManager[Any]:
        """Within the context, gradients add up in this process and are not exchanged."""
        if self.count == 1:
            return nullcontext()
        context: AbstractContextManager[Any] = self._accelerator.no_sync(network)
        return context

    def means(self, values: Sequence[float]) -> list[float]:
        """Average figures over the processes, in double precision; every process must call this."""
        if self.count == 1:
            return [float(value) for value in values]
        # some devices lack float64; only there do figures pass through float32
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        together: Tensor = torch.tensor(values, dtype=dtype, device=self.device)
        reduced: Tensor = self._accelerator.reduce(together, reduction="mean")
        return [float(value) for value in reduced]

    def gather(self, value: Any) -> list[Any]:
        """Collect one object from every process, in order of their numbers, in every process."""
        if self.count == 1:
            return [value]
        from accelerate.utils import gather_object

        gathered: list[Any] = gather_object([value])
        return gathered

    def wait(self) -> None:
        """Wait until every process gets here."""
        if self.count > 1:
            self._accelerator.wait_for_everyone()


def _launched_with_others() -> bool:
    """Whether torchrun, accelerate launch or MPI started this process among several."""
    sizes = (os.environ.get(name, "1") for name in _SIZES)
    return any(size.isdigit() and int(size) > 1 for size in sizes)
