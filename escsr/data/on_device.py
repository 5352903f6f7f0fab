"""Training samples made on the training device: photos as one tensor, crops and small pictures.

The data sets draw the samples; this module holds the photos and does the arithmetic on batches.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from escsr.data.cache import Photo
from escsr.data.photos import PhotoPool
from escsr.resize import axis_taps


class DeviceBatches:
    """A data set that can make whole batches on the training device.

    Attributes:
        on_device: Whether it should do so.
    """

    on_device: bool
    _pool: PhotoPool
    _photos: "DevicePhotos | None" = None

    def open_on(self, device: torch.device) -> None:
        """Copy the photos to a device; call it before `batch`.

        Raises:
            ValueError: If a photo is damaged and bad files are refused.
            MemoryError: If they do not fit.
        """
        self._photos = DevicePhotos(self._all_pools(), device)

    def _all_pools(self) -> Sequence[PhotoPool]:
        return (self._pool,)

    @property
    def files(self) -> list[Path]:
        """All picture files that samples are made from."""
        pools = self._all_pools()
        return list(dict.fromkeys(path for p in pools for entry in p.entries for path in entry))

    @property
    def skips_damaged(self) -> bool:
        """Whether damaged files are skipped (``bad_files="skip"``)."""
        return self._all_pools()[0].skips_damaged

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Make the samples of some indices on the device, stacked."""
        raise NotImplementedError

    @property
    def photos(self) -> "DevicePhotos":
        """The photos on the device.

        Raises:
            RuntimeError: If `open_on` was not called.
        """
        if self._photos is None:
            raise RuntimeError("the photos are on no device yet: call open_on(device) first")
        return self._photos


class DevicePhotos:
    """All photos of some pools, decoded, in one uint8 tensor on a device.

    Args:
        pools: The photos; a file that is in several pools is copied once.
        device: Target device.

    Raises:
        MemoryError: If the device has too little memory.
    """

    def __init__(self, pools: Sequence[PhotoPool], device: torch.device) -> None:
        self._first = pools[0]
        readers = {path: pool for pool in pools for entry in pool.entries for path in entry}
        with ThreadPoolExecutor(4) as threads:  # decoders release Python's lock
            found = dict(
                zip(readers, threads.map(_decoded, readers, readers.values()), strict=True)
            )
        total = sum(photo.size for photo in found.values() if not isinstance(photo, ValueError))
        try:
            memory = torch.empty(total, dtype=torch.uint8, device=device)
        except torch.OutOfMemoryError as error:
            raise MemoryError(
                f"the decoded photos need {total / 1e9:.2f} GB on {device}, which has less free; "
                "take fewer photos or leave out on_device"
            ) from error
        self._photos: dict[Path, Tensor | ValueError] = {}
        begin = 0
        for path in readers:
            photo = found.pop(path)
            if isinstance(photo, ValueError):
                self._photos[path] = photo
                continue
            view = memory[begin : begin + photo.size].view(photo.shape)
            view.copy_(torch.from_numpy(np.array(photo)))  # a copy, as torch needs it writable
            self._photos[path] = view
            begin += photo.size
        if device.type == "cuda":  # other streams make the batches
            torch.cuda.synchronize(device)

    def draw(self, rng: np.random.Generator, pool: PhotoPool | None = None) -> tuple[Tensor, ...]:
        """Draw an entry as `PhotoPool.draw` does.

        Args:
            rng: Generator of the sample.
            pool: The pool to draw from; None: the first one.

        Returns:
            Its pictures, (H, W, 3) uint8 each.

        Raises:
            ValueError: If one is damaged and the pool refuses such files.
        """
        pool = pool or self._first
        entries = pool.entries
        return pool.draw_from(lambda number: tuple(map(self._photo, entries[number])), rng)

    def _photo(self, path: Path) -> Tensor:
        photo = self._photos[path]
        if isinstance(photo, ValueError):
            raise photo
        return photo


def _decoded(path: Path, pool: PhotoPool) -> Photo | ValueError:
    try:
        return pool.read(path, keep=False)
    except ValueError as error:
        return error


def mirrored(photo: Tensor, *, top: int, left: int, side: int) -> Tensor:
    """Cut a square out of a photo that is mirrored at its edges.

    Args:
        photo: (H, W, 3).
        top: First row; may be negative.
        left: First column; likewise.
        side: Number of rows and columns.

    Returns:
        (side, side, 3), a view where nothing is mirrored.
    """
    height, width = photo.shape[:2]
    if top >= 0 and left >= 0 and top + side <= height and left + side <= width:
        return photo[top : top + side, left : left + side]
    rows, columns = (
        torch.from_numpy(_reflected(begin + np.arange(side), length)).to(photo.device)
        for begin, length in ((top, height), (left, width))
    )
    return photo.index_select(0, rows).index_select(1, columns)


