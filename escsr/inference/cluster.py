"""Many files on many machines, through Ray Data (extra ``cluster``)."""

import importlib
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from escsr.images import check_writable, encode_image, read_image
from escsr.inference.judging import is_auto
from escsr.inference.networks import choose_model
from escsr.inference.session import Upscaler
from escsr.inference.uris import read_bytes, write_bytes

Row = dict[str, Any]
"""The outcome for a file: source, target, status ("done" or "failed"), error, notices, sizes."""

_BLOCKS = 1000
"""Most pieces that the files are divided into: a slow file then delays few others."""


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """How a cluster is used.

    Attributes:
        workers: Number of processes, each with its own session; None: one per GPU, or one per
            two CPUs if there are no GPUs.
        gpus: GPUs per worker; None: 1 if the cluster has any.
    """

    workers: int | None = None
    gpus: float | None = None


def upscale_on_cluster(
    files: Sequence[tuple[str, str]],
    *,
    model: Any,
    size: dict[str, Any],
    session: dict[str, Any],
    saving: dict[str, Any],
    cluster: ClusterOptions,
    on_row: Callable[[Row], None],
) -> list[Row]:
    """Enlarge files on the Ray cluster of ``RAY_ADDRESS``, or else on this machine.

    Files that fail are tried once more, possibly by another worker.

    Args:
        files: Paths or URIs of each source and its target; paths must be valid on all machines.
        model: See `escsr.Upscaler`; the network is sent to the workers, which need no file.
        size: Arguments of `escsr.upscale` that give the size.
        session: Further arguments of `escsr.Upscaler`.
        saving: Options of `escsr.images.encode_image`.
        cluster: Number of workers and their GPUs.
        on_row: Called with the outcome for each file.

    Returns:
        One row for each file.

    Raises:
        ModuleNotFoundError: If Ray is not installed.
    """
    ray = _ray()
    network = model if is_auto(model) else choose_model(model)
    arguments = {"network": network, "size": size, "session": session, "saving": saving}
    workers, gpus = _resources(ray, cluster, len(files))
    rows: dict[str, Row] = {}
    waiting = [{"source": source, "target": target} for source, target in files]
    for is_last in (False, True):
        for row in _run(ray, waiting, arguments, workers, gpus):
            rows[row["target"]] = row
            if is_last or row["status"] == "done":
                on_row(row)
        waiting = [
            {"source": source, "target": target}
            for source, target in files
            if rows[target]["status"] == "failed"
        ]
        if not waiting:
            break
    return [rows[target] for _, target in files]


def _ray() -> Any:
    """Ray, connected and quiet."""
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.data")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "Ray Data is not installed: pip install 'escsr[cluster]' (on all machines)"
        ) from None
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if not ray.is_initialized():
        ray.init(logging_level="ERROR", log_to_driver=False, include_dashboard=False)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return ray


def _resources(ray: Any, cluster: ClusterOptions, count: int) -> tuple[int, float]:
    """The number of workers, and of GPUs for each."""
    there = ray.cluster_resources()
    gpus = float(cluster.gpus if cluster.gpus is not None else there.get("GPU", 0) >= 1)
    fitting = int(there.get("GPU", 0) / gpus) if gpus else int(there.get("CPU", 1)) // 2
    return max(1, min(cluster.workers or fitting, count)), gpus


def _run(
    ray: Any, items: list[Row], arguments: dict[str, Any], workers: int, gpus: float
) -> Iterator[Row]:
    data = ray.data.from_items(items, override_num_blocks=min(len(items), _BLOCKS))
    made = data.map(
        Worker,
        fn_constructor_kwargs=arguments,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_gpus=gpus or None,
    )
    yield from made.iter_rows()


class Worker:
    """One process of the cluster: a session that processes one file after another.

    Args:
        network: A network, or "auto".
        size: See `upscale_on_cluster`.
        session: See `upscale_on_cluster`.
        saving: See `upscale_on_cluster`.
    """

    def __init__(
        self,
        network: Any,
        size: dict[str, Any],
        session: dict[str, Any],
        saving: dict[str, Any],
    ) -> None:
        self._session = Upscaler(network, **session)
        self._size, self._saving = size, saving

    def __call__(self, row: Row) -> Row:
        """Make one file; the row reports any error."""
        began = time.monotonic()
        notices: list[str] = []
        about = {"status": "done", "error": "", "height": 0, "width": 0}
        about |= {"new_height": 0, "new_width": 0}
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", UserWarning)
                about |= self._made(row["source"], row["target"], notices.append)
            notices += [str(one.message) for one in caught if issubclass(one.category, UserWarning)]
        except Exception as error:  # must not stop the other files
            about |= {"status": "failed", "error": str(error) or type(error).__name__}
        seconds = round(time.monotonic() - began, 3)
        return {**row, **about, "notices": "\n".join(notices), "seconds": seconds}

    def _made(self, source: str, target: str, notify: Callable[[str], None]) -> Row:
        picture = read_image(read_bytes(source))
        name = PurePosixPath(target)
        plan = self._session.plan(picture.size, **self._size)
        check_writable(name.name, plan.size)  # check the format's limits before the work
        result = self._session(picture, notify=notify, **self._size)
        write_bytes(target, encode_image(result, name.suffix, **self._saving))
        (height, width), (new_height, new_width) = picture.size, result.size
        return {
            "height": height,
            "width": width,
            "new_height": new_height,
            "new_width": new_width,
        }
