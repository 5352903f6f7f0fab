"""What training programs wrap around a table of tensors, and around the names in it."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

PLACES = (
    *("params_ema", "ema_state_dict", "state_dict_ema", "model_ema", "ema"),
    *("params", "state_dict", "model_state_dict", "model", "sd", "generator", "net", "network"),
    "weights",
)
"""Where tables lie in files, tried in this order: averaged weights come before the others."""

_WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts of names that torch.compile, FSDP and activation checkpointing add, at any depth."""

_COUNTERS = ("n_averaged",)
"""What `torch.optim.swa_utils.AveragedModel` keeps beside the tensors."""

Tensors = dict[str, Tensor]


class Table(NamedTuple):
    """A table of tensors that was found in a file.

    Attributes:
        tensors: By the names that the network itself gives.
        where: The keys that led to it, or "bare".
        settings: What the file says of the network beside the tensors (LIIF and LTE do).
    """

    tensors: Tensors
    where: str
    settings: Mapping[str, Any]


def find_table(content: object) -> Table:
    """Find the table of tensors in what a file holds, and take the wrappers off its names.

    Args:
        content: A table, or mappings around it under the keys of `PLACES`.

    Raises:
        ValueError: If there is none, or it holds other things than tensors; with what there is.
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
    """Take off what torch.compile, DistributedDataParallel, FSDP and AveragedModel put on names.

    Raises:
        ValueError: If two tensors have one name then.

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
    """Find the one part of a table that is wanted, such as ``model.`` beside a loss's ``vgg.``.

    Args:
        tensors: By name.
        wanted: Whether a table is what is looked for.

    Returns:
        The part, its names without the prefix, or None if no part or several are wanted.
    """
    parts: dict[str, Tensors] = {}
    for name, tensor in tensors.items():
        prefix, dot, rest = name.partition(".")
        if dot:
            parts.setdefault(prefix, {})[rest] = tensor
    found = [part for part in parts.values() if wanted(part)]
    return found[0] if len(found) == 1 else None
