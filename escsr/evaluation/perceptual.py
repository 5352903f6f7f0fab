"""pyiqa's figures by their names, loaded only when one is asked for.

pyiqa (https://github.com/chaofengc/IQA-PyTorch) is licensed PolyForm Noncommercial 1.0.0, takes
seconds to import and brings torchvision. Weights of its networks are downloaded by pyiqa itself at
first use; where that is impossible the metric is reported as unavailable, with the reason.
"""

import contextlib
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
import torch

from escsr.devices import pick_device
from escsr.evaluation.catalogue import OWN_METRICS, Array, Metric, Sample
from escsr.names import unknown_name

__all__ = ["PYIQA_LICENCE", "describe_metric", "find_metric", "find_metrics", "list_metrics"]

PYIQA_LICENCE = "metrics by pyiqa: PolyForm Noncommercial 1.0.0, not for commercial use"

_PREFIX = "pyiqa:"
_NOT_INSTALLED = "pyiqa is not installed: pip install 'escsr[metrics]'"
# Figures of a whole set of pictures.
_SETS = ("fid", "sfid", "fid_dinov2", "inception_score")
# For these pyiqa needs more than a picture, or returns more than one value.
_IMPOSSIBLE = {
    "clipscore": "it needs a caption for each picture",
    "fgresq_pair": "it gives a ranking, not a value",
}


def find_metrics(
    names: Sequence[str], *, device: str | torch.device = "cpu"
) -> tuple[list[Metric], dict[str, str]]:
    """Find metrics by their names.

    Args:
        names: Names of our metrics (`OWN_METRICS`) or of pyiqa's; where both have one,
            ``pyiqa:ssim`` means pyiqa's. Capitals and "-" for "_" are accepted ("MS-SSIM").
        device: Where pyiqa's networks run; "auto" is a GPU if there is one.

    Returns:
        The metrics in the order of ``names``, and the unavailable ones: name to reason.

    Raises:
        ValueError: A name is known neither to us nor to the installed pyiqa, or none is given.

    Example:
        >>> find_metrics(["psnr_y"])[0][0].better
        'higher'
    """
    if not names:
        raise ValueError(f"no metric was named; ours are {', '.join(OWN_METRICS)}")
    metrics: dict[str, Metric] = {}
    missing: dict[str, str] = {}
    for name in names:
        short = name.strip().lower()
        own = next((OWN_METRICS[n] for n in _spellings(short) if n in OWN_METRICS), None)
        if own is not None:
            metrics[own.name] = own
            continue
        try:
            metric = _from_pyiqa(short.removeprefix(_PREFIX), device)
            metrics[metric.name] = metric
        except _UnavailableError as error:
            missing[short] = str(error)
    return list(metrics.values()), missing


def find_metric(name: str, *, device: str | torch.device = "cpu") -> Metric:
    """Make a metric by name, ready to be called on pairs of pictures.

    Args:
        name: As for `find_metrics`.
        device: Where a network of pyiqa runs.

    Returns:
        The metric. ``metric(sr, gt, crop=4)`` measures one pair, `Metric.better` says which
        direction is better, and `mean_of_finite` averages over pictures.

    Raises:
        ValueError: If the name is known neither to us nor to the installed pyiqa, or the metric is
            unavailable: pyiqa is missing, or its weights could not be downloaded.

    Example:
        >>> ssim_y = find_metric("ssim_y")
        >>> photo = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
        >>> ssim_y(photo, photo, crop=2)
        1.0
    """
    metrics, unavailable = find_metrics([name], device=device)
    if unavailable:
        raise ValueError(f"the metric {name!r} is unavailable: {unavailable.popitem()[1]}")
    return metrics[0]


def describe_metric(name: str) -> Metric:
    """Describe a metric, without making its network or downloading anything.

    Args:
        name: As for `find_metrics`.

    Returns:
        The metric; if it is pyiqa's, it cannot measure.

    Raises:
        ValueError: If the name is known neither to us nor to the installed pyiqa, or the metric is
            not for single pictures.
    """
    short = name.strip().lower()
    own = next((OWN_METRICS[n] for n in _spellings(short) if n in OWN_METRICS), None)
    if own is not None:
        return own
    try:
        found = _name_in_pyiqa(short.removeprefix(_PREFIX))
    except _UnavailableError as error:
        raise ValueError(f"the metric {name!r} is unavailable: {error}") from error
    if found in _SETS:
        raise ValueError(f"the metric {name!r} describes a set of pictures, not one of them")
    return _described(found)


