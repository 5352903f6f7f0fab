"""The metrics of a validation, along with those of bicubic enlargement."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from escsr.evaluation import Metric, mean_of_finite
from escsr.evaluation.perceptual import describe_metric, find_metric

Picture = NDArray[np.uint8]
Scores = Mapping[str, float]

BASELINE = "bicubic_"
"""Prefix of the names of the figures of bicubic enlargement."""


class Figures:
    """Metrics by name, measured on pictures enlarged by a network and by bicubic interpolation.

    Args:
        names: See `escsr.evaluation.find_metrics`. Nothing is downloaded before `prepare`.

    Attributes:
        names: Names of all figures: those of the network, then those of bicubic.
        lower_is_better: The names of figures for which lower is better.

    Raises:
        ValueError: If there is no such metric, or it is not for single pictures.
    """

    def __init__(self, names: Sequence[str]) -> None:
        if isinstance(names, str) or not names:
            raise ValueError(f'metrics must be a list of names like "psnr_y", got {names!r}')
        self._plain = {metric.name: metric for metric in map(describe_metric, names)}
        self._metrics: dict[str, Metric] = {}
        self.names = (*self._plain, *(BASELINE + name for name in self._plain))
        lower = [name for name, metric in self._plain.items() if metric.better == "lower"]
        self.lower_is_better = frozenset([*lower, *(BASELINE + name for name in lower)])

    def prepare(self, device: torch.device | str = "cpu") -> None:
        """Make the networks that some metrics need; their weights may be downloaded now.

        Args:
            device: Where the networks run.

        Raises:
            ValueError: If a metric is unavailable; with the reason.
        """
        for name, metric in self._plain.items():
            if name not in self._metrics:
                ours = metric.source == "escsr"
                self._metrics[name] = metric if ours else find_metric(name, device=device)

    def measure(self, sr: Picture, gt: Picture, lq: Picture, *, crop: int) -> dict[str, float]:
        """Measure all metrics on one picture; call `prepare` first."""
        return {name: metric(sr, gt, lq=lq, crop=crop) for name, metric in self._metrics.items()}

    def average(self, scores: Sequence[Scores], bicubic: Sequence[Scores]) -> dict[str, float]:
        """Average over photos, by name; photos that bicubic reproduces exactly do not count.

        Args:
            scores: Scores of the network, per photo.
            bicubic: Scores of bicubic enlargement, likewise.
        """
        means: dict[str, dict[str, float]] = {"": {}, BASELINE: {}}
        for name in self._plain:
            pairs = [(a[name], b[name]) for a, b in zip(scores, bicubic, strict=True)]
            counting = [pair for pair in pairs if math.isfinite(pair[1])] or pairs
            means[""][name] = mean_of_finite(pair[0] for pair in counting)
            means[BASELINE][BASELINE + name] = mean_of_finite(pair[1] for pair in counting)
        return means[""] | means[BASELINE]
