"""What our weight files say of their network, beside the tensors.

The header of the safetensors file has it, and so has a small tensor of bytes, because many programs
read the tensors only, and write them into files of other kinds.
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
"""What reading a file adds to the facts: said elsewhere in it."""


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


def make_header(model: SuperResolver, facts: Mapping[str, Any]) -> str:
    """What a file of a network says of it, as JSON."""
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
    """The header that lies among tensors, if there is one; `from_header` finds what is wrong."""
    found = tensors.get(TENSOR)
    if found is None:
        return None
    # Programs that convert all tensors to half precision keep the numbers up to 255.
    return bytes(found.to(torch.uint8).tolist()).decode("utf-8", "replace")


def from_header(header: str, tensors: Mapping[str, Tensor], *, layout: str) -> Checkpoint:
    """What a file of ours holds.

    Args:
        header: As `make_header` makes it.
        tensors: All tensors of the file.
        layout: What kind of file it is, in words.

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
