"""The memory that a network needs in bands, found without computing them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from escsr.backbones.stages import FEATURES, PICTURE, Stage, dying
from escsr.inference.memory import PeakTracker, with_hidden, without_contents
from escsr.layers import Band, Overlap
from escsr.model import Features, SuperResolver

# Memory that malloc keeps from blocks it does not map individually (below 32 MiB): many bands of
# changing sizes leave up to twice the memory of one, up to some 250 MB (measured: 210 to 258).
_HEAP = 256 << 20
# Rows at which memory is measured; in between and beyond, it grows linearly.
_ROWS = (64, 192)


@dataclass(frozen=True)
class Line:
    """Number of bytes as a linear function of the number of rows.

    Attributes:
        fixed: Bytes for any number of rows.
        per_row: Additional bytes per row.
    """

    fixed: float
    per_row: float

    @classmethod
    def through(cls, first: tuple[int, int], second: tuple[int, int]) -> "Line":
        """The line through two points (rows, bytes)."""
        (rows, size), (more_rows, larger) = first, second
        slope = (larger - size) / (more_rows - rows) if more_rows > rows else size / rows
        slope = max(slope, 0)
        return cls(max(size - slope * rows, 0), slope)

    def of(self, rows: int) -> int:
        """Bytes for a number of rows."""
        return int(self.fixed + self.per_row * rows)

    def rows_in(self, budget: int, most: int) -> int:
        """The number of rows that fit into a budget, up to ``most``; 0 if none fits."""
        if self.per_row == 0:
            return most if self.fixed <= budget else 0
        return max(min(int((budget - self.fixed) / self.per_row), most), 0)


@dataclass(frozen=True)
class BandCosts:
    """The memory that a picture needs in bands.

    Attributes:
        stages: Bytes on the device by rows of the features in a band.
        head: Bytes on the device by rows of the result made at once.
        stored: Bytes of all maps that are kept between stages at the same time.
        align: Number of rows that bands are multiples of.
    """

    stages: Line
    head: Line
    stored: int
    align: int


def band_costs(
    network: SuperResolver,
    image_size: tuple[int, int],
    size: tuple[int, int],
    *,
    dtype: torch.dtype | None = None,
) -> BandCosts:
    """Measure the bands of a picture on tensors without data.

    Args:
        network: One whose backbone has stages.
        image_size: (H, W) of the picture.
        size: (H_out, W_out) of the network's result.
        dtype: Autocast dtype; None for none.

    Example:
        >>> costs = band_costs(escsr.load("default"), (4000, 6000), (8000, 12000))
        >>> costs.stages.of(rows=256) < costs.stages.of(rows=512)
        True
    """
    device = next(network.parameters()).device
    stride = network.backbone.stride
    height, width = (-(-side // stride) for side in image_size)
    with without_contents(device, dtype):
        stages = network.backbone.stages()
        assert stages is not None
        align = max(stage.align for stage in stages)
        peaks = []
        for rows in _ROWS:
            rows = min(-(-rows // align) * align, height)
            probe = _Probe(width, stride, device)
            peaks.append((rows, max(probe.peak(stage, rows) for stage in stages)))
    stored = _most_kept(stages, probe.pixel_bytes) * height * width
    with without_contents(device, dtype):
        kept = torch.float32 if probe.dtypes[FEATURES] == torch.float16 else probe.dtypes[FEATURES]
        head = _head_line(network, image_size, (height, width), size, kept)
    return BandCosts(Line.through(*peaks), head, stored, align)


@dataclass(frozen=True)
class TileCosts:
    """The memory that a picture needs in tiles.

    Attributes:
        tile: Bytes on the device for one tile, including the row of tiles that it is part of.
        head: See `BandCosts`.
        stored: Bytes of the features.
    """

    tile: int
    head: Line
    stored: int


def tile_costs(
    network: SuperResolver,
    image_size: tuple[int, int],
    size: tuple[int, int],
    *,
    tile: int,
    halo: int,
    dtype: torch.dtype | None = None,
) -> TileCosts:
    """Measure the tiles of a picture on tensors without data.

    Args:
        network: Any network.
        image_size: (H, W) of the picture.
        size: (H_out, W_out) of the network's result.
        tile: Side of a tile in pixels of the features.
        halo: How far a tile looks beyond that.
        dtype: Autocast dtype; None for none.
    """
    device = next(network.parameters()).device
    stride, channels = network.backbone.stride, network.backbone.out_channels
    height, width = (-(-side // stride) for side in image_size)
    sides = [min((tile + 2 * halo) * stride, side) for side in image_size]
    with without_contents(device, dtype):
        with PeakTracker() as tracker:
            kind = network.backbone(torch.empty(1, 3, *sides, device=device)).dtype
        kind = torch.float32 if kind == torch.float16 else kind
        head = _head_line(network, image_size, (height, width), size, kind)
    row = 4 * (channels * (tile + halo) * width + 3 * sides[0] * width * stride)
    return TileCosts(
        _in_process(tracker.peak, device) + 2 * row, head, 4 * channels * height * width
    )


class _Probe:
    """Runs one stage after another on bands without data.

    Attributes:
        dtypes: Dtypes of the maps, by name.
        pixel_bytes: Bytes per pixel of each stored map.
    """

    def __init__(self, width: int, stride: int, device: torch.device) -> None:
        self._width, self._stride, self._device = width, stride, device
        self._channels = {PICTURE: 3}
        self.dtypes = {PICTURE: torch.float32}
        self.pixel_bytes: dict[str, int] = {}
        self._statistic: Tensor | None = None

    def peak(self, stage: Stage, rows: int) -> int:
        """Peak bytes of a band that does not touch the picture's borders."""
        with PeakTracker() as tracker:
            given = {name: self._band(name, rows + 2 * stage.halo) for name in stage.reads}
            overlap = Overlap(stage.halo, stage.halo)
            maps, self._statistic = stage.apply(given, overlap, self._statistic)
        for name, values in maps.items():
            kind = torch.float32 if values.dtype == torch.float16 else values.dtype
            self._channels[name], self.dtypes[name] = values.shape[1], kind
            self.pixel_bytes[name] = values.shape[1] * kind.itemsize
        return _in_process(tracker.peak, self._device)

    def _band(self, name: str, rows: int) -> Tensor:
        times = self._stride if name == PICTURE else 1
        shape = (1, self._channels[name], rows * times, self._width * times)
        return torch.empty(
            shape,
            dtype=self.dtypes[name],
            device=self._device,
            memory_format=torch.channels_last,
        )


