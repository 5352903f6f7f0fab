"""`Upscaler`: a network prepared once, for many pictures and many threads."""

import functools
import io
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, Unpack, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from escsr.devices import pick_device, pick_precision, refuse_after_fork, settle_precision
from escsr.images import Picture, PictureSource, PixelFile
from escsr.inference.compiling import CompiledNetwork, should_compile
from escsr.inference.enlarging import Enlarger
from escsr.inference.judging import CLEAN, DAMAGED, hint, is_auto, is_for_clean, suits
from escsr.inference.kinds import as_picture, check_tensor, like, to_picture
from escsr.inference.memory import (
    Memory,
    MemoryBudget,
)
from escsr.inference.networks import choose_model, is_compiled, is_on, private_network
from escsr.inference.onnx_engine import Engine, OnnxEngine, is_onnx
from escsr.inference.options import CallSettings, SessionOptions, SessionSettings
from escsr.inference.pictures import is_uniform, upscale_batch, upscale_file, upscale_picture
from escsr.inference.planning import Planner
from escsr.inference.plans import Plan, network_size, request_of
from escsr.inference.sizes import SizeRequest
from escsr.inference.watching import Cancel, Watch, make_watchable, watching
from escsr.inference.ways import Tiles, Way
from escsr.model import SuperResolver

if TYPE_CHECKING:
    from PIL.Image import Image


class UpscaleNotice(UserWarning):
    """A notice about an enlargement, such as a resized result."""


Sample = TypeVar("Sample", bound=np.generic)


