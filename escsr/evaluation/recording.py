"""The records of a run: values, crops and whole results, and the reports made from them."""

from functools import partial
from pathlib import Path

from escsr.evaluation.catalogue import Metric, Rgb
from escsr.evaluation.contenders import BICUBIC, Contender
from escsr.evaluation.crops import (
    Region,
    choose_region,
    cut,
    enlarge_by_repeating,
    save_picture,
)
from escsr.evaluation.layout import Layout, versions
from escsr.evaluation.measuring import Measurement, Pixels, guarded, metrics_of_picture
from escsr.evaluation.pairs import Pair
from escsr.evaluation.plan import Round
from escsr.evaluation.protocol import Protocol
from escsr.evaluation.records import Missing, Records, record_key
from escsr.evaluation.report import Report, Row, leave_out_infinite
from escsr.evaluation.results import Crops, Result
from escsr.resize import imresize

__all__ = ["Recorder"]


class Recorder:
    """Keeps measurements, in memory or in a folder, and turns them into results.

    Args:
        protocol: The rules.
        metrics: The metrics to measure.
        precision: Of the networks.
        folder: Folder for values and pictures, or None; created if missing.
        crops: For how many pictures of each round a crop is kept.
        crop_side: Side of these crops, in pixels.

    Attributes:
        crops: The crops that were kept, in order.
    """

    def __init__(
        self,
        *,
        protocol: Protocol,
        metrics: tuple[Metric, ...],
        precision: str,
        folder: Path | None,
        crops: int,
        crop_side: int,
    ) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self.protocol = protocol
        self.metrics = metrics
        self.precision = precision
        self.crops: list[Crops] = []
        self._cropped = crops
        self._crop_side = crop_side
        self._found: tuple[Pixels, Region] | None = None
        self._records = Records(None if folder is None else folder / "figures.jsonl")
        self._layout = Layout(
            folder=folder, protocol=protocol, precision=precision, crop_side=crop_side
        )

    def crop_files(self, r: Round, pair: Pair) -> dict[str, Path]:
        """Crop files of a picture, by what they show; empty if no crop is kept."""
        shown = any(pair is one for one in r.pairs[: self._cropped])
        return self._layout.crop_files(r, pair) if shown else {}

    def is_complete(self, r: Round, pair: Pair, contender: Contender) -> bool:
        """Whether everything about one model on one picture is on record."""
        key = self._layout.key(r, pair, contender)
        crops = self.crop_files(r, pair)
        files = [crops[contender.name]] if contender.name in crops else []
        if self._set_metrics(r):
            files.append(self._layout.picture_file(r, pair, contender))
            if pair.hr is not None:
                files.append(self._layout.truth_file(r, pair))
        values = self._records.values(key)
        return (
            self._records.seconds(key) is not None
            and all(m.identity in values for m in metrics_of_picture(self.metrics, pair))
            and all(path.exists() for path in files)
        )

    def record(
        self, r: Round, pair: Pair, contender: Contender, pixels: Pixels, made: Measurement
    ) -> None:
        """Keep the measurements of one picture and one model."""
        crops = self.crop_files(r, pair)
        if contender.name in crops:
            save_picture(crops[contender.name], cut(made.sr, self._region(pixels)))
        if self._set_metrics(r):
            save_picture(
                self._layout.picture_file(r, pair, contender), cut(made.sr, (0, 0, *pixels.size))
            )
            if pixels.gt is not None:
                save_picture(self._layout.truth_file(r, pair), pixels.gt)
        # Last, so that whatever is on record is complete.
        self._records.add(self._layout.key(r, pair, contender), made.values, seconds=made.seconds)

    def record_surroundings(self, r: Round, pair: Pair, pixels: Pixels) -> None:
        """Keep the crops shown next to the models': the input, bicubic and the ground truth."""
        crops = self.crop_files(r, pair)
        if crops:
            _save_surroundings(crops, pixels.lq, pixels.gt, self._region(pixels), pixels.size)

    def results(self, r: Round) -> list[Result]:
        """The results of all models of a round, once all of it is on record.

        Raises:
            ValueError: If no picture gave any value.
        """
        for pair in r.pairs:
            crops = self.crop_files(r, pair)
            if crops:
                panes = tuple(crops.items())
                self.crops.append(
                    Crops(data=r.data.name, scale=r.scale, image=pair.name, panes=panes)
                )
        made = leave_out_infinite([self._report(r, one) for one in r.contenders.values()])
        reports = dict(zip(r.contenders, made, strict=True))
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

    def _region(self, pixels: Pixels) -> Region:
        """The crop of a picture, the same for all models."""
        if self._found is None or self._found[0] is not pixels:
            region = choose_region(pixels.lq, pixels.gt, pixels.size, self._crop_side)
            self._found = (pixels, region)
        return self._found[1]

    def _set_metrics(self, r: Round) -> list[Metric]:
        return [
            m
            for m in self.metrics
            if m.measure_set is not None and (m.needs != "gt" or r.data.hr is not None)
        ]

    def _report(self, r: Round, contender: Contender) -> Report:
        rows = []
        for pair in r.pairs:
            key = self._layout.key(r, pair, contender)
            kept = self._records.values(key)
            values = {m.name: kept[m.identity] for m in metrics_of_picture(self.metrics, pair)}
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
                "model": contender.name,
                **contender.facts,
                "data": str(r.data.hr or "no ground truth"),
                "lq": lq,
                "images": len(rows),
                "scale": int(r.scale) if r.scale == int(r.scale) else r.scale,
                **self.protocol.conditions(),
                "crop": self.protocol.crop(r.scale),
                **{f"{m.name} sees": f"{m.looks_at} ({m.source})" for m in self.metrics},
                "device": contender.device,
                "precision": self.precision,
                **versions(),
            },
            set_values=self._set_values(r, contender),
        )

    def _set_values(self, r: Round, contender: Contender) -> dict[str, float]:
        """Metrics of the whole set, kept like the others."""
        values: dict[str, float] = {}
        key = record_key({"set": [self._layout.key(r, pair, contender) for pair in r.pairs]})
        for metric in self._set_metrics(r):
            if metric.identity not in self._records.values(key):
                results = self._layout.picture_file(r, r.pairs[0], contender).parent
                truths = self._layout.truth_file(r, r.pairs[0]).parent if r.data.hr else None
                assert metric.measure_set is not None
                taken = guarded(metric, partial(metric.measure_set, results, truths))
                self._records.add(key, {metric.identity: taken})
            value = self._records.values(key)[metric.identity]
            if not isinstance(value, Missing):
                values[metric.name] = value
        return values


def _save_surroundings(
    files: dict[str, Path], lq: Rgb, gt: Rgb | None, region: Region, size: tuple[int, int]
) -> None:
    """The crops shown next to the models': their input, bicubic and the ground truth."""
    save_picture(files["LQ"], cut(enlarge_by_repeating(lq, size), region))
    if gt is not None:
        save_picture(files["GT"], cut(gt, region))
    if not files[BICUBIC].exists():
        save_picture(files[BICUBIC], cut(imresize(lq, size=size, round_between=False), region))
