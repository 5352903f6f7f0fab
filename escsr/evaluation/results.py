"""The results of an evaluation of several models."""

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from escsr.evaluation.catalogue import Metric
from escsr.evaluation.report import Report
from escsr.evaluation.statistics import Difference, compare_means

__all__ = ["Crops", "Findings", "Result"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One model on one data set at one scale.

    Attributes:
        model: Name of the model.
        data: Name of the data set.
        scale: Enlargement.
        report: The figures, or None if the model does not make the scale.
        reason: Why not.
    """

    model: str
    data: str
    scale: float
    report: Report | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Crops:
    """The crops kept of one picture.

    Attributes:
        data: Name of the data set.
        scale: Enlargement.
        image: Name of the picture.
        panes: (what it shows, file), in the order shown.
    """

    data: str
    scale: float
    image: str
    panes: tuple[tuple[str, Path], ...]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Figures of several models, with the conditions of the measurement.

    Attributes:
        conditions: The conditions common to all.
        metrics: The figures, in the order of the tables.
        unavailable: Requested figures that are unavailable: reason by name.
        models: A description of each model at each scale.
        data: A description of each data set at each scale, with the hashes of its files.
        results: By data set, scale and model.
        crops: Crops of pictures to look at.
    """

    conditions: Mapping[str, str]
    metrics: tuple[Metric, ...]
    unavailable: Mapping[str, str]
    models: tuple[dict[str, Any], ...]
    data: tuple[dict[str, Any], ...]
    results: tuple[Result, ...]
    crops: tuple[Crops, ...] = ()

    def groups(self) -> dict[tuple[str, float], list[Result]]:
        """Results that can be compared: those of one data set at one scale."""
        groups: dict[tuple[str, float], list[Result]] = {}
        for result in self.results:
            groups.setdefault((result.data, result.scale), []).append(result)
        return groups

    def best(self, group: list[Result], metric: Metric) -> Result | None:
        """The model with the best mean among those that have all pictures, or None."""
        there = [r for r in group if _complete(r, metric.name)]
        sign = 1 if metric.better == "higher" else -1
        return max(there, key=lambda r: sign * _mean(r, metric.name), default=None)

    def differences(self) -> list[dict[str, Any]]:
        """Each model against the best one, picture by picture, with 95 % intervals.

        The draws depend only on the names, so they are the same in every run.
        """
        found = []
        for (data, scale), group in self.groups().items():
            for metric in self.metrics:
                best = self.best(group, metric)
                if best is None:
                    continue
                for result in group:
                    if result is not best and _complete(result, metric.name):
                        names = {"data": data, "scale": scale, "metric": metric.name}
                        names |= {"a": result.model, "b": best.model}
                        difference = _difference(result, best, metric, str(names))
                        if difference is not None:
                            found.append(names | asdict(difference))
        return found

    @cached_property
    def alike(self) -> frozenset[tuple[str, float, str, str]]:
        """(data, scale, metric, model) where a model is not distinguishable from the best one."""
        return frozenset(
            (d["data"], d["scale"], d["metric"], d["a"])
            for d in self.differences()
            if d["verdict"] in ("no difference shown", "negligible", "too few pictures")
        )

    def heads(self) -> list[str]:
        """Names of the figures with an arrow to the better side."""
        return [f"{m.name} {'↑' if m.better == 'higher' else '↓'}" for m in self.metrics]


def _complete(result: Result, metric: str) -> bool:
    """Whether every picture has the figure (or the set as a whole)."""
    return result.report is not None and result.report.is_complete(metric)


def _mean(result: Result, metric: str) -> float:
    assert result.report is not None
    return result.report.means[metric]


def _difference(a: Result, b: Result, metric: Metric, seed: str) -> Difference | None:
    assert a.report is not None
    assert b.report is not None
    if metric.name in a.report.set_values:
        return None  # one number per set: nothing to draw from
    out = a.report.left_out.get(metric.name, ())
    values = [
        [row.values[metric.name] for row in r.rows if row.name not in out]
        for r in (a.report, b.report)
    ]
    if not np.isfinite(values).all():
        return None  # infinite PSNR of every picture
    rng = np.random.default_rng(zlib.crc32(seed.encode()))
    return compare_means(*values, rng=rng, better=metric.better, meaningful=metric.meaningful)