def list_metrics() -> list[dict[str, str]]:
    """List the available metrics: name, direction, range and needs of each.

    Imports pyiqa if it is installed; no weights are loaded.
    """
    rows = [metric.facts() for metric in OWN_METRICS.values()]
    if util.find_spec("pyiqa") is not None:
        rows += [_described(name).facts() for name in _configs()]
    return rows


class _UnavailableError(Exception):
    """A metric exists but is unavailable here; the text is the reason."""


def _spellings(name: str) -> tuple[str, ...]:
    return name, name.replace("-", "_"), name.replace("_", "-")


def _configs() -> dict[str, dict[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyiqa's own dependencies deprecate each other
        from pyiqa.default_model_configs import DEFAULT_CONFIGS
    return dict(DEFAULT_CONFIGS)


def _described(name: str) -> Metric:
    """A metric of pyiqa before its network is made."""
    config = _configs()[name]
    full = config["metric_mode"] == "FR" or "fid" in name
    options = config["metric_opts"]
    return Metric(
        name=f"{_PREFIX}{name}" if name in OWN_METRICS else name,
        measure=lambda sample: float("nan"),
        better="lower" if config.get("lower_better", False) else "higher",
        range=config.get("score_range", "not stated").replace(", ", " to ") + " (pyiqa)",
        needs="gt" if full else "nothing",
        looks_at="Y as pyiqa takes it" if options.get("test_y_channel") else "RGB",
        source=f"pyiqa {metadata.version('pyiqa')}",
    )


def _name_in_pyiqa(name: str) -> str:
    if util.find_spec("pyiqa") is None:
        raise _UnavailableError(_NOT_INSTALLED)
    configs = _configs()
    found = next((n for n in _spellings(name) if n in configs), None)
    if found is None:
        raise ValueError(unknown_name("metric", name, [*OWN_METRICS, *configs]))
    if found in _IMPOSSIBLE:
        raise _UnavailableError(_IMPOSSIBLE[found])
    return found


def _from_pyiqa(name: str, device: str | torch.device) -> Metric:
    found = _name_in_pyiqa(name)
    network = _network(found, device)
    described = _described(found)
    wanted: dict[str, Any] = {"measure": partial(_measure, network, described.needs == "gt")}
    if found in _SETS:
        wanted = {
            "measure": described.measure,
            "measure_set": partial(_measure_set, network, described.needs == "gt"),
        }
    facts = {f: getattr(described, f) for f in ("name", "better", "range", "needs", "looks_at")}
    return Metric(**facts, **wanted, source=described.source)


def _network(name: str, device: str | torch.device) -> Any:
    import pyiqa

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pyiqa.create_metric(name, device=pick_device(device))
    except Exception as error:  # whatever a foreign constructor or download may raise
        lines = str(error).strip().splitlines() or [""]
        reason = f"pyiqa could not make it: {type(error).__name__}: {lines[0]}"
        raise _UnavailableError(reason) from error


def _measure(network: Callable[..., Any], full: bool, sample: Sample) -> float:
    pictures = [sample.sr, sample.truth()] if full else [sample.sr]
    with _repeatable(), torch.no_grad():
        out = network(*(_tensor(sample.cut(picture)) for picture in pictures))
    return _number(out)


def _measure_set(
    network: Callable[..., Any], full: bool, results: Path, truths: Path | None
) -> float:
    with _repeatable(), torch.no_grad():
        out = network(str(results), str(truths)) if full else network(str(results))
    return _number(out)


def _number(out: Any) -> float:
    if isinstance(out, dict):  # inception_score gives its mean and spread
        out = next(iter(out.values()))
    value = np.asarray(out.detach().cpu() if isinstance(out, torch.Tensor) else out, np.float64)
    if value.size != 1:
        raise ValueError(f"it gives {value.size} numbers, not one")
    if np.isnan(value).any():
        raise ValueError("it gives no number (NaN)")
    return float(value.reshape(()))


def _tensor(image: Array) -> torch.Tensor:
    """(H, W, 3) from 0 to 255 to (1, 3, H, W) float32 in [0, 1]."""
    planes = np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)
    return torch.from_numpy(planes / np.float32(255))


@contextlib.contextmanager
def _repeatable() -> Iterator[None]:
    """Some pyiqa networks use random crops: make them repeatable without touching other draws."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)
