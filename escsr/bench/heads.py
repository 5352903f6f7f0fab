"""Speed of the heads for any scale, alone, against their definitions and a plain head."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from escsr.bench.literal import literal_picture
from escsr.heads import HEADS, Head
from escsr.heads.base import query_heads

LITERAL = ("liif", "lte")
PLAIN = "pixel_shuffle"


@dataclass(frozen=True, kw_only=True)
class HeadSetup:
    """The settings of a measurement.

    Attributes:
        height: Rows of the features.
        width: Their columns.
        channels: Their channels.
        scales: Enlargements, whole numbers.
        threads: Threads of PyTorch.
        repeats: Timed rounds, after one that is not timed; the fastest pass counts.
        device: "cpu" or "cuda".
    """

    height: int = 48
    width: int = 48
    channels: int = 64
    scales: Sequence[int] = (2, 4)
    threads: int = 2
    repeats: int = 5
    device: str = "cpu"


@dataclass(frozen=True, kw_only=True)
class HeadMeasurement:
    """The result for one head at one scale.

    Attributes:
        head: Name of the head; "literal …" for a definition written out.
        scale: Enlargement.
        seconds: Of the fastest pass.
        parameters: Numbers that are trained.
        own_literal: Times as fast as its own definition, if that is written out.
        literal_lte: Times as fast as LTE's definition.
        plain: Times the duration of a plain pixel-shuffle head.
        difference: Largest absolute difference from its own definition, or None.
    """

    head: str
    scale: int
    seconds: float
    parameters: int
    own_literal: float | None
    literal_lte: float
    plain: float
    difference: float | None


def run_heads(setup: HeadSetup) -> list[HeadMeasurement]:
    """Measure all heads for any scale alternately, so that other load affects all equally.

    Args:
        setup: The settings.

    Returns:
        One measurement for each head and scale, definitions and the plain head included.

    Example:
        >>> found = {m.head: m for m in run_heads(HeadSetup(scales=(4,)))}
        >>> found["lte"].own_literal
        5.1
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(setup.threads)
    try:
        return [found for scale in setup.scales for found in _at_scale(setup, scale)]
    finally:
        torch.set_num_threads(threads)


def _at_scale(setup: HeadSetup, scale: int) -> list[HeadMeasurement]:
    generator = torch.Generator().manual_seed(0)
    shape = (setup.height, setup.width)
    features = torch.randn(1, setup.channels, *shape, generator=generator).to(setup.device)
    lq = torch.rand(1, 3, *shape, generator=generator).to(setup.device)
    if setup.device == "cpu":  # the layout our backbones return
        features = features.contiguous(memory_format=torch.channels_last)
    size = (setup.height * scale, setup.width * scale)
    heads = _heads(setup, scale)
    passes: dict[str, Callable[[], Tensor]] = {}
    for name in LITERAL:
        passes[f"literal {name}"] = partial(literal_picture, heads[name], features, lq, size)
    for name, head in heads.items():
        passes[name] = partial(head, features, lq, size)
    with torch.inference_mode():
        pictures = {name: make() for name, make in passes.items()}
        fastest = dict.fromkeys(passes, float("inf"))
        for _ in range(setup.repeats):
            for name, make in passes.items():
                fastest[name] = min(fastest[name], _seconds(make, setup.device))
    return [
        HeadMeasurement(
            head=name,
            scale=scale,
            seconds=seconds,
            parameters=sum(p.numel() for p in heads[name.split()[-1]].parameters()),
            own_literal=fastest[own] / seconds if own in fastest else None,
            literal_lte=fastest["literal lte"] / seconds,
            plain=seconds / fastest[PLAIN],
            difference=_difference(pictures[name], pictures[own]) if own in fastest else None,
        )
        for name, seconds in fastest.items()
        for own in [f"literal {name}"]
    ]


def _heads(setup: HeadSetup, scale: int) -> dict[str, Head]:
    heads: dict[str, Head] = {}
    for name in [PLAIN, *query_heads()]:
        torch.manual_seed(0)
        args = {"scale": scale} if name == PLAIN else {}
        heads[name] = HEADS.get(name)(setup.channels, **args).eval().to(setup.device)
    return heads


def _seconds(make: Callable[[], Tensor], device: str) -> float:
    began = time.perf_counter()
    make()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def _difference(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max())
