"""Verification of exported files against their network, before they are written."""

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from escsr.images import read_rgb
from escsr.pixels import to_tensor

TOLERANCES = {"fp32": 1e-4, "fp16": 2 / 255}
"""The allowed difference from the network, by precision, where white is 1."""


@dataclass(frozen=True)
class Check:
    """One comparison of a file with its network.

    Attributes:
        picture: The kind of picture.
        batch: Pictures per batch.
        height: Rows of them.
        width: Columns.
        out_height: Rows of the result.
        out_width: Columns of the result.
        difference: The largest difference of a value, where white is 1.
    """

    picture: str
    batch: int
    height: int
    width: int
    out_height: int
    out_width: int
    difference: float


@dataclass(frozen=True)
class Proof:
    """How closely a file matches its network.

    Attributes:
        checks: All comparisons.
        tolerance: The largest difference allowed.
        runtime: The program that ran the file, with its version.
    """

    checks: tuple[Check, ...]
    tolerance: float
    runtime: str

    @property
    def worst(self) -> Check:
        """The comparison with the largest difference; NaN counts as the largest."""
        return max(self.checks, key=lambda c: (np.isnan(c.difference), c.difference))

    @property
    def holds(self) -> bool:
        """Whether all differences are within the tolerance."""
        return self.worst.difference <= self.tolerance

    def table(self) -> str:
        """A line for each comparison."""
        rows = [("picture", "pictures", "from", "to", "difference")]
        rows += [
            (
                c.picture,
                str(c.batch),
                f"{c.height}×{c.width}",
                f"{c.out_height}×{c.out_width}",
                f"{c.difference:.1e}",
            )
            for c in self.checks
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    def as_json(self) -> dict[str, Any]:
        """The verification as plain values."""
        return {
            "runtime": self.runtime,
            "tolerance": self.tolerance,
            "checks": [asdict(check) for check in self.checks],
        }


@dataclass(frozen=True)
class Sample:
    """Pictures for a comparison.

    Attributes:
        name: Description of the pictures.
        lq: (B, 3, H, W) in [0, 1].
        size: (H_out, W_out) to make, if the file makes any.
    """

    name: str
    lq: Tensor
    size: tuple[int, int] | None = None


def samples(
    window: int,
    *,
    free_batch: bool = True,
    whole_windows: bool = False,
    tile: tuple[int, int] | None = None,
) -> list[Sample]:
    """Pictures of ten sizes, or ten pictures of the one size that a file accepts.

    Args:
        window: Side of an attention window in pixels of the picture.
        free_batch: Include batches of several pictures.
        whole_windows: Use only sides of whole windows.
        tile: The only size, if there is one.
    """
    n = window
    sizes = [
        *((1, 1, 1), (1, 1, 7), (1, 5, 3), (1, n // 2 + 1, n - 3), (1, n - 1, n + 1)),
        *((1, n, n), (1, n + 1, 2 * n - 1), (2, n // 2, n + 3), (3, 4, 9)),
        (1, max(2 * n + 5, 96), max(n + 9, 128)),
    ]
    if whole_windows:
        sizes = [(batch, -(-h // n) * n, -(-w // n) * n) for batch, h, w in sizes]
        sizes[1:5] = [(1, n, 2 * n), (1, 2 * n, n), (1, 3 * n, n), (2, n, n)]
    if tile is not None:
        sizes = [(1, *tile)] * 3
    if not free_batch:
        sizes = [(1, h, w) for _, h, w in sizes]
    generator = torch.Generator().manual_seed(0)
    found = [Sample("noise", torch.rand(b, 3, h, w, generator=generator)) for b, h, w in sizes]
    found[-1] = Sample("made-up photo", made_up_photo(*sizes[-1][1:], generator=generator))
    if tile is not None:
        found[0] = Sample("black", torch.zeros(1, 3, *tile))
    return found


def made_up_photo(height: int, width: int, *, generator: torch.Generator) -> Tensor:
    """A picture as smooth as photographs: amplitudes fall as 1 / frequency.

    Args:
        height: Rows.
        width: Columns.
        generator: Source of the random numbers.

    Returns:
        (1, 3, H, W) in [0, 1].
    """
    noise = torch.fft.rfft2(torch.randn(1, 3, height, width, generator=generator))
    y, x = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    frequency = (y.square() + x.square()).sqrt().clamp(min=1 / max(height, width))
    picture = torch.fft.irfft2(noise / frequency, s=(height, width))
    contrast: Tensor = picture / (4 * picture.std())
    return (contrast + 0.5).clamp(0, 1)


def photo_sample(path: str | os.PathLike[str], *, longest: int = 512) -> Sample:
    """A photo for the comparison, cropped to its middle if it is large.

    Args:
        path: A picture file.
        longest: The most pixels of a side.
    """
    pixels = read_rgb(path)
    height, width = (min(side, longest) for side in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    lq = to_tensor(pixels[top : top + height, left : left + width])
    return Sample(Path(path).name, lq[None])


def prove(
    run: Callable[[Sample], Any],
    expected: Callable[[Sample], Tensor],
    pictures: Sequence[Sample],
    *,
    tolerance: float,
    runtime: str,
) -> Proof:
    """Compare a file with its network.

    Args:
        run: Runs the file; returns an array or array-like.
        expected: The network.
        pictures: The pictures to compare with.
        tolerance: The largest difference that is allowed.
        runtime: The program that runs the file.
    """
    checks = []
    for sample in pictures:
        with torch.inference_mode():
            wanted = expected(sample).numpy()
        found = np.asarray(run(sample))
        same = found.shape == wanted.shape
        difference = float(np.abs(found - wanted).max()) if same else float("inf")
        batch, _, height, width = sample.lq.shape
        rows, columns = found.shape[-2:]
        checks.append(Check(sample.name, batch, height, width, rows, columns, difference))
    return Proof(tuple(checks), tolerance, runtime)


def with_sizes(pictures: Sequence[Sample]) -> list[Sample]:
    """The same pictures, each with a size to make: whole, fractional and stretched scales."""
    scales = [(4, 7.5), (2.5, 2.5), (1, 1), (3, 3), (1.7, 1.7), (4, 2), (2.13, 3.4), (2, 2)]
    return [
        replace(p, size=(round(down * p.lq.shape[-2]), round(across * p.lq.shape[-1])))
        for p, (down, across) in zip(pictures, itertools.cycle(scales), strict=False)
    ]