def _reflected(places: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    places = places % (2 * length)
    return np.where(places < length, places, 2 * length - 1 - places)


def resized(pictures: Tensor, size: tuple[int, int], *, context: int = 0) -> Tensor:
    """Resize with MATLAB's bicubic filter; for uint8 bit-identical to `escsr.resize.imresize`.

    Each axis is a matrix product. Sums of uint8 close to halfway between two levels are then added
    up again in the order of `imresize`, because a product may round them either way. (Apple's GPUs
    have no float64; with float32, levels may differ by one.)

    Args:
        pictures: (B, H, W, C), uint8 or float.
        size: (height, width) of the result, with its context.
        context: Pixels of the result to drop on each side, which only serve as context.

    Returns:
        (B, height - 2 context, width - 2 context, C) of the same dtype.
    """
    scales = [out / length for out, length in zip(size, pictures.shape[1:3], strict=True)]
    order = (1, 2) if scales[0] <= scales[1] else (2, 1)
    for axis in order:
        if axis == 2:
            pictures = pictures.transpose(1, 2)
        pictures = _resized_rows(pictures, size[axis - 1], context)
        if axis == 2:
            pictures = pictures.transpose(1, 2)
    return pictures


def _resized_rows(pictures: Tensor, out: int, context: int) -> Tensor:
    """Resize axis 1 of (B, H, W, C); uint8 is rounded half up."""
    count, length, *rest = pictures.shape
    if out == length:
        return pictures[:, context : out - context]
    filter_ = _filter(length, out, context, pictures.device)
    exact = pictures.to(filter_.matrix.dtype).reshape(count, length, -1)
    sums = filter_.matrix @ exact  # (B, out, W C)
    if pictures.dtype == torch.uint8:
        _add_up_halves(sums, exact, filter_)
        sums = sums.add_(0.5).floor_().clamp_(0, 255)
    return sums.to(pictures.dtype).view(count, -1, *rest)


_HALF = 1e-7
"""Distance from a half within which a sum is undecided: float64 errors are below 1e-12."""


def _add_up_halves(sums: Tensor, exact: Tensor, filter_: "_Filter") -> None:
    """Recompute the sums near a half, from the first tap to the last."""
    batch, row, column = ((sums - sums.floor() - 0.5).abs() < _HALF).nonzero(as_tuple=True)
    terms = exact[batch[:, None], filter_.indices[row], column[:, None]] * filter_.weights[row]
    total = torch.zeros_like(terms[:, 0])
    for tap in range(terms.shape[1]):
        total += terms[:, tap]
    sums[batch, row, column] = total


class _Filter(NamedTuple):
    """One axis of `imresize` on a device: the matrix (out, length), and its taps (out, taps)."""

    matrix: Tensor
    indices: Tensor
    weights: Tensor


@lru_cache(maxsize=512)
def _filter(length: int, out: int, context: int, device: torch.device) -> _Filter:
    indices, weights = axis_taps(length, out)
    indices, weights = indices[context : out - context], weights[context : out - context]
    matrix = np.zeros((len(indices), length))
    # mirrored taps may hit the same sample several times, so weights are added up
    np.add.at(matrix, (np.arange(len(indices))[:, None], indices), weights)
    dtype = torch.float32 if device.type == "mps" else torch.float64
    return _Filter(
        torch.from_numpy(matrix).to(device, dtype),
        torch.from_numpy(indices.copy()).to(device),
        torch.from_numpy(weights.copy()).to(device, dtype),
    )


def as_variants(variants: Sequence[int], device: torch.device) -> Tensor:
    """Copy the drawn variants of a batch to its device, for `turned`."""
    return torch.tensor(variants, device=device)


def turned(pictures: Tensor, variants: Tensor) -> Tensor:
    """Flip and rotate each picture by its own variant, like `escsr.data.d4`.

    Args:
        pictures: (B, P, P, C).
        variants: (B,) 0 to 7.

    Returns:
        (B, P, P, C).
    """
    bits = [(variants & bit).bool().view(-1, 1, 1, 1) for bit in (1, 2, 4)]
    pictures = torch.where(bits[0], pictures.flip(2), pictures)
    pictures = torch.where(bits[1], pictures.flip(1), pictures)
    return torch.where(bits[2], pictures.transpose(1, 2), pictures)


def to_floats(pictures: Tensor) -> Tensor:
    """Turn (B, H, W, 3) uint8 into (B, 3, H, W) float32 in [0, 1]."""
    return pictures.permute(0, 3, 1, 2).to(torch.float32).contiguous().div_(255)
