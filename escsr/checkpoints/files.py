"""Reading and writing weight files.

Ours are safetensors with the configuration in the header. Published ``.pth`` files hold bare
tensors; `escsr.checkpoints.published` works out which network they belong to.
"""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from escsr.checkpoints.headers import (
    KEY,
    TENSOR,
    Checkpoint,
    as_tensor,
    from_header,
    header_in,
    make_header,
)
from escsr.checkpoints.layouts import detected, recognise
from escsr.checkpoints.wrappings import below_one_prefix, find_table, plain_names
from escsr.files import write_bytes
from escsr.model import ModelConfig, SuperResolver, unwrapped

_NO_CONFIG = (
    "the bare state_dict() of an escsr network: the tensors are there, but not the configuration "
    "that says which network they belong to. Fill the network that they are of, "
    "escsr.build(BACKBONE, ..., weights=FILE), and keep it with "
    "escsr.checkpoints.save(model, 'NAME.safetensors'), which escsr.load opens"
)


def save(
    model: SuperResolver,
    path: str | os.PathLike[str],
    *,
    facts: Mapping[str, Any] | None = None,
    half: bool = False,
) -> None:
    """Write a network to a safetensors file that `escsr.load` opens.

    The file is written completely or not at all: an interrupted call leaves the previous one.

    Args:
        model: The network, compiled or not, on any device; its raw state is stored.
        path: The file to write; the suffix should be ``.safetensors``.
        facts: JSON-able notes on the weights; by default ``model.facts``. They do not mark a
            network as trained: ``model.trained`` does.
        half: Whether to round floating-point tensors to float16, for a file of half the size; the
            network that `escsr.load` makes from it computes in float32.

    Raises:
        OSError: If the file cannot be written.
        OverflowError: If the absolute value of a number is too large for float16, above 65504.
        TypeError: If ``model`` is not one of our networks.

    Example:
        >>> escsr.checkpoints.save(model, "mine.safetensors", facts={"steps": 1000})
    """
    model = unwrapped(model)
    header = make_header(model, model.facts if facts is None else facts)
    state = model.state_dict()
    tensors = {name: _halved(name, t) for name, t in state.items()} if half else state
    write_tensors({**tensors, TENSOR: as_tensor(header)}, path, metadata={KEY: header})


def _halved(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    rounded = tensor.detach().half()
    if (rounded.isinf() & tensor.isfinite()).any():
        raise OverflowError(
            f"{name} has values up to {tensor.abs().max():.3g}, and float16 ends at 65504: leave "
            "out half"
        )
    return rounded


def write_tensors(
    tensors: Mapping[str, Tensor],
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a table of tensors as safetensors, completely or not at all.

    Args:
        tensors: Name to tensor, on any device.
        path: The file to write.
        metadata: Texts for the file's header.

    Raises:
        OSError: If the file cannot be written.
    """
    here = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    data = safetensors.torch.save(here, metadata=None if metadata is None else dict(metadata))
    write_bytes(path, data, durable=True)


def read(path: str | os.PathLike[str], *, config: ModelConfig | None = None) -> Checkpoint:
    """Read a weight file, ours or the authors'.

    Args:
        path: A safetensors file, or a ``.pth`` that holds tensors, bare or below a key such as
            ``params_ema`` (preferred), ``params``, ``state_dict`` or ``model``. Prefixes added to
            the names by ``torch.compile``, DistributedDataParallel and averaged models are removed.
            Nothing in the file is executed.
        config: The network, for a bare ``state_dict()`` of ours, which does not contain it; for
            other files, which do, it is ignored.

    Returns:
        Configuration and tensors, under our names.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, contains anything but tensors, is not of the ESC family, or is
            a bare ``state_dict()`` of ours without ``config``.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no weight file {path}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a weight file")
    if is_safetensors(path):
        return _read_safetensors(path, config)
    try:
        content = unpickle(path)
        _refuse_training_state(content, path)
        return read_content(content, config=config)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_content(content: object, *, config: ModelConfig | None = None) -> Checkpoint:
    """Recognise a network in the contents that another program read from a weight file.

    Args:
        content: Tensors by name, or mappings around them, see `read`.
        config: See `read`.

    Raises:
        ValueError: See `read`.
    """
    table = find_table(content)
    return _described(table.tensors, table.where, config, table.settings)


def is_known(content: object) -> bool:
    """Whether `read_content` recognises something as a network of ours, complete or not."""
    try:
        tensors = find_table(content).tensors
    except ValueError:
        return False
    return _is_known(tensors) or below_one_prefix(tensors, _is_known) is not None


def is_safetensors(path: Path) -> bool:
    """Whether a file begins like safetensors: with the length of a header, then its brace."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _refuse_training_state(content: object, path: Path) -> None:
    """Explain that a training state is not a weight file, and where the weights are."""
    if not (isinstance(content, Mapping) and {"step", "engine"} <= content.keys()):
        return
    # A run keeps its states in a separate folder, one level below the weights.
    near = [*path.parent.glob("*.safetensors"), *path.parent.parent.glob("*.safetensors")]
    weights = ", ".join(map(str, sorted(near))) or "the .safetensors files of the run"
    raise ValueError(
        "this is the state of a training run, to go on from with --resume, and not a model file; "
        f"the weights are in {weights}"
    )


def _read_safetensors(path: Path, known: ModelConfig | None) -> Checkpoint:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path}: the safetensors file is damaged ({error})") from error
    try:
        if KEY in metadata:
            return from_header(metadata[KEY], tensors, layout="escsr safetensors")
        return _described(plain_names(tensors), "safetensors", known)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def unpickle(path: Path) -> object:
    """Read a file of `torch.save`: tensors and plain values; nothing in it is executed.

    Raises:
        ValueError: If the file is damaged, or contains anything else. The message does not name the
            file.
    """
    try:
        with path.open("rb") as file:  # given a path, torch.load would go by its suffix
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


def _described(
    tensors: dict[str, Tensor],
    where: str,
    config: ModelConfig | None,
    settings: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """The network of tensors without a configuration: third-party ones, or bare ones of ours."""
    if not _is_known(tensors):  # Lightning and others add a prefix of their own
        tensors = below_one_prefix(tensors, _is_known) or tensors
    if _is_ours(tensors):
        header = header_in(tensors)
        if header is not None:
            return from_header(header, tensors, layout=f"escsr tensors ({where})")
        if config is None:
            raise ValueError(_NO_CONFIG)
        return Checkpoint(config=config, tensors=tensors, layout=f"escsr state_dict ({where})")
    found, layout = recognise(tensors, settings)
    names = {ours: theirs for theirs, ours in found.names.items()}
    return Checkpoint(
        config=found.config,
        tensors={ours: tensors[theirs] for ours, theirs in names.items()},
        layout=f"published {layout} ({where})",
        names=names,
    )


def _is_ours(tensors: Mapping[str, Tensor]) -> bool:
    """Whether this is the ``state_dict()`` of a `SuperResolver`."""
    roots = {name.partition(".")[0] for name in tensors}
    return {"backbone", "head"} <= roots <= {"backbone", "head", TENSOR.partition(".")[0]}


def _is_known(tensors: Mapping[str, Tensor]) -> bool:
    return _is_ours(tensors) or detected(tensors)
