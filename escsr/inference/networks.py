"""Finding a network by name or file, and copying it for a session."""

import copy
import itertools
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import nn

from escsr.build import load
from escsr.model import SuperResolver, unwrapped
from escsr.models import fetch


def choose_model(model: str | os.PathLike[str] | SuperResolver) -> SuperResolver:
    """Find the network for a name, an alias such as "default" or a file, on the CPU.

    A file is opened again only after it has changed. A network is returned unchanged, without
    the wrapper of a compiled or distributed one.

    Raises:
        FileNotFoundError: If there is no such model.
        TypeError: If ``model`` is neither a name, a file nor a network.
    """
    if isinstance(model, str | os.PathLike):
        path = fetch(model)
        return _load_once(path, path.stat().st_mtime_ns)
    try:
        return unwrapped(model)
    except TypeError as error:
        raise TypeError(
            "a model is a name of escsr.list_models() or escsr.models.published(), a weight file "
            f"or a network of escsr.build or escsr.load, not a {type(model).__name__}"
        ) from error


@lru_cache(maxsize=4)
def _load_once(path: Path, _changed: int) -> SuperResolver:
    return load(path)


def private_network(
    network: SuperResolver, device: torch.device, *, share: bool = False
) -> SuperResolver:
    """Copy a network, in evaluation mode, to a device; the original is not changed.

    Args:
        network: Any network; it is not moved, switched or given hooks.
        device: Device of the copy.
        share: Use the original's tensors, and values derived from them, if they are already on the
            device. This is fast, and changes of the weights take effect. Otherwise the copy has
            its own tensors.

    Returns:
        The copy, which always has its own modules.
    """
    in_place = is_on(network, device)
    if share and in_place:
        twin: SuperResolver = _sharing_tensors(network, {})
        return twin
    own = copy.deepcopy(network, {id(hook): hook for hook in _hooks(network)})
    return (own if in_place else own.to(device)).eval()


def _sharing_tensors(network: Any, made: dict[nn.Module, nn.Module]) -> Any:
    """A copy of a module, in evaluation mode: new modules with the same tensors and settings."""
    if network not in made:
        twin = made[network] = copy.copy(network)
        vars(twin).update(
            {name: table.copy() for name, table in vars(network).items() if name in _TABLES},
            training=False,
        )
        for name, child in network._modules.items():
            twin._modules[name] = None if child is None else _sharing_tensors(child, made)
    return made[network]


# Attributes in which a module keeps its parts and hooks.
_TABLES = {
    *("_parameters", "_buffers", "_modules", "_forward_hooks", "_forward_pre_hooks"),
    *("_forward_hooks_with_kwargs", "_forward_hooks_always_called"),
    "_forward_pre_hooks_with_kwargs",
}


def is_compiled(model: object) -> TypeGuard[nn.Module]:
    """Whether this module comes from `torch.compile`."""
    return isinstance(model, nn.Module) and "_orig_mod" in model._modules


def is_on(network: nn.Module, device: torch.device) -> bool:
    """Whether a whole network is on a device; "cuda" is the current one."""
    whole = torch.empty(0, device=device).device  # including its index
    return all(tensor.device == whole for tensor in _tensors(network))


def _tensors(network: nn.Module) -> list[Any]:
    return list(itertools.chain(network.parameters(), network.buffers()))


def _hooks(network: nn.Module) -> list[Any]:
    """Hooks of the user. Bound methods would bring copies of the objects that they belong to."""
    return [
        hook
        for module in network.modules()
        for kind in (module._forward_hooks, module._forward_pre_hooks)
        for hook in kind.values()
    ]
