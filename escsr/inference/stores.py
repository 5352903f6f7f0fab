"""Maps of a picture that is computed in bands, in memory or in a file."""

import math
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil
import torch
from torch import Tensor

from escsr.inference.transfers import can_pin

# File systems that keep files in memory.
_IN_MEMORY = {"tmpfs", "ramfs"}


class RowStore:
    """A map (1, C, H, W) that is written and read a few rows at a time.

    Memory is channels-last, which suits convolutions on a CPU, so reading rows from memory needs
    no copy.

    Args:
        shape: (1, C, H, W).
        dtype: Dtype of the map.
        file: File of the map; None keeps it in memory. It is read and written, not mapped, so that
            it takes no memory of the process.
        values: Memory to use, (H, W, C); pinned if rows come from a CUDA device, so that copies
            are asynchronous.

    Example:
        >>> store = RowStore((1, 64, 300, 200), torch.float32)
        >>> store.write(100, torch.rand(1, 64, 20, 200))
        >>> store.read(110, 112).shape
        torch.Size([1, 64, 2, 200])
    """

    device = torch.device("cpu")

    def __init__(
        self,
        shape: tuple[int, int, int, int],
        dtype: torch.dtype,
        file: IO[bytes] | None = None,
        values: Tensor | None = None,
    ) -> None:
        self.shape, self.dtype = shape, dtype
        _, channels, height, width = shape
        self._row = width * channels * dtype.itemsize
        self._file = file
        self._lock = threading.Lock()
        if values is None:
            values = torch.empty(0 if file else height, width, channels, dtype=dtype)
        self._values = values
        self._arriving: torch.device | None = None

    def write(self, top: int, rows: Tensor) -> None:
        """Write (1, C, rows, W), of any device and dtype, starting at row ``top``."""
        values = rows[0].permute(1, 2, 0)
        if self._file is None:
            pinned = values.is_cuda and self._values.is_pinned()
            self._values[top : top + len(values)].copy_(values, non_blocking=pinned)
            self._arriving = values.device if pinned else self._arriving
            return
        values = values.to("cpu", self.dtype).contiguous()
        with self._lock:
            self._file.seek(top * self._row)
            left = _bytes_of(values)
            while left:
                left = left[self._file.write(left) :]

    def read(self, top: int, bottom: int) -> Tensor:
        """See `RowSource.read`."""
        self._await()
        if self._file is None:
            values = self._values[top:bottom]
        else:
            _, channels, _, width = self.shape
            values = torch.empty(bottom - top, width, channels, dtype=self.dtype)
            self._read_into(_bytes_of(values), top * self._row)
        # With the strides of a batch, by which PyTorch recognises channels-last.
        return values[None].permute(0, 3, 1, 2)

    def read_on(self, top: int, bottom: int, device: torch.device) -> Tensor:
        """See `ReadsOn`; waits for pending writes first."""
        if self._file is not None or self._arriving not in (None, device):
            return self.read(top, bottom).to(device)
        values = self._values[top:bottom].to(device, non_blocking=self._values.is_pinned())
        return values[None].permute(0, 3, 1, 2)

    def _await(self) -> None:
        """Wait for rows that are being copied from a device."""
        if self._arriving is not None:
            torch.cuda.current_stream(self._arriving).synchronize()
            self._arriving = None

    def read_columns(self, left: int, right: int) -> Tensor:
        """Read (1, C, H, columns), row by row if they are in a file."""
        _, channels, height, _ = self.shape
        self._await()
        if self._file is None:
            return self._values[None, :, left:right].permute(0, 3, 1, 2)
        values = torch.empty(height, right - left, channels, dtype=self.dtype)
        pixel = channels * self.dtype.itemsize
        for row, part in enumerate(values):
            self._read_into(_bytes_of(part), row * self._row + left * pixel)
        return values[None].permute(0, 3, 1, 2)

    def _read_into(self, memory: memoryview, start: int) -> None:
        file = self._file
        assert file is not None
        with self._lock:
            file.seek(start)
            while memory:
                count = file.readinto(memory)  # type: ignore[attr-defined]
                if not count:
                    raise OSError("the spool file has become shorter")
                memory = memory[count:]

    def take_apart(self) -> tuple[IO[bytes] | None, Tensor]:
        """Return the file and the memory; the store cannot be read any more."""
        self._await()
        parts = self._file, self._values
        self._file, self._values = None, torch.empty(0)
        return parts


