"""What "auto" means: the fastest of several equivalent ways to compute on a device.

The table is ``choices.toml``, next to this file; `escsr bench --gpu` measures its entries.
"""

import functools
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from escsr.devices import PRECISIONS

_OPTIONS: Mapping[str, tuple[object, ...]] = {
    "table": ("sdpa", "flex", "math"),
    "factors": ("concat", "sdpa", "flex", "math"),
    "layout": ("free", "contiguous", "channels_last"),
    "merge": (True, False),
    "compile": (True, False),
}


@dataclass(frozen=True, kw_only=True)
class Choices:
    """One choice for each thing that can be computed in several ways.

    Attributes:
        table: Method of window attention with a bias table: "sdpa", "flex" or "math".
        factors: Likewise for a bias that is a product: "concat", "sdpa", "flex" or "math".
        layout: Layout of feature maps: "channels_last", "contiguous", or "free", as each operation
            leaves them.
        merge: Whether a picture's dynamic kernel is added to the large one, so that one
            convolution does both.
        compile: Whether sessions compile their network.
    """

    table: str = "sdpa"
    factors: str = "concat"
    layout: str = "free"
    merge: bool = True
    compile: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        for name, allowed in _OPTIONS.items():
            if getattr(self, name) not in allowed:
                options = ", ".join(map(str, allowed))
                raise ValueError(f"{name} is one of {options}, not {getattr(self, name)!r}")


SAFE = Choices()
"""Correct on every device, and fast on most."""

_SAFE_ON_CPU = replace(SAFE, layout="channels_last")
_forced: ContextVar[Choices | None] = ContextVar("escsr_choices", default=None)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """An entry of the table.

    Attributes:
        device: Type of the devices that the entry applies to.
        names: Prefixes of their names.
        precisions: Precisions of the arithmetic, names of `escsr.devices.PRECISIONS`.
        choices: The fastest choices.
        date: Date of the measurement, "2026-11-30".
        bench: The command that measured them.
    """

    device: str
    names: tuple[str, ...]
    precisions: tuple[str, ...]
    choices: Choices
    date: str
    bench: str


def read_choices(text: str) -> list[Measured]:
    """Read a table of choices.

    Args:
        text: TOML in the form that ``choices.toml`` describes.

    Raises:
        ValueError: If an entry is incomplete or has an unknown key or value.
    """
    found = []
    for entry in tomllib.loads(text).get("measured", []):
        about = {name: entry.pop(name, None) for name in ("device", "date", "bench")}
        names, precisions = tuple(entry.pop("names", ())), tuple(entry.pop("precisions", ()))
        if not (all(about.values()) and names and precisions):
            raise ValueError(
                "an entry of choices needs device, names, precisions, date and bench; one has "
                f"{about}, names {names} and precisions {precisions}"
            )
        unknown = [*(set(entry) - {field.name for field in fields(Choices)})]
        unknown += [precision for precision in precisions if precision not in PRECISIONS]
        if unknown:
            raise ValueError(f"choices know nothing of {', '.join(map(repr, unknown))}")
        found.append(
            Measured(
                device=about["device"],
                names=names,
                precisions=precisions,
                choices=Choices(**entry),
                date=str(about["date"]),
                bench=about["bench"],
            )
        )
    return found


@functools.cache
def measured_choices() -> list[Measured]:
    """The entries of the table."""
    return read_choices(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def choose(entries: list[Measured], device: str, name: str, precision: str) -> Choices:
    """Pick the choices for a device from a list of entries.

    Args:
        entries: Entries from `read_choices`.
        device: Type of the device.
        name: Its name, e.g. "NVIDIA H100 80GB HBM3"; "" where it has none.
        precision: A name of `escsr.devices.PRECISIONS`.

    Returns:
        The choices of the entry with the longest matching name; `SAFE` if none matches.
    """
    best, length = SAFE, -1
    for entry in entries:
        if entry.device != device or precision not in entry.precisions:
            continue
        for start in entry.names:
            if name.startswith(start) and len(start) > length:
                best, length = entry.choices, len(start)
    return best


def choices_for(device: torch.device, dtype: torch.dtype) -> Choices:
    """The choices for a device, under the autocast in effect, if any.

    Compiled and exported programs use the choices that are correct everywhere; whoever compiles
    a network makes its choices first.

    Args:
        device: Device of the tensors.
        dtype: Their type.
    """
    if torch.compiler.is_compiling():
        return _SAFE_ON_CPU if device.type == "cpu" else SAFE
    forced = _forced.get()
    if forced is not None:
        return forced
    if torch.is_autocast_enabled(device.type):
        dtype = torch.get_autocast_dtype(device.type)
    return _chosen(device.type, device.index, dtype)


@functools.lru_cache(maxsize=64)
def _chosen(device: str, index: int | None, dtype: torch.dtype) -> Choices:
    precision = next((name for name, known in PRECISIONS.items() if known == dtype), "fp32")
    return choose(measured_choices(), device, _name_of(device, index), precision)


def _name_of(device: str, index: int | None) -> str:
    module: Any = getattr(torch, device, None)
    # Fake tensors may be on devices that do not exist.
    if module is None or not hasattr(module, "get_device_name") or not module.is_available():
        return ""
    return str(module.get_device_name(index))


@contextmanager
def choosing(**changes: Any) -> Iterator[None]:
    """Override the choices for a block, in this thread only, on any device; for measurements.

    Args:
        changes: Fields of `Choices`; all others are taken from `SAFE`.

    Raises:
        ValueError: If a value is impossible.

    Example:
        >>> with choosing(layout="contiguous", merge=False):  # doctest: +SKIP
        ...     model(lq)
    """
    token = _forced.set(replace(SAFE, **changes))
    try:
        yield
    finally:
        _forced.reset(token)
