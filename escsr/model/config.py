"""Descriptions of networks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The description of a network: everything needed to build it again.

    Attributes:
        backbone: Name in the registry of backbones.
        head: Name in the registry of heads.
        backbone_args: Its keyword arguments where they differ from the named variant.
        head_args: Likewise for the head, including the scale of a fixed-scale head.
    """

    backbone: str
    head: str
    backbone_args: Mapping[str, Any] = field(default_factory=dict)
    head_args: Mapping[str, Any] = field(default_factory=dict)
