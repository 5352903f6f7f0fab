"""Wrappers that training programs put around a table of tensors, and prefixes of its names."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

PLACES = (
    *("params_ema", "ema_state_dict", "state_dict_ema", "model_ema", "ema"),
    *("params", "state_dict", "model_state_dict", "model", "sd", "generator", "net", "network"),
    "weights",
)
"""Keys of tables in files, tried in this order: averaged weights come before the others."""

_WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts of names that torch.compile, FSDP and activation checkpointing add, at any depth."""

_COUNTERS = ("n_averaged",)
"""The entry that `torch.optim.swa_utils.AveragedModel` adds to the tensors."""

Tensors = dict[str, Tensor]


class Table(NamedTuple):
    """A table of tensors found in a file.

    Attributes:
        tensors: The tensors, by the network's own names.
        where: The keys that led to it, or "bare".
        settings: The file's settings of the network (LIIF and LTE store them).
    """

    tensors: Tensors
    where: str
    settings: Mapping[str, Any]


def find_table(content: object) -> Table:
    """Find the table of tensors in the contents of a file, and remove the wrappers from its names.

    Args:
        content: A table, or mappings around it under the keys of `PLACES`.

    Raises:
        ValueError: If there is none, or it contains anything but tensors; the message lists the
            contents.
    """
    path: list[str] = []
    settings: Mapping[str, Any] = {}
    while isinstance(content, Mapping):
        key = next((k for k in PLACES if isinstance(content.get(k), Mapping)), None)
        if key is None:
            break
        path.append(key)
        # Training states of LIIF and LTE: {"model": {"name", "args", "sd"}, "optimizer", …}.
        described = content.get("args")
        settings = described if isinstance(described, Mapping) else settings
        content = content[key]
    where = ".".join(path) or "bare"
    below = f" below {where!r}" if path else ""
    if not isinstance(content, Mapping) or not content:
        kind = "an empty table" if isinstance(content, Mapping) else type(content).__name__
        raise ValueError(f"holds {kind}{below}, not a table of tensors by name")
    other = [k for k, v in content.items() if not (isinstance(k, str) and isinstance(v, Tensor))]
    if other:
        raise ValueError(
            f"holds things that are no tensors{below} ({', '.join(map(repr, other[:3]))}…); "
            f"expected a table of tensors by name, bare or below one of {', '.join(PLACES)}"
        )
    return Table(plain_names(content), where, settings)


def plain_names(tensors: Mapping[str, Tensor]) -> Tensors:
    """Remove the prefixes that torch.compile, DistributedDataParallel, FSDP and AveragedModel add.

    Raises:
        ValueError: If two tensors then have the same name.

    Example:
        >>> list(plain_names({"module._orig_mod.last.bias": torch.zeros(1)}))
        ['last.bias']
    """
    names = {
        name: ".".join(part for part in name.split(".") if part not in _WRAPPERS)
        for name in tensors
        if name not in _COUNTERS
    }
    while names and all(name.startswith("module.") for name in names.values()):
        names = {old: name.removeprefix("module.") for old, name in names.items()}
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise ValueError(f"holds the tensors of two networks at once: {', '.join(twice[:3])} twice")
    return {name: tensors[old] for old, name in names.items()}


def below_one_prefix(tensors: Tensors, wanted: Callable[[Tensors], bool]) -> Tensors | None:
    """Find the one wanted part of a table, such as ``model.`` next to a loss's ``vgg.``.

    Args:
        tensors: The tensors, by name.
        wanted: Whether a table is the wanted one.

    Returns:
        The part, its names without the prefix, or None if no part or several parts are wanted.
    """
    parts: dict[str, Tensors] = {}
    for name, tensor in tensors.items():
        prefix, dot, rest = name.partition(".")
        if dot:
            parts.setdefault(prefix, {})[rest] = tensor
    found = [part for part in parts.values() if wanted(part)]
    return found[0] if len(found) == 1 else None
