"""One picture and one model: enlarge it and measure the result."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from escsr.evaluation.catalogue import Array, Metric, Rgb, Sample
from escsr.evaluation.contenders import Contender
from escsr.evaluation.pairs import Pair
from escsr.evaluation.plan import Round
from escsr.evaluation.protocol import Protocol
from escsr.evaluation.records import Missing, Value
from escsr.images import read_rgb

__all__ = ["Measurement", "Pixels", "guarded", "measure", "metrics_of_picture", "read_pixels"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pixels:
    """The pixels of a pair.

    Attributes:
        gt: (H, W, 3) ground truth, cut to the part that is compared; None if there is none.
        lq: (h, w, 3) picture to enlarge.
        size: (H, W) of the result.
    """

    gt: Rgb | None
    lq: Rgb
    size: tuple[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Measurement:
    """The result of one model on one picture.

    Attributes:
        sr: (H, W, 3) result, from 0 to 255.
        values: Value, or why it is missing, by the identity of the metric.
        seconds: How long the enlargement took.
    """

    sr: Array
    values: Mapping[str, Value]
    seconds: float


def read_pixels(r: Round, pair: Pair) -> Pixels:
    """Read a pair, or make its LQ picture if there is no file."""
    gt = None
    if pair.hr is not None:
        (top, left), (height, width) = pair.offset, pair.gt_size
        gt = read_rgb(pair.hr)[top : top + height, left : left + width]
    if pair.lq is not None:
        return Pixels(gt=gt, lq=read_rgb(pair.lq), size=pair.gt_size)
    assert gt is not None  # a pair has one or the other
    return Pixels(gt=gt, lq=r.make_lq(gt, pair.lq_size, pair.name), size=pair.gt_size)


def measure(
    pixels: Pixels,
    contender: Contender,
    *,
    metrics: Sequence[Metric],
    protocol: Protocol,
    scale: float,
    precision: str,
) -> Measurement:
    """Enlarge a picture by one model and measure the result.

    Args:
        pixels: The picture.
        contender: The model.
        metrics: What to measure.
        protocol: The rules.
        scale: Enlargement, which the crop depends on.
        precision: "fp32", "bf16" or "fp16".

    Raises:
        ValueError: If the network fails on the picture.
    """
    began = time.perf_counter()
    sr = contender.enlarge(pixels.lq, pixels.size, rounding=protocol.rounding, precision=precision)
    seconds = time.perf_counter() - began
    sample = Sample(sr=sr, gt=pixels.gt, lq=pixels.lq, crop=protocol.crop(scale))
    values = {metric.identity: _value(metric, sample) for metric in metrics}
    return Measurement(sr=sr, values=values, seconds=seconds)


def metrics_of_picture(metrics: Sequence[Metric], pair: Pair) -> list[Metric]:
    """The metrics that can be measured on a picture."""
    return [
        metric
        for metric in metrics
        if metric.measure_set is None and (metric.needs != "gt" or pair.hr is not None)
    ]


def _value(metric: Metric, sample: Sample) -> Value:
    if metric.source != "escsr":
        return guarded(metric, partial(metric.measure, sample))
    try:
        return metric.measure(sample)
    except ValueError as error:  # the picture is too small; anything else is a bug of ours
        return Missing(str(error))


def guarded(metric: Metric, take: Callable[[], float]) -> Value:
    """A figure computed by foreign code, or why it is missing."""
    try:
        return take()
    except Exception as error:  # one failing metric must not stop the others
        lines = str(error).strip().splitlines() or [""]
        return Missing(f"{metric.source}: {type(error).__name__}: {lines[0]}")
