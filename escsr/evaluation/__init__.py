"""Figures that say how they were taken.

`evaluate` runs a model over a folder; `psnr_y` and `ssim_y` are the figures of the classic
benchmarks; a `Protocol` holds every rule that moves a figure.
"""

from escsr.evaluation.metrics import psnr, psnr_y, rgb_to_y, ssim, ssim_y
from escsr.evaluation.pairs import Pair, find_pairs
from escsr.evaluation.protocol import CLASSIC, Protocol
from escsr.evaluation.report import Report, Row
from escsr.evaluation.runner import evaluate

__all__ = [
    "CLASSIC",
    "Pair",
    "Protocol",
    "Report",
    "Row",
    "evaluate",
    "find_pairs",
    "psnr",
    "psnr_y",
    "rgb_to_y",
    "ssim",
    "ssim_y",
]