def _bytes_of(values: Tensor) -> memoryview:
    """The memory of a contiguous tensor; NumPy does not support all of PyTorch's dtypes."""
    array: Any = values.view(torch.uint8).numpy()
    return memoryview(array).cast("B")


class Stores:
    """Makes the stores of one picture, and reuses those that were given back.

    Fresh memory costs a fifth of the time of a stage.

    Args:
        folder: Folder of their files; None keeps them in memory. The files have no name, so
            nothing is left behind however the process ends.
        device: Device that rows come from.
    """

    def __init__(
        self, folder: Path | None = None, *, device: torch.device = RowStore.device
    ) -> None:
        self._folder, self._pins = folder, folder is None and can_pin(device)
        self._open: list[RowStore] = []
        self._spare: list[tuple[IO[bytes] | None, Tensor]] = []

    def make(self, channels: int, height: int, width: int, dtype: torch.dtype) -> RowStore:
        """Make a store of (1, channels, height, width)."""
        file, values = self._spare_for((height, width, channels), dtype) or (None, None)
        if file is None and self._folder is not None:
            file = tempfile.TemporaryFile(  # noqa: SIM115 - closed at the end
                buffering=0, dir=self._folder, prefix="escsr-"
            )
        if values is None and self._pins:
            values = torch.empty(height, width, channels, dtype=dtype, pin_memory=True)
        store = RowStore((1, channels, height, width), dtype, file, values)
        self._open.append(store)
        return store

    def _spare_for(
        self, shape: tuple[int, int, int], dtype: torch.dtype
    ) -> tuple[IO[bytes] | None, Tensor] | None:
        for place, (file, values) in enumerate(self._spare):
            if file is not None or (tuple(values.shape) == shape and values.dtype == dtype):
                return self._spare.pop(place)
        return None

    def give_back(self, store: RowStore) -> None:
        """Give back a store that is no longer read."""
        self._open.remove(store)
        self._spare.append(store.take_apart())

    def close(self) -> None:
        """Free the memory and the disk space of all stores."""
        for file, _ in [*self._spare, *(store.take_apart() for store in self._open)]:
            if file is not None:
                file.close()
        self._open.clear()
        self._spare.clear()


@contextmanager
def open_stores(*, spool: bool, device: torch.device = RowStore.device) -> Iterator[Stores]:
    """Make stores in memory or on disk for the block; all are freed at its end.

    Args:
        spool: Whether to keep them on disk.
        device: Device that rows come from.
    """
    stores = Stores(spool_folder() if spool else None, device=device)
    try:
        yield stores
    finally:
        stores.close()


def spool_folder() -> Path:
    """The folder for features of pictures larger than memory: ``ESCSR_SPOOL`` or a temporary one.

    If the temporary folder is in memory itself, ``/var/tmp`` is used instead.

    Raises:
        ValueError: If ``ESCSR_SPOOL`` is not a folder.
    """
    if named := os.environ.get("ESCSR_SPOOL"):
        if not Path(named).is_dir():
            raise ValueError(f"ESCSR_SPOOL is {named!r}, which is no folder")
        return Path(named)
    folder = Path(tempfile.gettempdir()).resolve()
    if _kind_of(folder) in _IN_MEMORY and (other := Path("/var/tmp")).is_dir():  # noqa: S108
        return other
    return folder


def _kind_of(folder: Path) -> str:
    """The type of a folder's file system, if known."""
    mounts = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    return next((mounts[str(at)] for at in (folder, *folder.parents) if str(at) in mounts), "")


def check_disk(needed: int) -> None:
    """Check that a spool of so many bytes fits on the disk.

    Raises:
        OSError: If it does not; with both figures and advice.
    """
    folder = spool_folder()
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"the picture needs {_gib(needed)} of disk between the network's "
            f"stages, and {folder} has {_gib(free)} free. Free some, or name a folder on another "
            "disk by ESCSR_SPOOL"
        )


def _gib(count: int) -> str:
    return f"{math.ceil(count / 2**30 * 100) / 100:.2f} GiB"
