"""Metrics, measured under stated conditions.

`evaluate` runs a model over a folder, `compare` several models over several data sets at several
scales; `psnr_y` and `ssim_y` are the metrics of the classic benchmarks; a `Protocol` holds every
rule that affects a result.
"""

from escsr.evaluation.catalogue import OWN_METRICS, Metric, Sample
from escsr.evaluation.colour import colour_shift
from escsr.evaluation.comparison import Comparison
from escsr.evaluation.metrics import mean_of_finite, ms_ssim, psnr, psnr_y, rgb_to_y, ssim, ssim_y
from escsr.evaluation.pairs import Pair, find_pairs, find_pictures
from escsr.evaluation.perceptual import find_metric, find_metrics, list_metrics
from escsr.evaluation.plan import Dataset
from escsr.evaluation.protocol import (
    CLASSIC,
    DIV2K,
    LIIF,
    PROTOCOLS,
    REAL,
    Protocol,
    find_protocol,
)
from escsr.evaluation.report import Report, Row
from escsr.evaluation.results import Findings, Result
from escsr.evaluation.runner import compare, evaluate
from escsr.evaluation.small_pictures import Degraded, Shrunk
from escsr.evaluation.statistics import Difference, compare_means

__all__ = [
    "CLASSIC",
    "DIV2K",
    "LIIF",
    "OWN_METRICS",
    "PROTOCOLS",
    "REAL",
    "Comparison",
    "Dataset",
    "Degraded",
    "Difference",
    "Findings",
    "Metric",
    "Pair",
    "Protocol",
    "Report",
    "Result",
    "Row",
    "Sample",
    "Shrunk",
    "colour_shift",
    "compare",
    "compare_means",
    "evaluate",
    "find_metric",
    "find_metrics",
    "find_pairs",
    "find_pictures",
    "find_protocol",
    "list_metrics",
    "mean_of_finite",
    "ms_ssim",
    "psnr",
    "psnr_y",
    "rgb_to_y",
    "ssim",
    "ssim_y",
]
