"""How a figure is taken: everything that moves it, in one object with a name."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from escsr.evaluation.metrics import psnr_y, ssim_y
from escsr.resize import Border, imresize

__all__ = ["CLASSIC", "Metric", "Protocol"]

Rgb = npt.NDArray[np.uint8]
Metric = Callable[[Rgb, Rgb, int], float]
"""(sr, gt, crop) -> figure, on (H, W, 3) uint8 pictures of one size."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The rules of an evaluation.

    Attributes:
        name: what it is called in reports.
        metrics: figure by name, in the order of the table.
        colour: in words, what the metrics look at.
        crop_scales: pixels left out on each side, as a multiple of the scale (rounded up).
        crop_pixels: further pixels left out on each side.
        lq_border: border rule of the bicubic filter that makes the LQ pictures where none are
            given.
    """

    name: str
    metrics: Mapping[str, Metric] = field(repr=False)
    colour: str
    crop_scales: int = 1
    crop_pixels: int = 0
    lq_border: Border = "clamp"

    def crop(self, scale: float) -> int:
        """Pixels left out on each side at a scale."""
        return math.ceil(self.crop_scales * scale) + self.crop_pixels

    def make_lq(self, gt: Rgb, size: tuple[int, int]) -> Rgb:
        """Shrink a picture to (h, w) as MATLAB does."""
        return imresize(gt, size=size, border=self.lq_border)


CLASSIC = Protocol(
    name="classic",
    metrics={
        "psnr_y": lambda sr, gt, crop: psnr_y(sr, gt, crop=crop),
        "ssim_y": lambda sr, gt, crop: ssim_y(sr, gt, crop=crop),
    },
    colour="Y of BT.601, 16 to 235",
)
"""Set5, Set14, BSD100, Urban100, Manga109: luma, ``scale`` pixels cropped, uint8.

LQ pictures made on the fly equal the distributed ones bit for bit.
"""
