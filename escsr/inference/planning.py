"""Planning the work for a picture size, and reserving memory for it."""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from escsr.inference.engine_tiles import find_tiles
from escsr.inference.ensemble import TURNS
from escsr.inference.memory import (
    MemoryBudget,
    OutOfBudgetError,
    RoughBound,
    estimate_memory,
    free_memory,
)
from escsr.inference.onnx_engine import OnnxEngine
from escsr.inference.plans import Plan, network_size, notices_of, request_of
from escsr.inference.sizes import SizeRequest
from escsr.inference.watching import Cancel
from escsr.inference.ways import Tiles, Way, WayFinder, too_large
from escsr.model import SuperResolver

# Most pixels that go through the network at once on a CPU: larger pictures are faster one by one.
_BATCH_PIXELS = 1 << 16
# Number of plans to keep; they are small.
_PLANS = 256
# A picture whose rough bound is below this share of the available memory needs no estimate.
_SURELY_FITS = 0.25


class Planner:
    """Makes and keeps the plans of a session, and reserves memory for them.

    It is safe to use from several threads.

    Args:
        network: The session's network.
        device: Device of the network.
        dtype: Dtype of its arithmetic.
        tiles: How pictures that do not fit are computed.
        ensemble: Whether to average over all flips and rotations.
        engine: Engine that runs the network, if not PyTorch.
        banded: Whether the network may work through bands of rows.
        budget: Memory for all calls of the session together.
    """

    def __init__(
        self,
        network: SuperResolver,
        *,
        device: torch.device,
        dtype: torch.dtype | None,
        tiles: Tiles,
        ensemble: bool,
        engine: OnnxEngine | None,
        banded: bool,
        budget: MemoryBudget,
    ) -> None:
        self._network, self._engine = network, engine
        self._device, self._dtype = device, dtype
        self._ensemble, self._budget = ensemble, budget
        self._ways = WayFinder(network, tiles, dtype, banded=banded)
        self._bound = RoughBound(network)
        self._plans: dict[object, Plan] = {}
        self._lock = threading.Lock()
        self._speed: float | None = None
        self.scale = network.scale if engine is None else engine.scale
        staged = self._ways.staged and (engine is None or engine.has_weights)
        self.unasked_tiles = tiles == "exact" and not staged

    def plan(
        self,
        image_size: tuple[int, int],
        request: SizeRequest,
        *,
        batch: int,
        alpha: bool,
        depth: int,
    ) -> Plan:
        """The plan for pictures of one size; see `Upscaler.plan`."""
        key = (image_size, request, batch, alpha, depth)
        with self._lock:
            known = self._plans.get(key)
        if known is not None:
            return known
        if 0 in image_size or batch < 1:
            raise ValueError("the picture is empty")
        made_by = self._network
        request = request_of(request, self.scale)
        wanted = request.of(*image_size)
        made = network_size(self.scale, image_size, wanted)
        together = self._together(image_size, batch)
        plan = Plan(
            image_size=image_size,
            size=wanted,
            network_size=made,
            batch=together,
            passes=0 if made is None else self._passes(-(-batch // together) + int(alpha)),
            notices=notices_of(
                name=f"{made_by.config.backbone} + {made_by.config.head}",
                trained=made_by.trained,
                scale=self.scale,
                image_size=image_size,
                size=wanted,
                made=made,
            ),
            _way=functools.partial(self._find_way, pictures=batch, depth=depth),
            _seconds=self._forecast,
        )
        with self._lock:
            while len(self._plans) >= _PLANS:
                del self._plans[next(iter(self._plans))]
            self._plans[key] = plan
        return plan

    def _together(self, image_size: tuple[int, int], batch: int) -> int:
        """Number of pictures of a batch that go through the network at once."""
        if self._ensemble:
            return 1
        return max(1, min(batch, _BATCH_PIXELS // (image_size[0] * image_size[1])))

    def _passes(self, enlargements: int) -> int:
        return enlargements * (len(TURNS) if self._ensemble else 1)

    def _find_way(self, plan: Plan, *, pictures: int, depth: int) -> Way:
        before, after = _around(plan, pictures)
        if plan.network_size is None:
            return Way(kind="whole", memory=before + after)
        made = plan.network_size

        def whole() -> int:
            network = estimate_memory(
                self._network,
                *plan.image_size,
                made,
                batch=plan.batch,
                dtype=self._dtype,
            )
            return before + sums + max(network + self._beyond(plan), after)

        # The sums of the eight results exist in addition to the work on each.
        sums = 24 * made[0] * made[1] if self._ensemble else 0
        around = sums + pictures * plan.size[0] * plan.size[1] * (depth // 8) * 4
        limit = min(self._limits(), default=None)
        if self._engine is None or self._engine.has_weights:
            return self._ways.find(plan.image_size, made, whole=whole, around=around, limit=limit)
        if self._ways.prefers_whole(plan.image_size):
            needed = whole()
            if limit is None or needed <= limit:
                return Way(kind="whole", memory=needed)
        return find_tiles(self._engine, plan.image_size, made, around=around + before, limit=limit)

    def _beyond(self, plan: Plan) -> int:
        """Bytes that the engine needs beyond PyTorch."""
        if self._engine is None:
            return 0
        return plan.batch * self._engine.memory_beyond(*plan.image_size)

    def _limits(self) -> list[int]:
        """Available bytes, within the limits of the session and of the machine."""
        budgets = self._budget, _budget_of(self._device)
        return [total for budget in budgets if (total := budget.total()) is not None]

    def _forecast(self, plan: Plan) -> float | None:
        speed = self._speed
        return None if speed is None else speed * plan.pixels

    def took(self, plan: Plan, seconds: float) -> None:
        """Learn from a finished call, for the forecasts of later plans."""
        if plan.passes:
            self._speed = seconds / plan.pixels

    @contextmanager
    def reserved(self, plan: Plan, pictures: int, cancel: Cancel | None) -> Iterator[Way]:
        """Reserve a plan's memory for the block, and yield the way to compute it."""
        limits = self._limits()
        way = self._way_now(plan, pictures, least=min(limits)) if limits else plan.way
        shared = _budget_of(self._device)
        for _ in range(2):  # planning itself takes memory the first time
            if way.memory <= min(self._limits(), default=way.memory):
                break
            way = plan.found_anew()
        try:
            with (
                self._budget.reserved(way.memory, cancel),
                shared.reserved(way.memory, cancel),
            ):
                yield way
        except OutOfBudgetError as error:
            raise too_large(plan.image_size, way.memory, error.total, self._device) from None

    def _way_now(self, plan: Plan, pictures: int, *, least: int) -> Way:
        """The plan's way, or directly the whole picture if a rough bound is small enough."""
        if plan.network_size is not None and self._ways.prefers_whole(plan.image_size):
            rough = self._bound(*plan.image_size, plan.network_size, batch=plan.batch)
            rough += sum(_around(plan, pictures)) + self._beyond(plan)
            if rough <= _SURELY_FITS * least:
                return Way(kind="whole", memory=rough)
        return plan.way


def _around(plan: Plan, pictures: int) -> tuple[int, int]:
    """Bytes of the pictures as floats before the network, and of all results after it."""
    made = plan.network_size or plan.image_size
    # float64 if the result is resized; otherwise float32 once more, and the samples.
    each = 48 if made != plan.size else 18
    results = 12 * made[0] * made[1] + each * plan.size[0] * plan.size[1]
    return 12 * pictures * plan.image_size[0] * plan.image_size[1], pictures * results


@functools.cache
def _budget_of(device: torch.device) -> MemoryBudget:
    """The memory budget that the sessions of this process share on a device."""
    return MemoryBudget(free=lambda: free_memory(device))
