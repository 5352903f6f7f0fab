"""Pictures of any size in bands of rows, with the same result as for the whole picture.

The stages of the backbone run one after another over bands of rows; the maps between them are
kept in `RowStore`s, in memory or in files. While one stage writes its rows, the picture's mean is
gathered for the next one. The head then makes the result row by row.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from escsr.backbones.stages import FEATURES, PICTURE, Made, Stage, dying
from escsr.inference.attempts import HEAD, Attempts
from escsr.inference.sources import OnDevice
from escsr.inference.stores import RowStore, Stores
from escsr.inference.transfers import for_network, rows_on
from escsr.layers import Overlap, RowSource
from escsr.model import Features, SuperResolver

Write = Callable[[int, Tensor], None]
"""Takes the index of a first row, and rows (1, C, rows, W)."""
Progress = Callable[[float], None]
"""Called with the finished share of the work, from 0 to 1."""


def next_cut(top: int, height: int, rows: int, align: int) -> int:
    """The end of a band of about ``rows`` rows that begins at ``top``; see `Stage.align`."""
    bottom = top + max(rows // align, 1) * align
    # The windows of the last band are completed by reflection, which needs a whole window.
    return height if height - bottom < align else bottom


class BandEncoder:
    """Runs the stages of a backbone over bands of one picture.

    Args:
        network: In evaluation mode, on the device of ``attempts``.
        picture: (1, 3, H, W) in the range that the head expects.
        stores: Makes the stores for the maps between stages.
        attempts: Runs each band, with fewer rows or more precisely if needed.
        progress: See `Progress`.
    """

    def __init__(
        self,
        network: SuperResolver,
        picture: RowSource,
        *,
        stores: Stores,
        attempts: Attempts,
        progress: Progress,
    ) -> None:
        self._picture, self._stores = picture, stores
        self._attempts, self._progress = attempts, progress
        self._stride = network.backbone.stride
        _, _, height, width = picture.shape
        self._height, self._width = -(-height // self._stride), -(-width // self._stride)

    def run(self, stages: Sequence[Stage]) -> RowStore:
        """Run all stages.

        Returns:
            The features, (1, out_channels, h, w).

        Raises:
            MemoryError: If even the smallest band does not fit.
            OSError: If the disk is full.
        """
        maps: dict[str, RowSource] = {PICTURE: self._picture}
        statistic: Tensor | None = None
        for done, (stage, last_read) in enumerate(zip(stages, dying(stages), strict=True)):
            wanted = [name for name in stage.makes if name not in last_read]
            made: dict[str, RowStore] = {}
            mean = _Mean()
            for top, bottom, band in self._bands(stage, maps, statistic):
                self._write(band.maps, wanted, made, top)
                mean.add(band.statistic, (bottom - top) / self._height)
                self._progress((done + bottom / self._height) / len(stages))
            statistic = mean.value()
            for name in last_read.union(wanted):
                old = maps.pop(name, None)
                if isinstance(old, RowStore):
                    self._stores.give_back(old)
            maps.update(made)
        features = maps[FEATURES]
        assert isinstance(features, RowStore)
        return features

    def _bands(
        self, stage: Stage, maps: Mapping[str, RowSource], statistic: Tensor | None
    ) -> Iterator[tuple[int, int, Made]]:
        """The first row of each band, the one after its last, and the stage's result there."""
        device = self._attempts.device

        def make(top: int, bottom: int) -> Made:
            start, stop = max(top - stage.halo, 0), min(bottom + stage.halo, self._height)
            given = {name: self._read(maps[name], name, start, stop) for name in stage.reads}
            pooled = None if statistic is None else for_network(statistic, device)
            return stage.apply(given, Overlap(top - start, stop - bottom), pooled)

        def cut(top: int, rows: int) -> int:
            return next_cut(top, self._height, rows, stage.align)

        yield from self._attempts.bands(
            stage.name, self._height, make, cut, tensors=lambda made: made.maps.values()
        )

    def _read(self, source: RowSource, name: str, start: int, stop: int) -> Tensor:
        if name == PICTURE:
            start, stop = start * self._stride, min(stop * self._stride, source.shape[2])
        return rows_on(source, start, stop, self._attempts.device)

    def _write(
        self, rows: Mapping[str, Tensor], wanted: Iterable[str], made: dict[str, RowStore], top: int
    ) -> None:
        for name in wanted:
            if name not in made:
                # Values that were recomputed in float32 may be too large for float16.
                kind = rows[name].dtype
                kind = torch.float32 if kind == torch.float16 else kind
                channels = rows[name].shape[1]
                made[name] = self._stores.make(channels, self._height, self._width, kind)
            made[name].write(top, rows[name])


class _Mean:
    """The mean of a picture from the means of its bands, added up in double precision."""

    def __init__(self) -> None:
        self._parts: list[tuple[Tensor, float]] = []

    def add(self, mean: Tensor | None, share: float) -> None:
        """Add the mean of a band, weighted by its share of the rows."""
        if mean is not None:
            self._parts.append((mean, share))  # added up at the end, to synchronise only once

    def value(self) -> Tensor | None:
        """The mean, in the dtype of the parts, on the CPU; None if there were none."""
        if not self._parts:
            return None
        means, shares = zip(*self._parts, strict=True)
        # On the CPU, as not every device has float64.
        stacked = torch.stack(means).to("cpu", torch.float64)
        weights = torch.tensor(shares, dtype=torch.float64)
        mean: Tensor = torch.tensordot(weights, stacked, dims=1).to(means[-1].dtype)
        return mean


def render_bands(
    network: SuperResolver,
    features: RowSource,
    picture: RowSource,
    size: tuple[int, int],
    *,
    attempts: Attempts,
    write: Write,
    progress: Progress,
) -> None:
    """Make the enlarged picture from features, a few rows at a time.

    Args:
        network: In evaluation mode, on the device of ``attempts``.
        features: (1, C, h, w).
        picture: (1, 3, H, W) they were made from, in the range that the head expects.
        size: (H_out, W_out) to make.
        attempts: Runs each band of the result.
        write: Called with the rows in order, float32, about [0, 1], on the device.
        progress: See `Progress`.

    Raises:
        MemoryError: If even one row does not fit.
        ValueError: If the result is not finite.
    """
    device = attempts.device
    both = Features(OnDevice(features, device), OnDevice(picture, device))

    def make(top: int, bottom: int) -> Tensor:
        return network.render(both, size=size, rows=(top, bottom)).float()

    bands = attempts.bands(
        HEAD,
        size[0],
        make,
        cut=lambda top, rows: min(top + rows, size[0]),
        tensors=lambda sr: (sr,),
    )
    for top, bottom, sr in bands:
        write(top, sr)
        progress(bottom / size[0])
