"""Search for the fastest way to run a network: axis by axis, then the best few once more."""

import time
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

from escsr.bench.gpu.plan import Plan, Work
from escsr.bench.gpu.record import Entry, Record
from escsr.bench.gpu.timing import arithmetic, peak_memory, timed
from escsr.bench.gpu.variants import (
    AXES,
    FACTOR_ATTENTION,
    LOW_RANK,
    Variant,
    make_low_rank,
    make_network,
    operations,
    ready,
)
from escsr.layers import WindowAttention
from escsr.layers.attention_bias import TableBias
from escsr.model import SuperResolver

BOUNDS = {"fp32": 2e-4, "tf32": 2e-2, "fp16": 2e-2, "bf16": 1e-1}
"""Differences to fp32 that are rounding, as shares of the largest number in the picture."""

# Seconds that a way to run needs beyond a few passes, about, where none was measured yet.
_NEEDS = {"cuda graph": 1.0, "default": 20.0, "reduce-overhead": 25.0, "max-autotune": 60.0}


def bound(precision: str) -> float:
    """Of `BOUNDS`, for a precision of `escsr.bench.gpu.plan.PRECISIONS`."""
    return BOUNDS[precision.removesuffix(" weights")]


def measure_networks(record: Record, plan: Plan, device: torch.device, *, dry: bool) -> None:
    """Search each network, size and precision, the most important first, while there is time."""
    ranks = product(enumerate(plan.networks), enumerate(plan.works), enumerate(plan.precisions))
    # A step down the list of precisions or sizes weighs as much as two down that of networks.
    order = sorted(ranks, key=lambda r: r[0][0] + 2 * r[1][0] + 2 * r[2][0])
    for (_, name), (_, work), (_, precision) in order:
        if record.left("networks") < 0:
            record.report["left_out"]["networks"] += 1
            continue
        _Search(record, plan, name, work, precision, device, dry=dry).run()


class _Search:
    """One network at one size in one precision."""

    def __init__(
        self,
        record: Record,
        plan: Plan,
        name: str,
        work: Work,
        precision: str,
        device: torch.device,
        *,
        dry: bool,
    ) -> None:
        self._record, self._plan, self._device, self._dry = record, plan, device, dry
        self._name, self._work, self._precision = name, work, precision
        self._made: dict[bool, SuperResolver] = {}
        self._expected: Tensor | None = None

    def run(self) -> None:
        """The coarse pass, and the fine one over the best of it."""
        best, found = self._base(), dict[Variant, Entry]()
        for axis, values in self._axes():
            for value in values:
                variant = best.changed(axis, value)
                if variant in found:
                    continue
                entry = self._measure(variant, "coarse", seconds=self._plan.seconds)
                if entry is not None:
                    found[variant] = entry
            best = _fastest(found, 1)[0] if _fastest(found, 1) else best
        for variant in _fastest(found, self._plan.best):
            self._measure(variant, "fine", seconds=3 * self._plan.seconds)
        self._measure(Variant(attention="auto"), "fine", seconds=3 * self._plan.seconds)

    def _base(self) -> Variant:
        return Variant(attention="sdpa" if self._has_table() else "concat")

    def _axes(self) -> list[tuple[str, Sequence[str]]]:
        axes = {**AXES, "run": self._plan.runs}
        if not self._has_table():
            axes["attention"] = FACTOR_ATTENTION
        return list(axes.items())

    def _has_table(self) -> bool:
        layers = self._network(low_rank=False).modules()
        first = next((m for m in layers if isinstance(m, WindowAttention)), None)
        return first is None or isinstance(first.bias_kind, TableBias)

    def _measure(self, variant: Variant, stage: str, *, seconds: float) -> Entry | None:
        about = {
            "network": self._name,
            **self._work._asdict(),
            "precision": self._precision,
            **variant.as_json(),
            "stage": stage,
        }
        needs = 0.0 if self._dry else self._needed(variant)
        call = partial(self._figures, variant, seconds)
        return self._record.measure("networks", about, call, needs=needs)

    def _needed(self, variant: Variant) -> float:
        """Seconds, estimated from earlier runs of the same kind."""
        took = [
            entry["seconds"]
            for entry in self._record.report["networks"]
            if entry["run"] == variant.run and "seconds" in entry
        ]
        return float(max(took[-3:])) if took else _NEEDS.get(variant.run, 0.5)

    def _figures(self, variant: Variant, seconds: float) -> dict[str, Any]:
        began = time.perf_counter()
        low_rank = variant.attention == LOW_RANK
        network, lq = self._network(low_rank=low_rank), self._picture()
        with (
            peak_memory(self._device) as peak,
            ready(network, variant, self._precision, lq, dry=self._dry) as call,
        ):
            sr = call().float()
            figures = timed(call, self._device, seconds=seconds, least=3 if not self._dry else 1)
        figures["peak_mib"] = peak[0]
        if not low_rank:  # other weights, another picture
            figures |= self._differences(sr)
        elif not bool(torch.isfinite(sr).all()):
            raise ValueError("the result is not finite")
        flops = operations(network, self._work) if variant.run == "eager" else None
        if flops is not None:
            figures["tflops"] = flops / figures["ms"] / 1e9
        return {**figures, "seconds": time.perf_counter() - began}

    def _differences(self, sr: Tensor) -> dict[str, Any]:
        expected = self._reference()
        difference = float((sr - expected).abs().max())
        largest = float(expected.abs().max())
        return {
            "difference": difference,
            "right": difference <= bound(self._precision) * max(largest, 1.0),
        }

    def _reference(self) -> Tensor:
        """Of the network in fp32 with written-out attention, on the device."""
        if self._expected is None:
            with (
                arithmetic(self._device, "fp32"),
                ready(
                    self._network(low_rank=False),
                    Variant(attention="math", convolution="two"),
                    "fp32",
                    self._picture(),
                    dry=self._dry,
                ) as call,
            ):
                self._expected = call()
        return self._expected

    def _network(self, *, low_rank: bool) -> SuperResolver:
        if low_rank not in self._made:
            make = make_low_rank if low_rank else make_network
            self._made[low_rank] = make(self._name, self._plan, self._work, self._device)
        return self._made[low_rank]

    def _picture(self) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        lq = torch.rand(1, 3, self._work.height, self._work.width, generator=generator)
        return lq.to(self._device)


def _fastest(found: dict[Variant, Entry], count: int) -> list[Variant]:
    """The fastest correct ones; of low-rank ones we know only that they are finite."""
    good = [v for v, entry in found.items() if "ms" in entry and entry.get("right", True)]
    return sorted(good, key=lambda variant: float(found[variant]["ms"]))[:count]
