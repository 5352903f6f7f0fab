"""Reading and writing of weight files.

Ours are safetensors with the configuration in the header. Published ``.pth`` files hold bare
tensors; `escsr.checkpoints.published` finds out what network they belong to.
"""

import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from escsr.checkpoints.layouts import recognise
from escsr.files import write_bytes
from escsr.model import ModelConfig, SuperResolver
from escsr.version import __version__

FORMAT = 1
_HEADER_KEY = "escsr"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a weight file holds.

    Attributes:
        config: The network that the tensors belong to.
        tensors: Its state, under our names.
        facts: What the file says of its origin (recipe, steps, data).
        layout: What kind of file it was, in words.
        names: The file's own name of a tensor where it differs from ours.
    """

    config: ModelConfig
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)
    layout: str
    names: Mapping[str, str] = field(default_factory=dict)


def save(
    model: SuperResolver, path: str | os.PathLike[str], *, facts: Mapping[str, Any] | None = None
) -> None:
    """Write a network to a safetensors file that `escsr.load` opens.

    The file appears complete or not at all: an interrupted call leaves the previous one.

    Args:
        model: The network; its raw state is stored, on whatever device it is.
        path: Where to; the suffix should be ``.safetensors``.
        facts: JSON-able notes on the weights; by default ``model.facts``.

    Raises:
        OSError: If the file cannot be written.

    Example:
        >>> escsr.checkpoints.save(model, "mine.safetensors", facts={"steps": 1000})
    """
    header = {
        "format": FORMAT,
        "version": __version__,
        "config": asdict(model.config),
        "trained": model.trained or facts is not None,
        "facts": dict(model.facts if facts is None else facts),
    }
    write_tensors(model.state_dict(), path, metadata={_HEADER_KEY: json.dumps(header)})


def write_tensors(
    tensors: Mapping[str, Tensor],
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a table of tensors as safetensors, complete or not at all.

    Args:
        tensors: Name to tensor, on whatever device.
        path: Where to.
        metadata: Texts for the header of the file.

    Raises:
        OSError: If the file cannot be written.
    """
    here = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    data = safetensors.torch.save(here, metadata=None if metadata is None else dict(metadata))
    write_bytes(path, data, durable=True)


def read(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a weight file of ours or of the authors.

    Args:
        path: A safetensors file, or a ``.pth`` that holds tensors, bare or below
            ``params_ema`` (preferred), ``params``, or ``sd`` in ``model`` (arbitrary scale).
            Nothing in it is executed.

    Returns:
        Configuration and tensors, under our names.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, holds other things than tensors, or is not of the ESC
            family.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no weight file {path}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a weight file")
    if is_safetensors(path):
        return _read_safetensors(path)
    try:
        content = unpickle(path)
        _refuse_training_state(content, path)
        tensors, where, settings = _bare_tensors(content)
        return _published(tensors, where, settings)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: with the length of a header, then its brace."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _refuse_training_state(content: object, path: Path) -> None:
    """What `--resume` goes on from looks like a weight file to its owner: say where those are."""
    if not (isinstance(content, Mapping) and {"step", "engine"} <= content.keys()):
        return
    # A run keeps its states in a folder of their own, one below the weights.
    near = [*path.parent.glob("*.safetensors"), *path.parent.parent.glob("*.safetensors")]
    weights = ", ".join(map(str, sorted(near))) or "the .safetensors files of the run"
    raise ValueError(
        "this is the state of a training run, to go on from with --resume, and not a model file; "
        f"the weights are in {weights}"
    )


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path}: the safetensors file is damaged ({error})") from error
    if _HEADER_KEY not in metadata:
        try:
            return _published(tensors, "safetensors")
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    try:
        header = json.loads(metadata[_HEADER_KEY])
        newer = header["format"] > FORMAT
        config = ModelConfig(**header["config"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: the configuration in its header is damaged: {error}") from error
    if newer:
        raise ValueError(
            f"{path} was written by escsr {header.get('version')} in format "
            f"{header['format']}; this escsr ({__version__}) reads up to {FORMAT}: update it"
        )
    facts = {**header.get("facts", {}), "trained": header.get("trained", True)}
    return Checkpoint(config=config, tensors=tensors, facts=facts, layout="escsr safetensors")


def unpickle(path: Path) -> object:
    """Read what `torch.save` wrote: tensors and plain values; nothing in it is executed.

    Raises:
        ValueError: If the file is damaged, or holds anything else. The file is not named.
    """
    try:
        with path.open("rb") as file:  # given a name, torch.load would go by its suffix
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            "not a file of tensors: it is damaged, or would run code when opened, which is "
            "refused. Weight files are .safetensors, or .pth saved with torch.save"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, OSError) as error:
        raise ValueError(
            "not a whole PyTorch or safetensors file: was the download cut short, or is it "
            f"another kind of file? (PyTorch says: {_reason(error)})"
        ) from error


def _reason(error: BaseException) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__} {first}".strip()[:200]


def _bare_tensors(content: object) -> tuple[dict[str, Tensor], str, Mapping[str, Any]]:
    """The tensors, where in the file they were, and what it says of the network beside them."""
    where = "bare"
    settings: Mapping[str, Any] = {}
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        # Training states of LIIF and LTE: {"model": {"name", "args", "sd"}, "optimizer", …}.
        described = content["model"].get("args")
        settings = described if isinstance(described, Mapping) else {}
        content, where = content["model"].get("sd"), "model.sd"
    for key in ("params_ema", "params"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content, where = content[key], key
            break
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"holds {type(content).__name__}, not a table of tensors by name")
    other = [k for k, v in content.items() if not (isinstance(k, str) and isinstance(v, Tensor))]
    if other:
        raise ValueError(
            f"holds things that are no tensors ({', '.join(map(repr, other[:3]))}…); expected "
            "a table of tensors by name, bare or below 'params_ema', 'params' or 'model.sd'"
        )
    tensors = dict(content)
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): t for name, t in tensors.items()}
    return tensors, where, settings


def _published(
    tensors: dict[str, Tensor], where: str, settings: Mapping[str, Any] | None = None
) -> Checkpoint:
    found, layout = recognise(tensors, settings)
    names = {ours: theirs for theirs, ours in found.names.items()}
    return Checkpoint(
        config=found.config,
        tensors={ours: tensors[theirs] for ours, theirs in names.items()},
        layout=f"published {layout} ({where})",
        names=names,
    )
