"""Retrying bands: with fewer rows if memory ran out, or in full precision."""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from escsr.devices import autocast

T = TypeVar("T")

HEAD = "head"
"""Name of the part that makes the result, which must be finite in the end."""


class NotFiniteError(ValueError):
    """A network's result is not finite even in full precision."""


class Attempts:
    """Runs a network band by band and recovers from errors.

    Args:
        device: Device of the network.
        precision: Precision of its arithmetic, a name of `escsr.devices.PRECISIONS`.
        rows: Initial number of rows for every kind of band.
        notify: Called once with each notice for the user.
    """

    def __init__(
        self,
        device: torch.device,
        precision: str,
        *,
        rows: int,
        notify: Callable[[str], None],
    ) -> None:
        self.device, self.precision = device, precision
        self.rows = rows
        self._notify = notify
        self._notices: set[str] = set()

    def bands(
        self,
        name: str,
        height: int,
        make: Callable[[int, int], T],
        cut: Callable[[int, int], int],
        tensors: Callable[[T], Iterable[Tensor]],
    ) -> Iterator[tuple[int, int, T]]:
        """Make all bands of a picture in order.

        Args:
            name: Readable name of what is made.
            height: Rows of the picture.
            make: Makes a band, given its first row and the one after its last.
            cut: Returns where a band ends, given its first row and the wanted number of rows.
            tensors: Returns the tensors of a band that must be finite.

        Yields:
            The first row, the one after the last, and the band.

        Raises:
            MemoryError: If the smallest band does not fit.
            NotFiniteError: If a band is not finite even in full precision.
        """
        top, rows = 0, self.rows
        while top < height:
            bottom = cut(top, rows)
            try:
                band = self.run(name, functools.partial(make, top, bottom), tensors)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if rows == 1 or cut(top, rows // 2) == bottom:
                    raise MemoryError(
                        f"memory ran out on {self.device}, with bands of {bottom - top} rows, the "
                        f"least that this network can work on ({name}). Close other programs, or "
                        "use a smaller picture or network"
                    ) from error
                rows //= 2
                self._say(f"memory ran out: the work goes on with bands of {rows} rows ({name})")
                release_memory(self.device)
                continue
            yield top, bottom, band
            del band  # frees it before the next one is made
            top = bottom

    def run(self, name: str, make: Callable[[], T], tensors: Callable[[T], Iterable[Tensor]]) -> T:
        """Make one part, in full precision if it is not finite otherwise.

        Args:
            name: Readable name of what is made.
            make: Makes it.
            tensors: Returns its tensors that must be finite.

        Raises:
            NotFiniteError: If a part from the head is not finite even in full precision.
        """
        with torch.inference_mode(), autocast(self.device, self.precision):
            made = make()
        if self.precision != "fp32" and not all(map(is_finite, tensors(made))):
            self._say(
                f"numbers outgrew {self.precision}: where they did, the work was done again in "
                f"fp32 ({name})"
            )
            with torch.inference_mode():
                made = make()
        if name == HEAD and not all(map(is_finite, tensors(made))):
            raise NotFiniteError("the network's result is not finite")
        return made

    def _say(self, text: str) -> None:
        if text not in self._notices:
            self._notices.add(text)
            self._notify(text)


def is_finite(values: Tensor) -> bool:
    """Whether a tensor has no NaN and no infinity, found without a mask of the same size."""
    return bool(torch.isfinite(values.sum(dtype=torch.float32)))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of PyTorch or Python means that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return "not enough memory" in text or "out of memory" in text


def release_memory(device: torch.device) -> None:
    """Release the memory that PyTorch keeps in reserve on a device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    elif device.type == "xpu":
        torch.xpu.empty_cache()
