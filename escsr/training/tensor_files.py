"""Tables of tensors in files, for networks that are not of the ESC family."""

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor, nn

from escsr.checkpoints.files import is_safetensors, unpickle
from escsr.checkpoints.wrappings import find_table, plain_names


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read a file of tensors by name; nothing in it is executed.

    Args:
        path: Safetensors, or a file of `torch.save` that holds tensors, bare or below a key
            such as ``params`` or ``state_dict``.

    Returns:
        Name to tensor, on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or contains anything but tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        if is_safetensors(path):
            return plain_names(safetensors.torch.load_file(path))
        return find_table(unpickle(path)).tensors
    except (safetensors.SafetensorError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def fill(
    network: nn.Module, tensors: Mapping[str, Tensor], *, source: str | Path, kind: str
) -> None:
    """Copy tensors into a network that has exactly these.

    Args:
        network: The network to fill.
        tensors: Name to tensor.
        source: Where they come from, for the message.
        kind: What the network is, for the message.

    Raises:
        ValueError: If names or shapes differ; the first few are named.
    """
    own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = [
        *(f"{name} is missing" for name in own if name not in given),
        *(f"{name} is unknown" for name in given if name not in own),
        *(
            f"{name} is {given[name]}, the network's is {shape}"
            for name, shape in own.items()
            if name in given and given[name] != shape
        ),
    ]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(
            f"{source} holds the tensors of another network than {kind}: "
            f"{'; '.join(wrong[:3])}{more}"
        )
    network.load_state_dict(dict(tensors), strict=True)
