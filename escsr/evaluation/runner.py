"""Run a model over a folder and take its figures."""

import os
import platform
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from escsr import models
from escsr.evaluation.pairs import Pair, find_pairs
from escsr.evaluation.protocol import CLASSIC, Protocol, Rgb
from escsr.evaluation.report import Report, Row
from escsr.images import from_float, read_rgb, to_float
from escsr.inference import choose_model, pick_device
from escsr.resize import imresize
from escsr.version import __version__

__all__ = ["Upscale", "bicubic", "evaluate", "model_upscale"]

Upscale = Callable[[Rgb, tuple[int, int]], Rgb]
"""(lq (h, w, 3) uint8, size (H, W)) -> sr (H, W, 3) uint8."""


def evaluate(
    model: nn.Module | str | os.PathLike[str],
    *,
    data: str | os.PathLike[str],
    lq: str | os.PathLike[str] | None = None,
    scale: float | None = None,
    protocol: Protocol = CLASSIC,
    device: str | torch.device | None = None,
    progress: Callable[[Row, int], None] | None = None,
) -> Report:
    """Take the figures of a model on a folder of pictures.

    All pictures are read as 8-bit RGB (gray repeated, transparency ignored). Where the HR picture
    is a little larger than ``scale`` times the LQ one, its top left part is compared.

    Args:
        model: a network, the name or file of one, or "bicubic" for MATLAB's filter.
        data: folder of HR pictures.
        lq: folder of LQ pictures, paired by name (see `find_pairs`); None to make them with
            MATLAB's bicubic filter.
        scale: how much is enlarged; may be left out for a network of one fixed scale.
        protocol: the rules.
        device: where the network runs; None leaves a network where it is. A network that was
            passed as an object is moved there for good.
        progress: called after each picture with its row and the number of pictures.

    Returns:
        Rows in the order of names, means and conditions.

    Raises:
        ValueError: missing, mis-sized or unreadable pictures (all named, before anything is
            computed), no scale, or a scale that the network does not have.
        FileNotFoundError: a folder or model that does not exist.

    Example:
        >>> evaluate("bicubic", data="Set5/HR", scale=4).means["psnr_y"]  # doctest: +SKIP
        28.43...
    """
    network = _network(model, scale)
    scale = _settled_scale(network, scale)
    pairs = find_pairs(data, lq, scale=scale)
    upscale = bicubic if network is None else model_upscale(network, device=device)
    crop = protocol.crop(scale)
    rows = []
    for pair in pairs:
        try:
            row = _row(pair, upscale, protocol, crop)
        except ValueError as error:
            raise ValueError(f"{pair.name}: {error}") from error
        rows.append(row)
        if progress is not None:
            progress(row, len(pairs))
    made = f"made by MATLAB bicubic, {protocol.lq_border} border, uint8"
    conditions: dict[str, str | int | float] = {
        "model": _label(model, scale),
        "data": str(data),
        "lq": made if lq is None else str(lq),
        "images": len(rows),
        "scale": int(scale) if scale == int(scale) else scale,
        "protocol": protocol.name,
        "colour": protocol.colour,
        "crop": crop,
        "rounding": "sr clipped and rounded half up to uint8",
        "alignment": "hr cropped from the top left to the size of sr",
        "device": "cpu" if network is None else str(_device(network)),
        "escsr": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    return Report(rows=tuple(rows), conditions=conditions)


def bicubic(lq: Rgb, size: tuple[int, int]) -> Rgb:
    """Enlarge with MATLAB's filter in float, rounded once at the end: the usual baseline."""
    return imresize(lq, size=size, round_between=False)


def model_upscale(model: nn.Module, *, device: str | torch.device | None = None) -> Upscale:
    """Make an enlarging function of a network, for whole pictures.

    Args:
        model: called as ``model(lq, size=(H, W))``, so that the ratio is that of the true sizes.
            Its train or eval mode is put back after each call.
        device: where to; None leaves it where it is.

    Returns:
        (lq, size) -> sr, clipped and rounded to uint8.
    """
    if device is not None:
        model.to(pick_device(device))

    def upscale(lq: Rgb, size: tuple[int, int]) -> Rgb:
        training = model.training
        model.eval()
        try:
            with torch.inference_mode():
                batch = torch.from_numpy(to_float(lq))[None].to(_device(model))
                planes = model(batch, size=size)[0].float().cpu().numpy()
        finally:
            model.train(training)
        if planes.shape != (3, *size):
            raise ValueError(f"the network gave {planes.shape}; (3, {size[0]}, {size[1]}) is due")
        return from_float(planes)

    return upscale


def _row(pair: Pair, upscale: Upscale, protocol: Protocol, crop: int) -> Row:
    height, width = pair.gt_size
    gt = read_rgb(pair.hr)[:height, :width]
    lq = protocol.make_lq(gt, pair.lq_size) if pair.lq is None else read_rgb(pair.lq)
    sr = upscale(lq, pair.gt_size)
    values = {name: metric(sr, gt, crop) for name, metric in protocol.metrics.items()}
    return Row(name=pair.name, height=height, width=width, values=values)


def _network(model: nn.Module | str | os.PathLike[str], scale: float | None) -> nn.Module | None:
    """The network ("default": the embedded one for the scale), or None for bicubic."""
    if isinstance(model, nn.Module):
        return model
    if model == "bicubic":
        return None
    return choose_model(model, scale)


def _settled_scale(network: nn.Module | None, scale: float | None) -> float:
    own = getattr(network, "scale", None)
    if scale is None:
        if own is None:
            what = "bicubic" if network is None else "this network"
            raise ValueError(f"{what} takes any scale; say which (scale=4, --scale 4)")
        return float(own)
    if own is not None and scale != own:
        raise ValueError(f"the network enlarges by {own:g} only, not by {scale:g}")
    return float(scale)


def _device(network: nn.Module) -> torch.device:
    first = next(network.parameters(), None)
    return torch.device("cpu") if first is None else first.device


def _label(model: nn.Module | str | os.PathLike[str], scale: float) -> str:
    if not isinstance(model, nn.Module):
        return models.default_name(scale) if str(model) == "default" else str(model)
    config = getattr(model, "config", None)
    return f"{config.backbone} + {config.head}" if config is not None else type(model).__name__
