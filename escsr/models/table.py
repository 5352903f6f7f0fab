"""The table of published weights, read from ``published.toml``."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Published:
    """A weight file that its authors offer for download.

    Attributes:
        name: Its name for `escsr.load` and the command line.
        file: Name of the file.
        address: Where it is fetched from.
        page: Web page on which its authors offer it.
        paper: The paper it comes from.
        licence: Licence of the weights.
        backbone: See `escsr.build`.
        head: See `escsr.build`.
        scale: Its enlargement; None if it makes any.
        about: One-line description.
        trained_on: The pictures it was trained on.
        backbone_args: Arguments of the backbone beyond the named variant.
        row: The published figures it should reproduce (`escsr evaluate --paper`), or None.
        sha256: SHA-256 of the file, or None: then it is kept at the first download.
    """

    name: str
    file: str
    address: str
    page: str
    paper: str
    licence: str
    backbone: str
    head: str
    scale: int | None = None
    about: str
    trained_on: str
    backbone_args: Mapping[str, Any] = field(default_factory=dict)
    row: str | None = None
    sha256: str | None = None


@cache
def published() -> Mapping[str, Published]:
    """The published weights that can be fetched, by name.

    Example:
        >>> published()["esc_real_x4_gan"].scale
        4
    """
    text = Path(__file__).with_name("published.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    found = {}
    for name, entry in table["weights"].items():
        source = dict(table["sources"][entry.pop("source")])
        file = entry["file"]
        source["address"] = source["address"].format(file=file, stem=Path(file).stem)
        found[name] = Published(name=name, **source, **entry)
    return MappingProxyType(found)
