"""The work itself: enlarge, measure, keep."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from escsr.evaluation.catalogue import Metric, Rgb, Sample
from escsr.evaluation.crops import (
    Region,
    choose_region,
    cut,
    enlarge_by_repeating,
    save_picture,
)
from escsr.evaluation.entrants import BICUBIC, Entrant
from escsr.evaluation.layout import Layout, versions
from escsr.evaluation.pairs import Pair
from escsr.evaluation.plan import Round
from escsr.evaluation.protocol import Protocol
from escsr.evaluation.records import Missing, Records, Value, record_key
from escsr.evaluation.report import Report, Row, leave_out_infinite
from escsr.evaluation.results import Crops, Result
from escsr.images import read_rgb
from escsr.resize import imresize

__all__ = ["Measuring", "Progress"]

Progress = Callable[[str, int, int], None]
"""Called as (what was done, how much is done, how much there is)."""


@dataclass(kw_only=True)
class Measuring:
    """One run: what stays the same from picture to picture.

    Attributes:
        protocol: the rules.
        metrics: the figures to take.
        precision: of the networks.
        folder: where figures and pictures are kept, or None.
        crops: of how many pictures of each round a part is kept.
        crop_side: side of these parts.
        progress: told after each picture of each model.
        total: how often it will be told.
        shown: the parts that were kept, in order.
    """

    protocol: Protocol
    metrics: tuple[Metric, ...]
    precision: str
    folder: Path | None
    crops: int
    crop_side: int
    progress: Progress
    total: int
    shown: list[Crops] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read what an earlier run found."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        self._records = Records(None if self.folder is None else self.folder / "figures.jsonl")
        self._layout = Layout(
            folder=self.folder,
            protocol=self.protocol,
            precision=self.precision,
            crop_side=self.crop_side,
        )
        self._done = 0

    def measure(self, r: Round) -> list[Result]:
        """The results of all models on one data set at one scale.

        Raises:
            ValueError: a picture is damaged, or a network fails on it; the picture is named. Or no
                picture gave any figure.
        """
        for index, pair in enumerate(r.pairs):
            try:
                self._pair(r, pair, shown=index < self.crops)
            except ValueError as error:
                raise ValueError(f"{pair.name}: {error}") from error
        made = leave_out_infinite([self._report(r, entrant) for entrant in r.entrants.values()])
        reports = dict(zip(r.entrants, made, strict=True))
        return [
            Result(
                model=name,
                data=r.data.name,
                scale=r.scale,
                report=reports.get(name),
                reason=r.absent.get(name, ""),
            )
            for name in r.names
        ]

    def _pair(self, r: Round, pair: Pair, *, shown: bool) -> None:
        """Measure one picture by every model that is not known yet."""
        crops = self._layout.crop_files(r, pair) if shown else {}
        if shown:
            self.shown.append(
                Crops(data=r.data.name, scale=r.scale, image=pair.name, panes=tuple(crops.items()))
            )
        todo = [e for e in r.entrants.values() if not self._known(r, pair, e, crops)]
        if todo or not all(path.exists() for path in crops.values()):
            gt, lq = _read(r, pair)
            region = choose_region(lq, gt, pair.gt_size, self.crop_side) if crops else None
            if region is not None:
                _save_surroundings(crops, lq, gt, region, pair.gt_size)
            for entrant in todo:
                self._measure(r, pair, entrant, gt, lq, (crops.get(entrant.name), region))
                self._tell(r, pair, entrant)
        for entrant in r.entrants.values():
            if entrant not in todo:
                self._tell(r, pair, entrant)

    def _tell(self, r: Round, pair: Pair, entrant: Entrant) -> None:
        self._done += 1
        what = f"{r.data.name} x{r.scale:g} {pair.name}, {entrant.name}"
        self.progress(what, self._done, self.total)

    def _measure(
        self,
        r: Round,
        pair: Pair,
        entrant: Entrant,
        gt: Rgb | None,
        lq: Rgb,
        crop: tuple[Path | None, Region | None],
    ) -> None:
        began = time.perf_counter()
        sr = entrant.enlarge(
            lq, pair.gt_size, rounding=self.protocol.rounding, precision=self.precision
        )
        seconds = time.perf_counter() - began
        sample = Sample(sr=sr, gt=gt, lq=lq, crop=self.protocol.crop(r.scale))
        values = {m.identity: _take(m, sample) for m in self._metrics_of(pair)}
        path, region = crop
        if path is not None and region is not None:
            save_picture(path, cut(sr, region))
        if self._set_metrics(r):
            whole = (0, 0, *pair.gt_size)
            save_picture(self._layout.picture_file(r, pair, entrant), cut(sr, whole))
            if gt is not None:
                save_picture(self._layout.truth_file(r, pair), gt)
        # Last: what is on record is complete.
        self._records.add(self._layout.key(r, pair, entrant), values, seconds=seconds)

    def _metrics_of(self, pair: Pair) -> list[Metric]:
        """The figures that a picture can have."""
        return [
            m
            for m in self.metrics
            if m.measure_set is None and (m.needs != "gt" or pair.hr is not None)
        ]

    def _set_metrics(self, r: Round) -> list[Metric]:
        return [
            m
            for m in self.metrics
            if m.measure_set is not None and (m.needs != "gt" or r.data.hr is not None)
        ]

    def _known(self, r: Round, pair: Pair, entrant: Entrant, crops: dict[str, Path]) -> bool:
        values = self._records.values(self._layout.key(r, pair, entrant))
        files = [crops[entrant.name]] if entrant.name in crops else []
        if self._set_metrics(r):
            files.append(self._layout.picture_file(r, pair, entrant))
            if pair.hr is not None:
                files.append(self._layout.truth_file(r, pair))
        return (
            self._records.seconds(self._layout.key(r, pair, entrant)) is not None
            and all(m.identity in values for m in self._metrics_of(pair))
            and all(path.exists() for path in files)
        )

    def _report(self, r: Round, entrant: Entrant) -> Report:
        rows = []
        for pair in r.pairs:
            key = self._layout.key(r, pair, entrant)
            kept = self._records.values(key)
            values = {m.name: kept[m.identity] for m in self._metrics_of(pair)}
            rows.append(
                Row(
                    name=pair.name,
                    height=pair.gt_size[0],
                    width=pair.gt_size[1],
                    values={k: v for k, v in values.items() if not isinstance(v, Missing)},
                    missing={k: str(v) for k, v in values.items() if isinstance(v, Missing)},
                    seconds=self._records.seconds(key),
                )
            )
        if rows[0].missing and not any(row.values for row in rows):
            raise ValueError(f"{rows[0].name}: {next(iter(rows[0].missing.values()))}")
        lq = str(r.make_lq) if r.data.lq is None else str(r.data.lq_folder(r.scale))
        return Report(
            rows=tuple(rows),
            conditions={
                "model": entrant.name,
                **entrant.facts,
                "data": str(r.data.hr or "no ground truth"),
                "lq": lq,
                "images": len(rows),
                "scale": int(r.scale) if r.scale == int(r.scale) else r.scale,
                **self.protocol.conditions(),
                "crop": self.protocol.crop(r.scale),
                **{f"{m.name} sees": f"{m.looks_at} ({m.source})" for m in self.metrics},
                "device": entrant.device,
                "precision": self.precision,
                **versions(),
            },
            set_values=self._set_values(r, entrant),
        )

    def _set_values(self, r: Round, entrant: Entrant) -> dict[str, float]:
        """Figures of the whole set, kept like the others."""
        values: dict[str, float] = {}
        key = record_key({"set": [self._layout.key(r, pair, entrant) for pair in r.pairs]})
        for metric in self._set_metrics(r):
            if metric.identity not in self._records.values(key):
                results = self._layout.picture_file(r, r.pairs[0], entrant).parent
                truths = self._layout.truth_file(r, r.pairs[0]).parent if r.data.hr else None
                assert metric.measure_set is not None
                taken = _guarded(metric, partial(metric.measure_set, results, truths))
                self._records.add(key, {metric.identity: taken})
            value = self._records.values(key)[metric.identity]
            if not isinstance(value, Missing):
                values[metric.name] = value
        return values


def _read(r: Round, pair: Pair) -> tuple[Rgb | None, Rgb]:
    """The ground truth, cut to what is compared, and the picture to enlarge."""
    gt = None
    if pair.hr is not None:
        (top, left), (height, width) = pair.offset, pair.gt_size
        gt = read_rgb(pair.hr)[top : top + height, left : left + width]
    if pair.lq is not None:
        return gt, read_rgb(pair.lq)
    assert gt is not None  # a pair has one or the other
    return gt, r.make_lq(gt, pair.lq_size, pair.name)


def _save_surroundings(
    files: dict[str, Path], lq: Rgb, gt: Rgb | None, region: Region, size: tuple[int, int]
) -> None:
    """What stands beside the models: the picture they were given, bicubic, and the truth."""
    save_picture(files["LQ"], cut(enlarge_by_repeating(lq, size), region))
    if gt is not None:
        save_picture(files["GT"], cut(gt, region))
    if not files[BICUBIC].exists():
        save_picture(files[BICUBIC], cut(imresize(lq, size=size, round_between=False), region))


def _take(metric: Metric, sample: Sample) -> Value:
    if metric.source != "escsr":
        return _guarded(metric, partial(metric.measure, sample))
    try:
        return metric.measure(sample)
    except ValueError as error:  # a picture too small for it; anything else is a fault of ours
        return Missing(str(error))


def _guarded(metric: Metric, take: Callable[[], float]) -> Value:
    """A figure by other people's code, or why it could not be had."""
    try:
        return take()
    except Exception as error:  # whatever it raises, the others go on
        lines = str(error).strip().splitlines() or [""]
        return Missing(f"{metric.source}: {type(error).__name__}: {lines[0]}")
