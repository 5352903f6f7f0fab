"""Run models over data sets and measure the results."""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from escsr.devices import pick_precision
from escsr.evaluation.catalogue import Metric
from escsr.evaluation.comparison import Comparison
from escsr.evaluation.contenders import ModelLike
from escsr.evaluation.cost import cost_of
from escsr.evaluation.layout import versions
from escsr.evaluation.measuring import measure, metrics_of_picture, read_pixels
from escsr.evaluation.pairs import Pair
from escsr.evaluation.perceptual import find_metrics
from escsr.evaluation.plan import Dataset, Round, name_models, plan_rounds, settle_scales
from escsr.evaluation.protocol import CLASSIC, Protocol
from escsr.evaluation.recording import Recorder
from escsr.evaluation.report import Report
from escsr.evaluation.results import Result
from escsr.evaluation.small_pictures import MakeLq, Shrunk

__all__ = ["Progress", "compare", "evaluate"]

Progress = Callable[[str, int, int], None]
"""Called as (name of the step done, steps done, steps in total)."""


def evaluate(
    model: ModelLike,
    *,
    data: str | os.PathLike[str],
    lq: str | os.PathLike[str] | None = None,
    scale: float | None = None,
    protocol: Protocol = CLASSIC,
    metrics: Sequence[str] | None = None,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
) -> Report:
    """Measure one model on one folder of pictures.

    All pictures are read as 8-bit RGB (gray repeated, transparency ignored). Where the HR picture
    is a little larger than ``scale`` times the LQ one, a part of it is compared.

    Args:
        model: A network, the name or file of one, or "bicubic" for MATLAB's filter.
        data: Folder of HR pictures.
        lq: Folder of LQ pictures, paired by name (see `find_pairs`); None to make them.
        scale: The enlargement; may be left out for a network of one fixed scale.
        protocol: The rules.
        metrics: Names of the metrics (see `find_metrics`); None for those of the protocol.
        device: Where the network runs; None leaves a network where it is. A network passed as an
            object stays on that device afterwards.
        progress: Called after each picture.

    Returns:
        Rows in the order of names, means and conditions.

    Raises:
        ValueError: Missing, mis-sized or unreadable pictures (all named, before anything is
            computed), no scale, or a scale that the network does not have.
        FileNotFoundError: A folder or model that does not exist.
        MemoryError: A picture would take more memory than is free.

    Example:
        >>> evaluate("bicubic", data="Set5/HR", scale=4).means["psnr_y"]  # doctest: +SKIP
        28.43...
    """
    comparison = compare(
        [model],
        data=[Dataset(hr=data, lq=lq)],
        scales=None if scale is None else [scale],
        protocol=protocol,
        metrics=metrics,
        device=device,
        progress=progress,
    )
    (result,) = comparison.results
    if result.report is None:
        raise ValueError(result.reason)
    return result.report


def compare(
    models: Sequence[ModelLike] | Mapping[str, ModelLike],
    *,
    data: Sequence[Dataset],
    scales: Sequence[float] | None = None,
    protocol: Protocol = CLASSIC,
    metrics: Sequence[str] | None = None,
    make_lq: MakeLq | None = None,
    resize: bool = False,
    device: str | torch.device | None = None,
    precision: str = "fp32",
    folder: str | os.PathLike[str] | None = None,
    crops: int = 0,
    crop_side: int = 192,
    progress: Progress | None = None,
) -> Comparison:
    """Measure several models on several data sets at several scales.

    Pictures are read one at a time, and each is enlarged by every model before the next. With a
    ``folder`` each value is saved as soon as it is known; an interrupted run continues from there
    and gives the same report as an uninterrupted one.

    Args:
        models: Networks, names or files, or "bicubic"; as a mapping, by their names in tables.
        data: The data sets.
        scales: Enlargements, each from 1; None for the one that all models make.
        protocol: The rules.
        metrics: Names of the metrics (see `find_metrics`); None for those of the protocol.
        make_lq: Makes LQ pictures where a data set has none; None for the protocol's resizer.
        resize: Let a network of one fixed scale serve others by resizing its result. Otherwise it
            is reported as not making them.
        device: Where networks run; None leaves them where they are.
        precision: "fp32", "bf16" or "fp16".
        folder: Where results, crops and pictures are kept; created if missing.
        crops: For how many pictures of each data set a crop is kept for the page (the first ones by
            name); needs a folder.
        crop_side: Side of these crops, in pixels of the result.
        progress: Called after each picture of each model.

    Returns:
        Results, conditions and tables.

    Raises:
        ValueError: Wrong pairs (all named, before anything is computed), unknown names, or
            impossible scales.
        FileNotFoundError: A folder or model that does not exist.
        MemoryError: A picture would take more memory than is free.

    Example:
        >>> sets = [Dataset(hr="Set5/HR", lq="Set5/LR_bicubic/X{scale}")]
        >>> found = compare(["bicubic", "esc_tiny_x4"], data=sets, scales=[4])  # doctest: +SKIP
        >>> print(found.to_markdown())  # doctest: +SKIP
    """
    pick_precision(precision)
    named = name_models(models)
    maker = make_lq or Shrunk(resizer=protocol.resizer)
    wanted = settle_scales(named, scales)
    rounds = plan_rounds(
        *(named, data, wanted),
        protocol=protocol,
        make_lq=maker,
        resize=resize,
        device=device,
    )
    _check_memory(rounds)
    asked = protocol.metrics if metrics is None else metrics
    found, unavailable = find_metrics(asked, device=device or "cpu")
    if folder is None:
        for metric in [m for m in found if m.measure_set is not None]:
            unavailable[metric.name] = "a metric of a whole set needs a results folder"
            found.remove(metric)
    recorder = Recorder(
        protocol=protocol,
        metrics=tuple(found),
        precision=precision,
        folder=None if folder is None else Path(folder),
        crops=crops if folder is not None else 0,
        crop_side=crop_side,
    )
    report_progress = _counting(rounds, progress)
    results: list[Result] = []
    for r in rounds:
        for pair in r.pairs:
            try:
                _measure_pair(r, pair, recorder, report_progress)
            except ValueError as error:
                raise ValueError(f"{pair.name}: {error}") from error
        results += recorder.results(r)
    return Comparison(
        conditions=_conditions(protocol, maker, precision, rounds),
        metrics=tuple(found),
        unavailable={**unavailable, **_without_truth(rounds, found)},
        models=_facts_of_models(rounds),
        data=tuple(_facts_of_data(r) for r in rounds),
        results=tuple(results),
        crops=tuple(recorder.crops),
    )


