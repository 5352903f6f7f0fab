"""The description of the network in our weight files.

It is in the header of the safetensors file and also in a small tensor of bytes, because many
programs read only the tensors, and write them to other kinds of files.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from escsr.model import ModelConfig, SuperResolver
from escsr.version import __version__

FORMAT = 1
KEY = "escsr"
"""Name of the text in the header of a safetensors file."""
TENSOR = "escsr.header"
"""Name of the tensor with the same text, in UTF-8."""

_OF_READING = ("trained", "layout")
"""Entries that reading a file adds to the facts, stored elsewhere in it."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The contents of a weight file.

    Attributes:
        config: The network that the tensors belong to.
        tensors: Its state, under our names.
        facts: The origin recorded in the file (recipe, steps, data).
        layout: The kind of file, in words.
        names: The file's own name of a tensor where it differs from ours.
    """

    config: ModelConfig
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)
    layout: str
    names: Mapping[str, str] = field(default_factory=dict)


def make_header(model: SuperResolver, facts: Mapping[str, Any]) -> str:
    """The description of a network for its file, as JSON."""
    return json.dumps(
        {
            "format": FORMAT,
            "version": __version__,
            "config": asdict(model.config),
            "trained": model.trained,
            "facts": {key: value for key, value in facts.items() if key not in _OF_READING},
        }
    )


def as_tensor(header: str) -> Tensor:
    """The bytes of a header, uint8."""
    return torch.frombuffer(bytearray(header.encode("utf-8")), dtype=torch.uint8)


def header_in(tensors: Mapping[str, Tensor]) -> str | None:
    """The header among the tensors, if there is one; `from_header` checks it."""
    found = tensors.get(TENSOR)
    if found is None:
        return None
    # Conversion of all tensors to half precision preserves numbers up to 255.
    return bytes(found.to(torch.uint8).tolist()).decode("utf-8", "replace")


def from_header(header: str, tensors: Mapping[str, Tensor], *, layout: str) -> Checkpoint:
    """The contents of a file of ours.

    Args:
        header: A header made by `make_header`.
        tensors: All tensors of the file.
        layout: The kind of file, in words.

    Raises:
        ValueError: If the header is damaged or of a later version.
    """
    try:
        content = json.loads(header)
        newer = content["format"] > FORMAT
        config = ModelConfig(**content["config"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"the configuration in its header is damaged: {error}") from error
    if newer:
        raise ValueError(
            f"was written by escsr {content.get('version')} in format {content['format']}; "
            f"this escsr ({__version__}) reads up to {FORMAT}: update it"
        )
    return Checkpoint(
        config=config,
        tensors={name: tensor for name, tensor in tensors.items() if name != TENSOR},
        facts={**content.get("facts", {}), "trained": content.get("trained", True)},
        layout=layout,
    )