def _in_process(peak: int, device: torch.device) -> int:
    """Bytes of tensors, including overhead."""
    heap = min(2 * peak, _HEAP) if device.type == "cpu" else 0
    return with_hidden(peak) + heap


def _most_kept(stages: Sequence[Stage], pixel_bytes: Mapping[str, int]) -> int:
    """Bytes per pixel of all maps that exist at once: those that a stage reads and makes."""
    alive: set[str] = set()
    most = 0
    for stage, last_read in zip(stages, dying(stages), strict=True):
        made = [name for name in stage.makes if name not in last_read]
        # A map that is replaced exists twice while its stage runs.
        most = max(most, sum(pixel_bytes[name] for name in [*alive, *made]))
        alive = (alive - last_read) | set(made)
    return most


def _head_line(
    network: SuperResolver,
    image_size: tuple[int, int],
    feature_size: tuple[int, int],
    size: tuple[int, int],
    dtype: torch.dtype,
) -> Line:
    """Bytes by rows of the result, measured in the middle of the picture."""
    head, device = network.head, next(network.parameters()).device
    peaks = []
    for rows in _ROWS:
        rows = min(rows, size[0])
        first = (size[0] - rows) // 2
        wanted = (first, first + rows)
        with PeakTracker() as tracker:
            features = _empty_band(
                network.backbone.out_channels,
                feature_size,
                head.source_rows(wanted, size=size, height=feature_size[0]),
                dtype,
                device,
            )
            picture = _empty_band(
                3,
                image_size,
                head.picture_rows(wanted, size=size, height=image_size[0]),
                torch.float32,
                device,
            )
            sr = network.render(Features(features, picture), size=size, rows=wanted)
            sr.float().clamp(0, 1)  # as in the real run
        peaks.append((rows, _in_process(tracker.peak, device)))
    return Line.through(*peaks)


def _empty_band(
    channels: int,
    size: tuple[int, int],
    rows: tuple[int, int],
    dtype: torch.dtype,
    device: torch.device,
) -> Band:
    values = torch.empty(
        (1, channels, rows[1] - rows[0], size[1]),
        dtype=dtype,
        device=device,
        memory_format=torch.channels_last,
    )
    return Band(values, rows[0], size[0])
