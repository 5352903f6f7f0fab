"""`Upscaler`: a network made ready once, for many pictures and many threads."""

import functools
import io
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, TypedDict, TypeVar, Unpack, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from escsr.devices import pick_device, pick_precision, refuse_after_fork
from escsr.images import Picture, PictureSource, PixelFile
from escsr.inference.enlarging import Enlarger
from escsr.inference.ensemble import TURNS
from escsr.inference.judging import CLEAN, DAMAGED, hint, is_auto, is_for_clean, suits
from escsr.inference.kinds import as_picture, check_tensor, like, to_picture
from escsr.inference.memory import (
    Memory,
    MemoryBudget,
    OutOfBudgetError,
    RoughBound,
    estimate_memory,
    free_memory,
    parse_memory,
)
from escsr.inference.networks import choose_model, is_compiled, is_on, private_network
from escsr.inference.onnx_engine import Engine, OnnxEngine, check_engine, is_onnx
from escsr.inference.pictures import is_uniform, upscale_batch, upscale_file, upscale_picture
from escsr.inference.plans import Plan, network_size, notices_of, request_of
from escsr.inference.sizes import SizeRequest
from escsr.inference.watching import Cancel, Watch, make_watchable, watching
from escsr.inference.ways import Tiles, Way, WayFinder, check_tiles, too_large
from escsr.model import SuperResolver

if TYPE_CHECKING:
    from PIL.Image import Image

# So many pixels go through the network at once on a CPU: larger pictures are quicker one by one.
_BATCH_PIXELS = 1 << 16
# Plans that are kept; they are small.
_PLANS = 256
# A picture whose rough bound is below this share of what can be had needs no estimate.
_SURELY_FITS = 0.25


class UpscaleNotice(UserWarning):
    """Something about an enlargement that its user should know."""


class CallOptions(TypedDict, total=False):
    """What may be asked of each call, for type checkers; see `Upscaler.__call__`."""

    scale: float | None
    size: tuple[int, int] | None
    width: int | None
    height: int | None
    min_side: int | None
    max_side: int | None
    progress: Callable[[float], None] | None
    cancel: Cancel | None
    notify: Callable[[str], None] | None


Sample = TypeVar("Sample", bound=np.generic)