def _measure_pair(
    r: Round, pair: Pair, recorder: Recorder, report_progress: Callable[[str], None]
) -> None:
    """Measure one picture with every model that is not on record yet."""
    todo = [one for one in r.contenders.values() if not recorder.is_complete(r, pair, one)]
    if todo or not all(path.exists() for path in recorder.crop_files(r, pair).values()):
        pixels = read_pixels(r, pair)
        recorder.record_surroundings(r, pair, pixels)
        for contender in todo:
            made = measure(
                pixels,
                contender,
                metrics=metrics_of_picture(recorder.metrics, pair),
                protocol=recorder.protocol,
                scale=r.scale,
                precision=recorder.precision,
            )
            recorder.record(r, pair, contender, pixels, made)
            report_progress(f"{r.data.name} x{r.scale:g} {pair.name}, {contender.name}")
    for contender in r.contenders.values():
        if contender not in todo:
            report_progress(f"{r.data.name} x{r.scale:g} {pair.name}, {contender.name}")


def _counting(rounds: Sequence[Round], progress: Progress | None) -> Callable[[str], None]:
    """Call ``progress`` with the number done, out of all pictures of all models."""
    total = sum(len(r.pairs) * len(r.contenders) for r in rounds)
    done = itertools.count(1)

    def report(what: str) -> None:
        number = next(done)
        if progress is not None:
            progress(what, number, total)

    return report


def _check_memory(rounds: Sequence[Round]) -> None:
    """Refuse the largest picture now rather than in the middle of a run."""
    for r in rounds:
        largest = max(r.pairs, key=lambda pair: pair.lq_size[0] * pair.lq_size[1])
        for contender in r.contenders.values():
            contender.check_memory(largest.lq_size, largest.gt_size, largest.name)


def _conditions(
    protocol: Protocol, maker: MakeLq, precision: str, rounds: Sequence[Round]
) -> dict[str, str]:
    devices = {e.device for r in rounds for e in r.contenders.values() if e.network is not None}
    made = any(pair.lq is None for r in rounds for pair in r.pairs)
    return {
        **protocol.conditions(),
        "lq": f"{maker} where a data set has none" if made else "as given",
        "device": ", ".join(sorted(devices)) or "cpu",
        "precision": precision,
        **versions(),
    }


def _without_truth(rounds: Sequence[Round], metrics: Sequence[Metric]) -> dict[str, str]:
    """Metrics that cannot be measured on some data sets."""
    return {
        f"{metric.name} on {r.data.name}": "there is no ground truth"
        for r in rounds
        if r.data.hr is None
        for metric in metrics
        if metric.needs == "gt"
    }


def _facts_of_models(rounds: Sequence[Round]) -> tuple[dict[str, Any], ...]:
    """The description and cost of each model at each scale."""
    facts: dict[tuple[str, float], dict[str, Any]] = {}
    for r in rounds:
        for name, contender in r.contenders.items():
            if (name, r.scale) not in facts:
                facts[name, r.scale] = {
                    "name": name,
                    "at": r.scale,
                    **contender.facts,
                    "resized": contender.resized,
                    **cost_of(contender, r.scale),
                }
    return tuple(facts.values())


def _facts_of_data(r: Round) -> dict[str, Any]:
    kinds = {pair.lq is None for pair in r.pairs}
    return {
        "name": r.data.name,
        "scale": r.scale,
        "lq": str(r.make_lq) if kinds == {True} else "files",
        "hr": "none" if r.data.hr is None else "files",
        "images": r.pictures(),
    }
