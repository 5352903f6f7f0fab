"""Validation during training, on the centres of held-out photos."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from escsr.data import LqFrom, degraded, list_images, sharpened
from escsr.evaluation import mean_of_finite
from escsr.images import read_rgb
from escsr.pixels import from_tensor, to_levels, to_tensor
from escsr.resize import imresize
from escsr.training.figures import Figures
from escsr.training.tensorboard import side_by_side

_SEED = 7_001_207
"""Seed of the degradations of validation pictures; no stream of training samples starts with it."""


class CropValidation:
    """Figures of a network, and of bicubic enlargement, on the centres of held-out photos.

    The figures are meant for following a run; to compare with papers use
    `escsr.evaluation.evaluate`. The small pictures are made from the centre crops by MATLAB's
    bicubic filter, ``scale`` pixels (rounded up) on each side do not count, and figures are
    averaged over the photos. A photo whose centre is flat, which bicubic reproduces exactly, has an
    infinite PSNR; it is left out of both means.

    Args:
        roots: Folders of photos.
        scale: Factor, at least 1.
        crop: Side of the centre crop in pixels of the photo; rounded down to what ``scale`` makes
            from whole pixels. Smaller photos are used whole.
        count: Number of photos, the last ones by name; None: all of them.
        include: Glob patterns of file names to take.
        exclude: Glob patterns of file names to leave out.
        sharpen: Whether to sharpen the crops first, for networks trained on sharpened photos.
        lq_from: Makes the small pictures in place of bicubic, see
            `escsr.data.ArbitraryScaleDataset`; the same ones in every run. The baseline is
            bicubic enlargement of the same small picture.
        metrics: Metrics to measure: any of `escsr.evaluation.list_metrics` for single pictures,
            e.g. "psnr_y", "ssim_y", "lpips", "dists". Weights of pyiqa's networks are fetched when
            the run begins.

    Attributes:
        figures: Names of the figures that a call returns: the metrics, and each with ``bicubic_``.
        lower_is_better: The names of figures for which lower is better.

    Raises:
        FileNotFoundError: If a root is missing, or no photo is left.
        ValueError: If a number is out of range, or there is no such metric.
    """

    def __init__(
        self,
        *,
        roots: Sequence[str | Path],
        scale: float,
        crop: int = 256,
        count: int | None = 8,
        include: Sequence[str] = ("*",),
        exclude: Sequence[str] = (),
        sharpen: bool = False,
        lq_from: LqFrom | str | None = None,
        metrics: Sequence[str] = ("psnr_y",),
    ) -> None:
        if scale < 1 or crop < 8 * scale:
            raise ValueError(
                f"scale must be at least 1 and crop at least 8 x scale, got scale {scale}, "
                f"crop {crop}"
            )
        if count is not None and count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        self.scale = scale
        self.crop = crop
        self.sharpen = sharpen
        if isinstance(lq_from, str):
            lq_from = degraded(lq_from, sharpened=sharpen)
        self._lq_from = lq_from
        self._figures = Figures(metrics)
        self.figures = self._figures.names
        self.lower_is_better = self._figures.lower_is_better
        self.paths = list_images(roots, include=include, exclude=exclude)[-(count or 0) :]
        if not self.paths:
            raise FileNotFoundError(
                f"no photo to validate on in {', '.join(map(str, roots))} "
                f"(include {list(include)}, exclude {list(exclude)})"
            )
        self._pairs: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = []
        self._bicubic_scores: list[dict[str, float]] = []

    def prepare(self, device: torch.device | str = "cpu") -> None:
        """Prepare the metrics, which may download weights; a call does so, too.

        Args:
            device: Where the metrics' networks run.

        Raises:
            ValueError: If a metric is unavailable here.
        """
        self._figures.prepare(device)

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """Enlarge every crop; the network must be in eval mode and is left unchanged.

        Args:
            model: Called as ``model(lq, size=(H, W))`` with one picture at a time.

        Returns:
            Each metric, and that of bicubic enlargement under its name with ``bicubic_`` in front.
        """
        self.prepare(next(model.parameters()).device)
        if not self._pairs:
            self._read()
        scores = [self._measure(_enlarged(model, lq, gt), gt, lq) for lq, gt in self._pairs]
        return self._figures.average(scores, self._bicubic_scores)

    def _measure(
        self, sr: NDArray[np.uint8], gt: NDArray[np.uint8], lq: NDArray[np.uint8]
    ) -> dict[str, float]:
        return self._figures.measure(sr, gt, lq, crop=math.ceil(self.scale))

    def panels(self, model: nn.Module, count: int) -> dict[str, NDArray[np.uint8]]:
        """Put LQ (each pixel a square), bicubic, SR and GT of the first photos side by side.

        Args:
            model: As for a call.
            count: Largest number of photos.

        Returns:
            Name of the photo to (H, about 4 W, 3) uint8.
        """
        self.prepare(next(model.parameters()).device)
        if not self._pairs:
            self._read()
        shown = {}
        for path, (lq, gt) in zip(self.paths[:count], self._pairs, strict=False):
            rows, columns = (
                np.arange(n) * m // n for n, m in zip(gt.shape[:2], lq.shape, strict=False)
            )
            squares = lq[rows][:, columns]
            sr = _enlarged(model, lq, gt)
            shown[path.stem] = side_by_side(squares, _bicubic(lq, gt), sr, gt)
        return shown

    def _read(self) -> None:
        """Decode, crop and shrink the photos once, and score the baseline."""
        for index, path in enumerate(self.paths):
            photo = read_rgb(path)
            small = [int(min(self.crop, side) / self.scale + 1e-9) for side in photo.shape[:2]]
            height, width = (round(side * self.scale) for side in small)
            top, left = (photo.shape[0] - height) // 2, (photo.shape[1] - width) // 2
            gt = photo[top : top + height, left : left + width].copy()
            if self.sharpen:
                gt = sharpened(gt)
            lq = self._shrunk(gt, (small[0], small[1]), index)
            self._bicubic_scores.append(self._measure(_bicubic(lq, gt), gt, lq))
            self._pairs.append((lq, gt))

    def _shrunk(
        self, gt: NDArray[np.uint8], size: tuple[int, int], index: int
    ) -> NDArray[np.uint8]:
        """Make the small picture of a photo."""
        if self._lq_from is None:
            return imresize(gt, size=size)
        return self._lq_from(gt, size, np.random.Generator(np.random.PCG64([_SEED, index])))


class ScalesValidation:
    """`CropValidation` at several scales, for networks of any scale.

    Args:
        roots: Folders of photos.
        scales: Factors, each at least 1; they may be fractional, such as 2.5.
        crop: See `CropValidation`, also for the other arguments.
        count: Number of photos.
        include: Glob patterns of file names to take.
        exclude: Glob patterns of file names to leave out.
        sharpen: See `CropValidation`.
        lq_from: Makes the small pictures; see `CropValidation`.
        metrics: See `CropValidation`.

    Raises:
        FileNotFoundError: If a root is missing, or no photo is left.
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        *,
        roots: Sequence[str | Path],
        scales: Sequence[float] = (2.0, 3.0, 4.0),
        crop: int = 256,
        count: int | None = 8,
        include: Sequence[str] = ("*",),
        exclude: Sequence[str] = (),
        sharpen: bool = False,
        lq_from: LqFrom | str | None = None,
        metrics: Sequence[str] = ("psnr_y",),
    ) -> None:
        if not scales:
            raise ValueError("scales must name at least one scale")
        self._parts = {
            f"x{scale:g}": CropValidation(
                roots=roots,
                scale=scale,
                crop=crop,
                count=count,
                include=include,
                exclude=exclude,
                sharpen=sharpen,
                lq_from=lq_from,
                metrics=metrics,
            )
            for scale in scales
        }
        first = next(iter(self._parts.values()))
        self.paths = first.paths
        self._names = first.figures
        places = ("", *(f"_{name}" for name in self._parts))
        self.figures = tuple(f"{figure}{place}" for place in places for figure in self._names)
        self.lower_is_better = frozenset(
            f"{figure}{place}" for place in places for figure in first.lower_is_better
        )

    def prepare(self, device: torch.device | str = "cpu") -> None:
        """See `CropValidation.prepare`."""
        for part in self._parts.values():
            part.prepare(device)

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """Enlarge every crop at every scale.

        Args:
            model: As for `CropValidation`.

        Returns:
            The figures of `CropValidation`, averaged over the scales, and those for each scale
            (``psnr_y_x2``, ...).
        """
        found = {name: part(model) for name, part in self._parts.items()}
        means = {
            figure: mean_of_finite(figures[figure] for figures in found.values())
            for figure in self._names
        }
        single = {
            f"{figure}_{name}": value
            for name, figures in found.items()
            for figure, value in figures.items()
        }
        return means | single

    def panels(self, model: nn.Module, count: int) -> dict[str, NDArray[np.uint8]]:
        """Show the photos at the largest scale; see `CropValidation.panels`."""
        return list(self._parts.values())[-1].panels(model, count)


def _enlarged(model: nn.Module, lq: NDArray[np.uint8], gt: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge with a network to the size of ``gt``."""
    device = next(model.parameters()).device
    with torch.no_grad():
        sr = model(to_tensor(lq)[None].to(device), size=gt.shape[:2])[0]
    return from_tensor(sr)


def _bicubic(lq: NDArray[np.uint8], gt: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge with MATLAB's filter to the size of ``gt``."""
    large = imresize(lq.astype(np.float64) / 255, size=gt.shape[:2])
    return to_levels(large)