class Upscaler:
    """A session: a network made ready once, then called for many pictures, from any thread.

    It holds a copy of the network, in evaluation mode, on its device: a network that is given
    stays where and as it is. Calls share nothing but that copy, so threads may call one session
    at once; each call's progress, cancellation and notices are its own. A call reserves its
    memory first: of calls that do not fit together, some wait.

    Args:
        model: "default", "auto" (looks at each picture and chooses "default" or "real", which is
            told by a notice; tensors of one batch go through one network), a name of
            `escsr.list_models` or `escsr.models.published` (fetched on first use), a file, or
            a network (its weights as they are now; a network made by ``torch.compile`` is called as
            it is).
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps" …
        precision: "fp32", "bf16" or "fp16" for the network's arithmetic.
        memory: What all calls of the session together may take, as bytes or as "2GB", "512MiB", or
            a function that says how many bytes are left while no call runs; None takes what is
            free. Sessions of one process share what is free on a device.
        tiles: What becomes of pictures that do not fit. "exact" works through bands of rows, with
            the result of the whole picture. "fast" cuts every picture above 512 pixels into
            overlapping tiles: a little quicker than bands, and a little different (docs, "Large
            pictures"). Backbones without stages know only tiles.
        ensemble: Make the mean over the picture's eight flips and rotations: a little better, and
            eight times as long.
        engine: "torch", or "onnx": ONNX Runtime makes what fits into memory whole, and PyTorch the
            rest in its bands or tiles. A ``.onnx`` file of `escsr.export.to_onnx` as the model
            implies it; such a file makes whole pictures only. Progress then comes per pass.
        providers: What ONNX Runtime computes with, in the order of preference: "cuda",
            "directml", "coreml", "openvino", "tensorrt", "cpu". None takes the first that is
            installed of CUDA, DirectML and the CPU.

    Raises:
        ValueError: If the device, the precision, the tiles, the engine or the amount of memory is
            impossible.
        FileNotFoundError: If there is no such model.
        TypeError: If ``model`` is no network.

    Example:
        >>> up = escsr.Upscaler()
        >>> plan = up.plan((1080, 1920), scale=2)
        >>> plan.size, plan.memory < 8 << 30
        ((2160, 3840), True)
        >>> results = [up(path, scale=2) for path in paths]
    """

    _for_damaged: "Upscaler | None" = None  # of "auto", beside the one for clean pictures
    _hints = False  # whether damage is told

    def __init__(
        self,
        model: str | os.PathLike[str] | SuperResolver = "default",
        *,
        device: str | torch.device = "auto",
        precision: str = "fp32",
        memory: Memory | None = None,
        tiles: Tiles = "exact",
        ensemble: bool = False,
        engine: Engine = "torch",
        providers: Sequence[str] | None = None,
    ) -> None:
        auto = is_auto(model)
        self._set_up(
            CLEAN if auto else model,
            device,
            precision,
            memory,
            tiles,
            ensemble,
            engine,
            providers,
            share=False,
        )
        if auto:
            self._for_damaged = Upscaler(
                DAMAGED,
                device=device,
                precision=precision,
                memory=memory,
                tiles=tiles,
                ensemble=ensemble,
                engine=engine,
                providers=providers,
            )
            self._for_damaged._budget = self._budget
        self._hints = is_for_clean(model)

    @classmethod
    def sharing(
        cls,
        network: SuperResolver,
        *,
        device: str | torch.device = "auto",
        precision: str = "fp32",
        memory: Memory | None = None,
        tiles: Tiles = "exact",
        ensemble: bool = False,
        engine: Engine = "torch",
        providers: Sequence[str] | None = None,
    ) -> "Upscaler":
        """A session for one call: made in a millisecond or two, as it copies no weights.

        Args:
            network: Any network; its weights are used where they are, if that is the device.
            device: As of the class.
            precision: As of the class.
            memory: As of the class.
            tiles: As of the class.
            ensemble: As of the class.
            engine: As of the class.
            providers: As of the class.
        """
        session = cls.__new__(cls)
        session._set_up(
            network, device, precision, memory, tiles, ensemble, engine, providers, share=True
        )
        return session

    def _set_up(
        self,
        model: str | os.PathLike[str] | SuperResolver,
        device: str | torch.device,
        precision: str,
        memory: Memory | None,
        tiles: Tiles,
        ensemble: bool,
        engine: Engine,
        providers: Sequence[str] | None,
        *,
        share: bool,
    ) -> None:
        check_tiles(tiles)
        engine = "onnx" if is_onnx(model) else engine
        check_engine(engine, precision, device, providers)
        dtype = pick_precision(precision)
        self.device = pick_device("cpu" if engine == "onnx" else device)
        self.precision = precision
        self._engine = OnnxEngine.of_file(model, providers) if is_onnx(model) else None
        given = choose_model(model) if self._engine is None else self._engine.network
        network = private_network(given, self.device, share=share)
        self._layers = make_watchable(network)
        self._network = network
        self._run: Callable[..., Tensor] = network
        if is_compiled(model) and is_on(given, self.device):
            self._run = model  # compiled: to compile a copy takes longer than most calls
        if engine == "onnx" and self._engine is None:
            self._engine = OnnxEngine.of_network(network, precision=precision, providers=providers)
        self._run = self._engine or self._run
        self._bound = RoughBound(network)
        if isinstance(memory, int | str):
            self._budget = MemoryBudget(limit=parse_memory(memory))
        else:
            self._budget = MemoryBudget(free=memory or (lambda: None))
        self._ensemble = ensemble
        self._ways = WayFinder(network, tiles, dtype, banded=self._run is network)
        self._plans: dict[object, Plan] = {}
        self._lock = threading.Lock()
        self._speed: float | None = None

    @property
    def scale(self) -> float | None:
        """The one scale that the network makes, or None if it makes any."""
        return self._network.scale if self._engine is None else self._engine.scale

    def __repr__(self) -> str:
        """One line."""
        return f"Upscaler({self._network.extra_repr()}, {self.device}, {self.precision})"

    # ------------------------------------------------------------------ plans

    def plan(
        self,
        image_size: tuple[int, int],
        *,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        width: int | None = None,
        height: int | None = None,
        min_side: int | None = None,
        max_side: int | None = None,
        batch: int = 1,
        alpha: bool = False,
        depth: int = 8,
    ) -> Plan:
        """Say what will be done for pictures of one size; kept for the next of that size.

        Args:
            image_size: (H, W) of the picture.
            scale: See `upscale`; likewise the other ways to give a size.
            size: See `upscale`.
            width: See `upscale`.
            height: See `upscale`.
            min_side: See `upscale`.
            max_side: See `upscale`.
            batch: Pictures of that size in one tensor.
            alpha: Whether the picture has transparency that must be enlarged as well.
            depth: Bits of a sample of the result: 8, 16, or 32 for tensors.

        Returns:
            The plan; its ``way`` and ``memory`` are found when asked for.

        Raises:
            ValueError: If the request is impossible.
        """
        request = SizeRequest(
            scale=scale, size=size, width=width, height=height, min_side=min_side, max_side=max_side
        )
        return self._plan(image_size, request, batch=batch, alpha=alpha, depth=depth)

    def _plan(
        self,
        image_size: tuple[int, int],
        request: SizeRequest,
        *,
        batch: int,
        alpha: bool,
        depth: int,
    ) -> Plan:
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
        """How many of a batch's pictures go through the network at once."""
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
                dtype=pick_precision(self.precision),
            )
            return before + sums + max(network + self._beyond(plan), after)

        # The sums of the eight results lie beside the work on each.
        sums = 24 * made[0] * made[1] if self._ensemble else 0
        if self._engine is not None and not self._engine.has_weights:
            return Way(kind="whole", memory=whole())
        return self._ways.find(
            plan.image_size,
            made,
            whole=whole,
            around=sums + pictures * plan.size[0] * plan.size[1] * (depth // 8) * 4,
            limit=min(self._limits(), default=None),
        )

    def _beyond(self, plan: Plan) -> int:
        """Bytes that the engine takes beyond PyTorch."""
        if self._engine is None:
            return 0
        return plan.batch * self._engine.memory_beyond(*plan.image_size)

    def _limits(self) -> list[int]:
        """Bytes that can be had, by the session's bound and by the machine's."""
        budgets = self._budget, _budget_of(self.device)
        return [total for budget in budgets if (total := budget.total()) is not None]

    def _forecast(self, plan: Plan) -> float | None:
        speed = self._speed
        return None if speed is None else speed * plan.pixels

    # ------------------------------------------------------------------ calls

    @overload
    def __call__(
        self, image: str | os.PathLike[str], **options: Unpack[CallOptions]
    ) -> Picture: ...
    @overload
    def __call__(self, image: PixelFile, **options: Unpack[CallOptions]) -> PixelFile: ...
    @overload
    def __call__(self, image: Picture, **options: Unpack[CallOptions]) -> Picture: ...
    @overload
    def __call__(
        self, image: NDArray[Sample], **options: Unpack[CallOptions]
    ) -> NDArray[Sample]: ...
    @overload
    def __call__(self, image: Tensor, **options: Unpack[CallOptions]) -> Tensor: ...
    @overload
    def __call__(self, image: bytes, **options: Unpack[CallOptions]) -> bytes: ...
    @overload
    def __call__(self, image: BinaryIO, **options: Unpack[CallOptions]) -> io.BytesIO: ...
    @overload
    def __call__(self, image: "Image", **options: Unpack[CallOptions]) -> "Image": ...
    def __call__(
        self,
        image: Any,
        *,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        width: int | None = None,
        height: int | None = None,
        min_side: int | None = None,
        max_side: int | None = None,
        progress: Callable[[float], None] | None = None,
        cancel: Cancel | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> Any:
        """Enlarge a picture to exactly the size asked; see `upscale` for pictures and sizes.

        Args:
            image: See `upscale`.
            scale: See `upscale`; likewise the other ways to give a size.
            size: See `upscale`.
            width: See `upscale`.
            height: See `upscale`.
            min_side: See `upscale`.
            max_side: See `upscale`.
            progress: Called with the share of the work that is done, from 0 to 1.
            cancel: A callable or a `threading.Event`, asked between layers: once it says so,
                the call ends with `Cancelled`.
            notify: Called with each notice; by default notices are warnings (`UpscaleNotice`).

        Returns:
            The same kind as ``image``, see `upscale`.

        Raises:
            Cancelled: If ``cancel`` ends the call.
            ValueError: See `upscale`.
            TypeError: See `upscale`.
            MemoryError: If the estimated memory exceeds what can be had; with both figures.
        """
        request = SizeRequest(
            scale=scale, size=size, width=width, height=height, min_side=min_side, max_side=max_side
        )
        call: functools.partial[Any] = functools.partial(
            self._work, request=request, progress=progress, cancel=cancel, notify=notify or _warn
        )
        if isinstance(image, Tensor):
            batch = check_tensor(image)
            if self._for_damaged is not None:
                call = self._suited(call, [as_picture(one) for one in batch])
            pictures, _, rows, columns = batch.shape
            with call((rows, columns), pictures=pictures, depth=32) as (plan, enlarge):
                made = upscale_batch(batch, plan.size, enlarge, together=plan.batch)
                result = made.to(image)
            return result[0] if image.ndim == 3 else result
        if isinstance(image, PixelFile):
            return self._upscale_file(image, call)
        if hasattr(image, "read"):
            return io.BytesIO(self._upscale(PictureSource(image).contents(), call))
        return self._upscale(image, call)

    def _upscale(self, image: Any, call: functools.partial[Any]) -> Any:
        picture = to_picture(image)
        call = self._suited(call, [picture])
        alpha = not is_uniform(picture.alpha)
        with call(picture.size, alpha=alpha, depth=picture.depth) as (plan, enlarge):
            return like(image, upscale_picture(picture, plan.size, enlarge))

    def _upscale_file(self, file: PixelFile, call: functools.partial[Any]) -> PixelFile:
        if self._ensemble:
            raise ValueError(
                "the self-ensemble needs the picture in memory: allow more memory, or go without it"
            )
        middle = max(file.size[0] // 2 - 128, 0) // 8 * 8  # where the blocks of a JPEG begin
        rows = file.read(middle, min(middle + 256, file.size[0]))
        call = self._suited(call, [Picture(pixels=np.broadcast_to(rows, (*rows.shape[:2], 3)))])
        with call(file.size, depth=0) as (plan, enlarge):  # the result takes no memory
            return upscale_file(file, plan.size, enlarge)

    def _suited(
        self, call: functools.partial[Any], pictures: list[Picture]
    ) -> functools.partial[Any]:
        """The call by the network that suits the pictures, where it may be chosen; else hints."""
        notify, scale, image_size = call.keywords["notify"], self.scale, pictures[0].size
        wanted = request_of(call.keywords["request"], scale).of(*image_size)
        if network_size(scale, image_size, wanted) is None:
            return call  # made smaller: no network is needed
        if self._for_damaged is not None:
            session = self._for_damaged if suits(pictures, notify) == DAMAGED else self
            return functools.partial(session._work, **call.keywords)
        if self._hints:
            hint(pictures[0], notify)
        return call

    @contextmanager
    def _work(
        self,
        image_size: tuple[int, int],
        *,
        request: SizeRequest,
        progress: Callable[[float], None] | None,
        cancel: Cancel | None,
        notify: Callable[[str], None],
        depth: int,
        pictures: int = 1,
        alpha: bool = False,
    ) -> Iterator[tuple[Plan, Enlarger | None]]:
        """Plan, reserve memory, and give what enlarges for the block; None: no network does."""
        plan = self._plan(image_size, request, batch=pictures, alpha=alpha, depth=depth)
        for notice in plan.notices:
            notify(notice)
        watch = Watch(layers=self._layers, passes=plan.passes, progress=progress, cancel=cancel)
        watch.check()
        refuse_after_fork()
        with self._reserved(plan, pictures, cancel) as way, watching(watch):
            if way.kind == "tiles" and not self._ways.staged:
                notify(
                    "the picture does not fit into memory at once, and this backbone cannot work "
                    "in bands: it is made in overlapping tiles, which differ a little"
                )
            began = time.perf_counter()
            yield plan, self._enlarger(plan, way, watch, notify)
            if plan.passes:
                self._speed = (time.perf_counter() - began) / plan.pixels

    @contextmanager
    def _reserved(self, plan: Plan, pictures: int, cancel: Cancel | None) -> Iterator[Way]:
        limits = self._limits()
        way = self._way_now(plan, pictures, least=min(limits)) if limits else plan.way
        shared = _budget_of(self.device)
        for _ in range(2):  # planning itself takes memory, the first time
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
            raise too_large(plan.image_size, way.memory, error.total, self.device) from None

    def _way_now(self, plan: Plan, pictures: int, *, least: int) -> Way:
        """The plan's way, or at once the whole picture where a rough bound is small enough."""
        if plan.network_size is not None and self._ways.prefers_whole(plan.image_size):
            rough = self._bound(*plan.image_size, plan.network_size, batch=plan.batch)
            rough += sum(_around(plan, pictures)) + self._beyond(plan)
            if rough <= _SURELY_FITS * least:
                return Way(kind="whole", memory=rough)
        return plan.way

    def _enlarger(
        self, plan: Plan, way: Way, watch: Watch, notify: Callable[[str], None]
    ) -> Enlarger | None:
        if plan.network_size is None:
            return None
        return Enlarger(
            self._network,
            self._run,
            device=self.device,
            precision=self.precision,
            plan=plan,
            way=way,
            ensemble=self._ensemble,
            watch=watch,
            notify=notify,
        )


def _around(plan: Plan, pictures: int) -> tuple[int, int]:
    """Bytes of the pictures as floats before the network, and of all results after it."""
    made = plan.network_size or plan.image_size
    # In the filter of another size float64; else float32 once more, and the samples.
    each = 48 if made != plan.size else 18
    results = 12 * made[0] * made[1] + each * plan.size[0] * plan.size[1]
    return 12 * pictures * plan.image_size[0] * plan.image_size[1], pictures * results


@functools.cache
def _budget_of(device: torch.device) -> MemoryBudget:
    """What the sessions of this process share on a device."""
    return MemoryBudget(free=lambda: free_memory(device))


def _warn(text: str) -> None:
    """Warn at the line that called this package."""
    level, frame = 1, sys._getframe()
    inside = ("escsr.", "contextlib")
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(inside):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, UpscaleNotice, stacklevel=level)
