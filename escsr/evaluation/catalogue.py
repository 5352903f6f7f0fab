"""Figures by name: our own, and through `escsr.evaluation.perceptual` all of pyiqa's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from escsr.evaluation.colour import colour_shift
from escsr.evaluation.metrics import ms_ssim, psnr, rgb_to_y, ssim

__all__ = ["OWN_METRICS", "Metric", "Rgb", "Sample"]

Rgb = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A result and the pictures it is measured against.

    Attributes:
        sr: (H, W, 3) RGB from 0 to 255, uint8, or float64 where the protocol does not round.
        gt: (H, W, 3) uint8, or None.
        lq: (h, w, 3) uint8: the picture that ``sr`` was made from.
        crop: Pixels to leave out on each side.
    """

    sr: Array
    gt: Rgb | None
    lq: Rgb
    crop: int = 0

    def truth(self) -> Rgb:
        """The ground truth, which must be there."""
        assert self.gt is not None, "a metric that needs a ground truth was asked without one"
        return self.gt

    def cut(self, image: Array) -> Array:
        """A picture of the size of ``sr`` without its border."""
        height, width = image.shape[:2]
        if min(height, width) <= 2 * self.crop:
            raise ValueError(f"crop={self.crop} on {height} x {width} pixels leaves nothing")
        return image[self.crop : height - self.crop, self.crop : width - self.crop]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure and how to read it.

    Attributes:
        name: What it is called in tables.
        measure: Measures one picture.
        better: Whether "higher" or "lower" is better.
        range: The range of values, in words.
        needs: "gt" for a ground truth, "lq" for the picture enlarged, "nothing" for neither.
        looks_at: The colours or channels it measures.
        about: What it is for, in one line; empty for pyiqa's metrics.
        source: Who computes it, with the version.
        digits: Decimal places in tables.
        meaningful: Smallest difference of means worth reporting, or 0 if unknown.
        measure_set: For metrics of a whole set (FID): takes the folder of results and that of
            ground truths; ``measure`` is then not used.
    """

    name: str
    measure: Callable[[Sample], float] = field(repr=False, compare=False)
    better: Literal["higher", "lower"]
    range: str
    needs: Literal["gt", "lq", "nothing"]
    looks_at: str
    about: str = ""
    source: str = "escsr"
    digits: int = 4
    meaningful: float = 0.0
    measure_set: Callable[[Path, Path | None], float] | None = field(
        default=None, repr=False, compare=False
    )

    def __call__(
        self, sr: Array, gt: Rgb | None = None, *, lq: Rgb | None = None, crop: int = 0
    ) -> float:
        """Measure one picture.

        Args:
            sr: (H, W, 3) RGB from 0 to 255: uint8, or float64 that was not rounded.
            gt: (H, W, 3) uint8, the ground truth; needed where ``needs`` is "gt".
            lq: (h, w, 3) uint8, the picture that ``sr`` was made from; needed where ``needs`` is
                "lq".
            crop: Pixels to leave out on each side; the classic benchmarks leave out ``scale``.

        Returns:
            The value. It may be infinite: PSNR of a perfect result; see `mean_of_finite`.

        Raises:
            ValueError: If a picture is missing, too small for the metric or of another shape, or
                if the metric describes a whole set of pictures (FID).

        Example:
            >>> picture = np.full((16, 16, 3), 90, np.uint8)
            >>> OWN_METRICS["psnr_y"](picture + np.uint8(1), picture, crop=2)  # doctest: +ELLIPSIS
            49.4...
        """
        if self.measure_set is not None:
            raise ValueError(f"{self.name} describes a set of pictures, not one of them")
        for need, given in (("gt", gt), ("lq", lq)):
            if self.needs == need and given is None:
                raise ValueError(f"{self.name} needs {need}, which was not given")
        return self.measure(Sample(sr=sr, gt=gt, lq=sr if lq is None else lq, crop=crop))

    @property
    def identity(self) -> str:
        """Name and source, which identify a stored value."""
        return f"{self.name} ({self.source})"

    def show(self, value: float) -> str:
        """The value with its number of digits."""
        return f"{value:.{self.digits}f}"

    def facts(self) -> dict[str, str]:
        """What a reader of the figure must know."""
        return {
            "name": self.name,
            "better": self.better,
            "range": self.range,
            "needs": self.needs,
            "looks_at": self.looks_at,
            "source": self.source,
            "about": self.about,
        }


def _psnr(sample: Sample) -> float:
    return psnr(sample.sr, sample.truth().astype(sample.sr.dtype), crop=sample.crop)


def _ssim(sample: Sample) -> float:
    return ssim(sample.sr, sample.truth().astype(sample.sr.dtype), crop=sample.crop)


def _psnr_y(sample: Sample) -> float:
    return psnr(rgb_to_y(sample.sr), rgb_to_y(sample.truth()), crop=sample.crop)


def _ssim_y(sample: Sample) -> float:
    return ssim(rgb_to_y(sample.sr), rgb_to_y(sample.truth()), crop=sample.crop)


def _ms_ssim_y(sample: Sample) -> float:
    return ms_ssim(rgb_to_y(sample.sr), rgb_to_y(sample.truth()), crop=sample.crop)


def _shift(sample: Sample) -> float:
    return colour_shift(sample.cut(sample.sr), sample.cut(sample.truth()))


def _shift_lq(sample: Sample) -> float:
    return colour_shift(sample.sr, sample.lq)


_Y = "Y of BT.601, 16 to 235, not rounded"
_RGB = "RGB"
_SHIFT = "RGB as CIELAB, means of 32 x 32 pixels"

# Negligible differences: bicubic filters that are all correct differ by 0.005 dB in the mean and
# by 0.04 dB on single pictures, flooring costs 0.05 dB.
_DB, _SSIM = 0.02, 0.0005

OWN_METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            name="psnr_y",
            about="distance from the truth in brightness; what papers report",
            measure=_psnr_y,
            better="higher",
            range="0 to inf dB",
            needs="gt",
            looks_at=_Y,
            digits=2,
            meaningful=_DB,
        ),
        Metric(
            name="ssim_y",
            about="likeness of structure in brightness; what papers report",
            measure=_ssim_y,
            better="higher",
            range="-1 to 1",
            needs="gt",
            looks_at=_Y,
            meaningful=_SSIM,
        ),
        Metric(
            name="ms_ssim_y",
            about="SSIM at five sizes: also judges coarse structure",
            measure=_ms_ssim_y,
            better="higher",
            range="0 to 1",
            needs="gt",
            looks_at=_Y,
        ),
        Metric(
            name="psnr",
            about="distance from the truth in all three colours",
            measure=_psnr,
            better="higher",
            range="0 to inf dB",
            needs="gt",
            looks_at=_RGB,
            digits=2,
            meaningful=_DB,
        ),
        Metric(
            name="ssim",
            about="likeness of structure in all three colours",
            measure=_ssim,
            better="higher",
            range="-1 to 1",
            needs="gt",
            looks_at=_RGB + ", mean over channels",
            meaningful=_SSIM,
        ),
        Metric(
            name="colour_shift",
            about="whether colours moved from the truth",
            measure=_shift,
            better="lower",
            range="0 to about 100, delta E",
            needs="gt",
            looks_at=_SHIFT,
            digits=3,
        ),
        Metric(
            name="colour_shift_lq",
            about="whether colours moved from the input; needs no truth",
            measure=_shift_lq,
            better="lower",
            range="0 to about 100, delta E",
            needs="lq",
            looks_at=_SHIFT + ", against lq, nothing cropped",
            digits=3,
        ),
    )
}
"""The metrics that need no other package."""
