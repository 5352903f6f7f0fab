"""Enlarging one picture in a chosen way, from its rows to rows of the result."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from escsr.devices import autocast
from escsr.inference.attempts import (
    Attempts,
    NotFiniteError,
    is_finite,
    is_out_of_memory,
    release_memory,
)
from escsr.inference.bands import BandEncoder, Write, render_bands
from escsr.inference.compiling import CompiledNetwork
from escsr.inference.engine_tiles import enlarge_in_tiles
from escsr.inference.ensemble import TURNS, TurnedMean
from escsr.inference.onnx_engine import OnnxEngine
from escsr.inference.plans import Plan
from escsr.inference.sources import InRange, resized_bands
from escsr.inference.stores import RowStore, Stores, check_disk, open_stores
from escsr.inference.tiles import TileEncoder
from escsr.inference.transfers import rows_on
from escsr.inference.watching import Watch
from escsr.inference.ways import Way
from escsr.layers import Band, RowSource
from escsr.layers.bands import as_tensor
from escsr.model import SuperResolver


class Enlarger:
    """Enlarges pictures of one call.

    Args:
        network: In evaluation mode, on ``device``.
        run: Called for whole pictures: the network, or a compiled one.
        device: Device of the network.
        precision: Precision of its arithmetic.
        plan: The plan.
        way: The way that it is carried out.
        ensemble: Whether to average over the picture's eight flips and rotations.
        watch: Notified of progress.
        notify: Called with notices for the user.
    """

    def __init__(
        self,
        network: SuperResolver,
        run: Callable[..., Tensor],
        *,
        device: torch.device,
        precision: str,
        plan: Plan,
        way: Way,
        ensemble: bool,
        watch: Watch,
        notify: Callable[[str], None],
    ) -> None:
        assert plan.network_size is not None
        self._network, self._run = network, run
        self._device, self._precision = device, precision
        self._size, self._network_size = plan.size, plan.network_size
        self._way, self._ensemble = way, ensemble
        self._watch, self._notify = watch, notify

    def __call__(self, picture: RowSource, write: Write) -> None:
        """Enlarge a picture, or pictures of one size.

        Args:
            picture: (B, 3, H, W) float32 in [0, 1]; B is 1 unless the way is "whole".
            write: Called with the rows of the result in order, (B, 3, rows, W_out) float32
                in [0, 1], on the device.

        Raises:
            MemoryError: If memory runs out in every way tried.
            ValueError: If the network's result is not finite.
            OSError: If the disk is full.
        """
        with open_stores(spool=self._way.spooled, device=self._device) as stores:
            result = _Result(write, self._network_size, self._size, stores)
            if self._ensemble:
                self._mean_of_turns(picture, stores, result.write)
            else:
                self._network_rows(picture, self._network_size, result.write)
            result.finish()

    def _mean_of_turns(self, picture: RowSource, stores: Stores, write: Write) -> None:
        """The mean of the network's results over the picture's eight flips and rotations."""
        mean = TurnedMean(self._network_size, stores)
        for turn in TURNS:
            size = turn.size(self._network_size)
            self._network_rows(turn.of(picture), size, partial(mean.add, turn))
        for top, rows in mean.rows():
            write(top, rows)

    def _network_rows(self, picture: RowSource, size: tuple[int, int], write: Write) -> None:
        """The network's result for a picture, at its own size and not clipped."""
        if self._way.kind != "whole":
            self._in_parts(picture, size, self._way, write)
        elif (sr := self._whole(picture, size)) is not None:
            write(0, sr)
        else:
            each = [self._recovered(picture, size, nth) for nth in range(picture.shape[0])]
            write(0, torch.cat(each))
        self._watch.pass_done()

    def _whole(self, picture: RowSource, size: tuple[int, int]) -> Tensor | None:
        """The result in one go; None if memory ran out or half precision overflowed."""
        try:
            with torch.inference_mode(), autocast(self._device, self._precision):
                lq = rows_on(picture, 0, picture.shape[2], self._device)
                sr = self._run(lq, size=size).float()
                finite = is_finite(sr)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self._notify("memory ran out: the work is done again in parts")
            return None
        if isinstance(self._run, CompiledNetwork) and self._run.failure is not None:
            self._notify(f"compiling failed, so the network runs as it is: {self._run.failure}")
        if finite:
            return sr
        if self._precision == "fp32":
            raise NotFiniteError("the network's result is not finite")
        self._notify(
            f"numbers outgrew {self._precision}: the work is done again, in fp32 where they did"
        )
        return None

    def _recovered(self, picture: RowSource, size: tuple[int, int], nth: int) -> Tensor:
        """One picture, (1, 3, H, W), of a batch that failed as a whole."""
        release_memory(self._device)
        staged = self._network.backbone.stages() is not None
        way = Way(
            kind="bands" if staged else "tiles",
            memory=self._way.memory,
            rows=max(picture.shape[2] // 2, 1),
            result_rows=256,
        )
        result = torch.empty(1, 3, *size)

        def write(top: int, sr: Tensor) -> None:
            result[:, :, top : top + sr.shape[2]] = sr

        self._in_parts(Band.whole(as_tensor(picture)[nth : nth + 1]), size, way, write)
        return result

    def _in_parts(self, picture: RowSource, size: tuple[int, int], way: Way, write: Write) -> None:
        """The result from bands or tiles."""
        engine = self._run
        if isinstance(engine, OnnxEngine) and not engine.has_weights:
            with self._watch.by_share() as progress:
                enlarge_in_tiles(
                    engine, picture, size, tile=way.rows, write=write, progress=progress
                )
            return
        if way.spooled:
            check_disk(way.stored)
        # The head takes about as long as two of some ten stages.
        share = 0.8
        with (
            open_stores(spool=way.spooled, device=self._device) as stores,
            self._watch.by_share() as progress,
        ):
            attempts = Attempts(self._device, self._precision, rows=way.rows, notify=self._notify)
            ranged = InRange(picture, *self._network.head.pixel_range)
            features = self._encode(
                way, ranged, stores, attempts, lambda done: progress(share * done)
            )
            attempts.rows = way.result_rows
            render_bands(
                self._network,
                features,
                ranged,
                size,
                attempts=attempts,
                write=write,
                progress=lambda done: progress(share + (1 - share) * done),
            )

    def _encode(
        self,
        way: Way,
        picture: RowSource,
        stores: Stores,
        attempts: Attempts,
        progress: Callable[[float], None],
    ) -> RowStore:
        stages = self._network.backbone.stages()
        if way.kind == "bands" and stages is not None:
            return BandEncoder(
                self._network, picture, stores=stores, attempts=attempts, progress=progress
            ).run(stages)
        return TileEncoder(
            self._network,
            picture,
            stores=stores,
            attempts=attempts,
            progress=progress,
            tile=way.rows,
        ).run()


class _Result:
    """Brings the network's result to the requested size.

    Args:
        write: Called with rows of the requested size, clipped.
        made: (H, W) of the network's result.
        size: Requested (H_out, W_out).
        stores: Stores for results that must be resized.
    """

    def __init__(
        self, write: Write, made: tuple[int, int], size: tuple[int, int], stores: Stores
    ) -> None:
        self._write, self._made, self._size = write, made, size
        self._stores = stores
        self._kept: list[RowStore] = []

    def write(self, top: int, sr: Tensor) -> None:
        """Take rows of the network's result, (B, 3, rows, W)."""
        with torch.inference_mode():  # the rows may have been made in this mode
            sr = sr.clamp_(0, 1)
        if self._made == self._size:
            self._write(top, sr)
            return
        if not self._kept:
            self._kept = [self._stores.make(3, *self._made, torch.float32) for _ in sr]
        for store, one in zip(self._kept, sr, strict=True):
            store.write(top, one[None])

    def finish(self) -> None:
        """Resize the result if it does not have the requested size."""
        if self._made == self._size:
            return
        each = [resized_bands(store, self._size) for store in self._kept]
        for bands in zip(*each, strict=True):
            top = bands[0][0]
            self._write(top, torch.cat([band for _, band in bands]).clamp_(0, 1))