class Upscaler:
    """A session: a network prepared once, then called for many pictures, from any thread.

    It holds a copy of the network, in evaluation mode, on its device; a network that you pass is
    not changed or moved. Calls share nothing but that copy, so several threads may call one
    session at once; progress, cancellation and notices belong to each call. A call reserves its
    memory first: calls that do not fit together wait for each other.

    Args:
        model: "default", "auto" (examines each picture and chooses "default" or "real", with
            a notice; the tensors of a batch go through one network), a name of
            `escsr.list_models` or `escsr.models.published` (downloaded on first use), a file,
            or a network (with its current weights; a network from ``torch.compile`` is called
            unchanged).
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps" …
        precision: "fp32", "bf16" or "fp16" for the network's arithmetic; "auto" is bf16 on GPUs
            that support it. What overflows in half precision is computed again in fp32.
        memory: Limit for all calls of the session together, in bytes or as "2GB", "512MiB", or
            a function that returns how many bytes are left while no call runs; None uses what is
            free. Sessions of one process share the free memory of a device.
        tiles: How pictures that do not fit are computed. "exact" uses bands of rows, with the same
            result as for the whole picture. "fast" cuts every picture above 512 pixels into
            overlapping tiles: slightly faster than bands, with a slightly different result
            (docs, "Large pictures"). Backbones without stages support only tiles.
        ensemble: Average over the picture's eight flips and rotations: slightly better, and
            eight times slower.
        engine: "torch", or "onnx": ONNX Runtime computes pictures that fit into memory, and PyTorch
            the others in bands or tiles. A ``.onnx`` file of `escsr.export.to_onnx` as the model
            implies it; such a file makes what does not fit in tiles, at whole scales. Progress of
            whole pictures then comes per pass.
        providers: Execution providers of ONNX Runtime, in order of preference: "cuda",
            "directml", "coreml", "openvino", "tensorrt", "cpu". None uses the first
            of CUDA, DirectML and the CPU that is installed.
        compile: Whether whole pictures go through a program of `torch.compile`, which is made at
            the first call, in a minute or so, for all sizes, and kept on disk by PyTorch. Where
            that fails, a notice reports it and the network runs uncompiled. None uses whatever
            was measured to be faster on the device (`escsr.choices`).

    Raises:
        ValueError: If the device, the precision, the tiles, the engine or the amount of memory is
            impossible.
        FileNotFoundError: If there is no such model.
        TypeError: If ``model`` is not a network.

    Example:
        >>> up = escsr.Upscaler()
        >>> plan = up.plan((1080, 1920), scale=2)
        >>> plan.size, plan.memory < 8 << 30
        ((2160, 3840), True)
        >>> results = [up(path, scale=2) for path in paths]
    """

    _for_damaged: "Upscaler | None" = None  # for "auto", beside the one for clean pictures
    _hints = False  # whether to give hints about damage

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
        compile: bool | None = None,
    ) -> None:
        options = SessionOptions(
            device, precision, memory, tiles, ensemble, engine, providers, compile
        )
        auto = is_auto(model)
        self._set_up(CLEAN if auto else model, options)
        if auto:
            self._for_damaged = Upscaler.__new__(Upscaler)
            self._for_damaged._set_up(DAMAGED, options, budget=self._budget)
        self._hints = is_for_clean(model)

    @classmethod
    def sharing(cls, network: SuperResolver, **options: Unpack[SessionSettings]) -> "Upscaler":
        """A session for one call: created in a millisecond or two, as it copies no weights.

        Args:
            network: Any network; its weights are used in place if they are on the device.
            **options: Options of the class.
        """
        session = cls.__new__(cls)
        session._set_up(network, SessionOptions(**options), share=True)
        return session

    def _set_up(
        self,
        model: str | os.PathLike[str] | SuperResolver,
        options: SessionOptions,
        *,
        share: bool = False,
        budget: MemoryBudget | None = None,
    ) -> None:
        engine = options.engine_for(model)
        self.device = pick_device("cpu" if engine == "onnx" else options.device)
        self.precision = settle_precision(options.precision, self.device)
        dtype = pick_precision(self.precision)
        self._engine = OnnxEngine.of_file(model, options.providers) if is_onnx(model) else None
        given = choose_model(model) if self._engine is None else self._engine.network
        network = private_network(given, self.device, share=share)
        compiled = None
        if engine == "torch" and should_compile(options.compile, self.device, dtype):
            compiled = CompiledNetwork(network, dtype)  # before hooks are added
        self._layers = make_watchable(network)
        self._network = network
        self._run: Callable[..., Tensor] = network
        if is_compiled(model) and is_on(given, self.device):
            self._run = model  # compiled already; compiling a copy takes longer than most calls
        elif compiled is not None:
            self._run = compiled
        if engine == "onnx" and self._engine is None:
            self._engine = OnnxEngine.of_network(
                network, precision=self.precision, providers=options.providers
            )
        self._run = self._engine or self._run
        self._ensemble = options.ensemble
        self._budget = options.budget() if budget is None else budget
        self._planner = Planner(
            network,
            device=self.device,
            dtype=dtype,
            tiles=options.tiles,
            ensemble=options.ensemble,
            engine=self._engine,
            banded=self._run is network,
            budget=self._budget,
        )

    @property
    def scale(self) -> float | None:
        """The scale of a network of one fixed scale, or None if it supports any."""
        return self._planner.scale

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
        """Plan for pictures of one size; the plan is reused for that size.

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
            The plan; its ``way`` and ``memory`` are computed on first use.

        Raises:
            ValueError: If the request is impossible.
        """
        request = SizeRequest(
            scale=scale, size=size, width=width, height=height, min_side=min_side, max_side=max_side
        )
        return self._planner.plan(image_size, request, batch=batch, alpha=alpha, depth=depth)

    # ------------------------------------------------------------------ calls

    @overload
    def __call__(
        self, image: str | os.PathLike[str], **options: Unpack[CallSettings]
    ) -> Picture: ...
    @overload
    def __call__(self, image: PixelFile, **options: Unpack[CallSettings]) -> PixelFile: ...
    @overload
    def __call__(self, image: Picture, **options: Unpack[CallSettings]) -> Picture: ...
    @overload
    def __call__(
        self, image: NDArray[Sample], **options: Unpack[CallSettings]
    ) -> NDArray[Sample]: ...
    @overload
    def __call__(self, image: Tensor, **options: Unpack[CallSettings]) -> Tensor: ...
    @overload
    def __call__(self, image: bytes, **options: Unpack[CallSettings]) -> bytes: ...
    @overload
    def __call__(self, image: BinaryIO, **options: Unpack[CallSettings]) -> io.BytesIO: ...
    @overload
    def __call__(self, image: "Image", **options: Unpack[CallSettings]) -> "Image": ...
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
        """Enlarge a picture to exactly the requested size; see `upscale` for pictures and sizes.

        Args:
            image: See `upscale`.
            scale: See `upscale`; likewise the other ways to give a size.
            size: See `upscale`.
            width: See `upscale`.
            height: See `upscale`.
            min_side: See `upscale`.
            max_side: See `upscale`.
            progress: Called with the finished share of the work, from 0 to 1.
            cancel: A callable or a `threading.Event`, checked between layers: once it is true or
                set, the call ends with `Cancelled`.
            notify: Called with each notice; by default notices are warnings (`UpscaleNotice`).

        Returns:
            The same kind as ``image``, see `upscale`.

        Raises:
            Cancelled: If ``cancel`` ends the call.
            ValueError: See `upscale`.
            TypeError: See `upscale`.
            MemoryError: If the estimated memory exceeds what is available; with both figures.
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
        middle = max(file.size[0] // 2 - 128, 0) // 8 * 8  # on the block grid of a JPEG
        rows = file.read(middle, min(middle + 256, file.size[0]))
        call = self._suited(call, [Picture(pixels=np.broadcast_to(rows, (*rows.shape[:2], 3)))])
        with call(file.size, depth=0) as (plan, enlarge):  # the result needs no memory
            return upscale_file(file, plan.size, enlarge)

    def _suited(
        self, call: functools.partial[Any], pictures: list[Picture]
    ) -> functools.partial[Any]:
        """For "auto", the call with the network that suits the pictures; otherwise give hints."""
        notify, scale, image_size = call.keywords["notify"], self.scale, pictures[0].size
        wanted = request_of(call.keywords["request"], scale).of(*image_size)
        if network_size(scale, image_size, wanted) is None:
            return call  # reduced only: no network is needed
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
        """Plan, reserve memory, and yield the enlarging function for the block, or None."""
        plan = self._planner.plan(image_size, request, batch=pictures, alpha=alpha, depth=depth)
        for notice in plan.notices:
            notify(notice)
        watch = Watch(layers=self._layers, passes=plan.passes, progress=progress, cancel=cancel)
        watch.check()
        refuse_after_fork()
        with self._planner.reserved(plan, pictures, cancel) as way, watching(watch):
            if way.kind == "tiles" and self._planner.unasked_tiles:
                notify(
                    "the picture does not fit into memory at once, and this model cannot work "
                    "in bands: it is made in overlapping tiles, which differ a little"
                )
            began = time.perf_counter()
            yield plan, self._enlarger(plan, way, watch, notify)
            self._planner.took(plan, time.perf_counter() - began)

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


def _warn(text: str) -> None:
    """Warn at the line that called this package."""
    level, frame = 1, sys._getframe()
    inside = ("escsr.", "contextlib")
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(inside):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, UpscaleNotice, stacklevel=level)
