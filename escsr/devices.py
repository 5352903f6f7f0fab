"""How networks run: device, precision, and evaluation without training."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from escsr.names import unknown_name

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Autocast dtype by the name of a precision; None: no autocast."""


def pick_device(device: str | torch.device) -> torch.device:
    """Return the device with a name; "auto" is a GPU if there is one.

    Args:
        device: "auto", or a PyTorch device name ("cpu", "cuda:1", "mps").

    Raises:
        ValueError: If there is no such device on this machine.

    Example:
        >>> pick_device("cpu")
        device(type='cpu')
    """
    if "," in str(device):
        raise ValueError(
            f"{str(device)!r} names several devices, and here only one can be used; "
            "'escsr upscale' shares picture files out among several"
        )
    if str(device) == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.xpu.is_available():
            return torch.device("xpu")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"the device {str(device)!r} cannot be used on this machine ({reason}); "
            "'auto' or 'cpu' always can"
        ) from error
    return chosen


def pick_devices(devices: str | torch.device) -> list[torch.device]:
    """Return the devices that share the work on many pictures.

    Args:
        devices: One name, or several separated by commas ("cuda:0,cuda:1"). "auto" is all NVIDIA
            or AMD GPUs, or the device of `pick_device` if there are none. A device that is named
            twice works on two pictures at once.

    Raises:
        ValueError: If one of them is not on this machine.

    Example:
        >>> pick_devices("cpu,cpu")
        [device(type='cpu'), device(type='cpu')]
    """
    if str(devices) == "auto" and torch.cuda.is_available():
        return [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    return [pick_device(name.strip()) for name in str(devices).split(",")]


def pick_precision(precision: str) -> torch.dtype | None:
    """Return the autocast dtype of a precision; None: no autocast.

    Args:
        precision: "fp32", "bf16" or "fp16".

    Raises:
        ValueError: If the name is another.
    """
    if precision not in PRECISIONS:
        raise ValueError(unknown_name("precision", precision, PRECISIONS))
    return PRECISIONS[precision]


def settle_precision(precision: str, device: torch.device) -> str:
    """Return the precision to use on a device; "auto" is bf16 on GPUs that support it.

    Args:
        precision: "fp32", "bf16", "fp16" or "auto".
        device: Where the network computes.

    Raises:
        ValueError: If the name is another.
    """
    if precision != "auto":
        if precision not in PRECISIONS:
            raise ValueError(unknown_name("precision", precision, [*PRECISIONS, "auto"]))
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "xpu" else "fp32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return a context in which networks compute in a precision.

    Args:
        device: Where it computes.
        precision: "fp32", "bf16" or "fp16".

    Raises:
        ValueError: If the name is another.
    """
    dtype = pick_precision(precision)
    return torch.autocast(device.type, dtype, enabled=dtype is not None)


_threaded_in: int | None = None


def refuse_after_fork() -> None:
    """Refuse to compute in a process that was forked from one that computed with threads.

    The child does not have these threads, and PyTorch would wait for them forever. A single
    thread (``torch.set_num_threads(1)``, as in DataLoader workers) is safe.

    Raises:
        RuntimeError: If this is such a process.
    """
    global _threaded_in
    if torch.get_num_threads() == 1:
        return
    if _threaded_in not in (None, os.getpid()):
        raise RuntimeError(
            "a network was run before this process was forked, and PyTorch's threads are not in "
            "the child: start workers with multiprocessing's 'spawn' or 'forkserver' method, or "
            "call torch.set_num_threads(1) in them"
        )
    _threaded_in = os.getpid()


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode for a block, without gradients.

    Afterwards each module, including frozen ones, has its previous mode again. The modes belong
    to the network, so one that several threads share must already be in evaluation mode.

    Args:
        network: The network to run.

    Raises:
        RuntimeError: See `refuse_after_fork`.

    Example:
        >>> with evaluating(network):  # doctest: +SKIP
        ...     sr = network(lq, size=(480, 640))
    """
    refuse_after_fork()
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes:
            module.training = training
