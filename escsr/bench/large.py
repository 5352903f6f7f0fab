"""Exact bands and tiles compared with the whole picture: cost, time profile, differences."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from escsr.build import load
from escsr.inference.attempts import Attempts
from escsr.inference.bands import BandEncoder, render_bands
from escsr.inference.sources import InRange, PixelRows
from escsr.inference.stores import RowStore, Stores, spool_folder
from escsr.inference.tiles import TileEncoder
from escsr.model import SuperResolver

Way = Literal["whole", "bands in memory", "bands from a spool", "tiles"]


@dataclass(frozen=True, kw_only=True)
class LargeMeasurement:
    """One way through the network, at its fastest.

    Attributes:
        way: Which.
        seconds: All of it.
        ratio: The same over that of the whole picture.
        features: Seconds in the backbone's stages, reading and writing included.
        head: Seconds in the head.
        reading: Seconds in reading what lies between stages.
        writing: Seconds in writing it.
        difference: Largest difference to the whole picture, in steps of 1/255.
        mean_difference: Its mean.
    """

    way: Way
    seconds: float
    ratio: float
    features: float
    head: float
    reading: float
    writing: float
    difference: float
    mean_difference: float


class _Clock:
    """Adds up seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, name: str, work: Callable[[], Tensor | None]) -> Tensor | None:
        began = time.perf_counter()
        made = work()
        self.seconds[name] = self.seconds.get(name, 0) + time.perf_counter() - began
        return made


class _TimedStore(RowStore):
    """A store that records its time."""

    clock: _Clock

    def write(self, top: int, rows: Tensor) -> None:
        self.clock.time("writing", lambda: RowStore.write(self, top, rows))

    def read(self, top: int, bottom: int) -> Tensor:
        made = self.clock.time("reading", lambda: RowStore.read(self, top, bottom))
        assert made is not None
        return made


class _TimedStores(Stores):
    def __init__(self, clock: _Clock, *, spool: bool) -> None:
        super().__init__(spool_folder() if spool else None)
        self._clock = clock

    def make(self, channels: int, height: int, width: int, dtype: torch.dtype) -> RowStore:
        store = super().make(channels, height, width, dtype)
        store.__class__ = _TimedStore
        assert isinstance(store, _TimedStore)
        store.clock = self._clock
        return store


def measure_large(
    *,
    model: str = "default",
    side: int = 1024,
    scale: int = 2,
    rows: int = 256,
    tile: int = 256,
    threads: int = 2,
    repeats: int = 3,
) -> list[LargeMeasurement]:
    """Time the ways through a network in turn, on a picture of noise with structure.

    Args:
        model: Of `escsr.load`.
        side: Height and width of the picture.
        scale: Enlargement.
        rows: Rows in a band.
        tile: Side of a tile.
        threads: Threads of PyTorch.
        repeats: Rounds; the fastest of each way counts.

    Returns:
        The whole picture first.
    """
    network = load(model).eval()
    picture = _picture(side)
    ways: tuple[Way, ...] = ("whole", "bands in memory", "bands from a spool", "tiles")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    best: dict[Way, tuple[float, dict[str, float], Tensor]] = {}
    try:
        for _ in range(repeats):
            for way in ways:
                clock = _Clock()
                began = time.perf_counter()
                made = _run(network, picture, scale, way, clock, rows, tile)
                clock.seconds["all"] = time.perf_counter() - began
                if way not in best or clock.seconds["all"] < best[way][0]:
                    best[way] = clock.seconds["all"], clock.seconds, made
    finally:
        torch.set_num_threads(before)
    whole_seconds, _, whole = best["whole"]
    return [
        LargeMeasurement(
            way=way,
            seconds=seconds,
            ratio=seconds / whole_seconds,
            features=parts["features"],
            head=parts["head"],
            reading=parts.get("reading", 0.0),
            writing=parts.get("writing", 0.0),
            difference=255 * float((made - whole).abs().max()),
            mean_difference=255 * float((made - whole).abs().mean()),
        )
        for way, (seconds, parts, made) in best.items()
    ]


def _run(
    network: SuperResolver,
    picture: PixelRows,
    scale: int,
    way: Way,
    clock: _Clock,
    rows: int,
    tile: int,
) -> Tensor:
    size = scale * picture.shape[2], scale * picture.shape[3]
    if way == "whole":
        with torch.inference_mode():
            lq = picture.read(0, picture.shape[2])
            began = time.perf_counter()
            features = network.encode(lq)
            clock.seconds["features"] = time.perf_counter() - began
            sr = network.render(features, size=size)
            clock.seconds["head"] = time.perf_counter() - began - clock.seconds["features"]
            return sr
    made = torch.empty(1, 3, *size)

    def write(top: int, sr: Tensor) -> None:
        made[:, :, top : top + sr.shape[2]] = sr

    attempts = Attempts(torch.device("cpu"), "fp32", rows=rows, notify=print)
    ranged = InRange(picture, *network.head.pixel_range)
    stores = _TimedStores(clock, spool=way == "bands from a spool")
    try:
        began = time.perf_counter()
        stages = network.backbone.stages()
        assert stages is not None
        store = (
            TileEncoder(
                network,
                ranged,
                stores=stores,
                attempts=attempts,
                progress=lambda share: None,
                tile=tile,
            ).run()
            if way == "tiles"
            else BandEncoder(
                network, ranged, stores=stores, attempts=attempts, progress=lambda share: None
            ).run(stages)
        )
        clock.seconds["features"] = time.perf_counter() - began
        render_bands(
            network,
            store,
            ranged,
            size,
            attempts=attempts,
            write=write,
            progress=lambda share: None,
        )
        clock.seconds["head"] = time.perf_counter() - began - clock.seconds["features"]
    finally:
        stores.close()
    return made


def _picture(side: int) -> PixelRows:
    """Waves of many lengths and some noise: with edges, flat areas and detail everywhere."""
    y, x = np.mgrid[:side, :side] / 32
    waves = [np.sin(y * k + np.sin(x * (4 - k))) for k in (1, 2, 3)]
    noise = np.random.default_rng(0).normal(0, 8, (side, side, 3))
    values = 128 + 60 * np.sign(np.stack(waves, -1)) * np.abs(np.sin(x / 7))[..., None] + noise
    return PixelRows(np.clip(values, 0, 255).astype(np.uint8))
