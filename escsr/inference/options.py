"""Options of a session and of each of its calls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import torch

from escsr.inference.memory import Memory, MemoryBudget, parse_memory
from escsr.inference.onnx_engine import Engine, check_engine, is_onnx
from escsr.inference.watching import Cancel
from escsr.inference.ways import Tiles, check_tiles


class CallSettings(TypedDict, total=False):
    """Options of each call, for type checkers; see `Upscaler.__call__`."""

    scale: float | None
    size: tuple[int, int] | None
    width: int | None
    height: int | None
    min_side: int | None
    max_side: int | None
    progress: Callable[[float], None] | None
    cancel: Cancel | None
    notify: Callable[[str], None] | None


class SessionSettings(TypedDict, total=False):
    """Options of a session, for type checkers; see `Upscaler`."""

    device: str | torch.device
    precision: str
    memory: Memory | None
    tiles: Tiles
    ensemble: bool
    engine: Engine
    providers: Sequence[str] | None
    compile: bool | None


@dataclass(frozen=True)
class SessionOptions:
    """Options of a session, see `Upscaler`. Equal options make equal sessions."""

    device: str | torch.device = "auto"
    precision: str = "fp32"
    memory: Memory | None = None
    tiles: Tiles = "exact"
    ensemble: bool = False
    engine: Engine = "torch"
    providers: Sequence[str] | None = None
    compile: bool | None = None

    def __post_init__(self) -> None:
        """Create options that compare and hash by value.

        Raises:
            ValueError: If the tiles are of an unknown kind.
        """
        check_tiles(self.tiles)
        object.__setattr__(self, "device", str(self.device))
        if self.providers is not None:
            object.__setattr__(self, "providers", tuple(self.providers))

    def engine_for(self, model: Any) -> Engine:
        """The engine that runs a model: an ONNX file implies its own.

        Raises:
            ValueError: If it does not support the other options.
        """
        engine: Engine = "onnx" if is_onnx(model) else self.engine
        precision = "fp32" if self.precision == "auto" else self.precision
        check_engine(engine, precision, self.device, self.providers)
        if engine != "torch" and self.compile:
            raise ValueError("compile=True is for engine='torch'; ONNX Runtime compiles by itself")
        return engine

    def budget(self) -> MemoryBudget:
        """The memory budget of all calls of the session together.

        Raises:
            ValueError: If the amount is impossible.
        """
        if isinstance(self.memory, int | str):
            return MemoryBudget(limit=parse_memory(self.memory))
        return MemoryBudget(free=self.memory or (lambda: None))
