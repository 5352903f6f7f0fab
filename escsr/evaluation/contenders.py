"""The models under evaluation: networks and bicubic, by name, file or object."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from escsr.devices import autocast, evaluating
from escsr.evaluation.catalogue import Array, Rgb
from escsr.evaluation.protocol import Rounding
from escsr.images import from_float, to_float
from escsr.inference import choose_model, estimate_memory, free_memory, pick_device
from escsr.inference.networks import is_compiled
from escsr.model import SuperResolver, unwrapped
from escsr.models import fetch
from escsr.resize import imresize

__all__ = [
    "BICUBIC",
    "Contender",
    "ModelLike",
    "WrongScaleError",
    "make_contender",
    "file_hash",
    "label",
]

BICUBIC = "bicubic"
# Training facts of a weight file that belong next to its figures.
_TRAINING_FACTS = ("recipe", "steps", "batch", "seed", "ema", "data", "licence")
ModelLike = nn.Module | str | os.PathLike[str]


class WrongScaleError(ValueError):
    """A network of one fixed scale was asked for another."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Contender:
    """One model at one scale.

    Attributes:
        name: What it is called in tables.
        network: None for bicubic.
        identity: Hash of the weight file, or of the tensors of a network passed as an object; it
            identifies stored results.
        facts: A description of the model, for reports.
        resized: Whether the result of a fixed-scale network is resized to the requested scale.
    """

    name: str
    network: nn.Module | None = field(repr=False)
    identity: str
    facts: dict[str, Any]
    resized: bool = False

    @property
    def resolver(self) -> SuperResolver | None:
        """The network without PyTorch's wrappers; None if it is not one of ours."""
        return None if self.network is None else _resolver(self.network)

    @property
    def device(self) -> str:
        """Where it runs."""
        first = None if self.network is None else next(self.network.parameters(), None)
        return "cpu" if first is None else str(first.device)

    def enlarge(
        self, lq: Rgb, size: tuple[int, int], *, rounding: Rounding = "uint8", precision: str
    ) -> Array:
        """Enlarge a picture to exactly (H, W).

        Args:
            lq: (h, w, 3) RGB.
            size: (H, W).
            rounding: "uint8" or "none".
            precision: "fp32", "bf16" or "fp16".

        Returns:
            (H, W, 3) from 0 to 255, clipped; uint8, or float64 if not rounded.

        Raises:
            ValueError: The network's result is of another size, or not finite.
        """
        if self.network is None:
            if rounding == "uint8":
                # In float, rounded once at the end: the usual baseline.
                return imresize(lq, size=size, round_between=False)
            return np.clip(imresize(lq.astype(np.float64), size=size), 0, 255)
        planes = self._planes(lq, size, precision)
        rounded = from_float(planes)  # refuses NaN
        if not np.isfinite(planes).all():
            raise ValueError("the network's result is not finite; try precision fp32")
        if rounding == "uint8":
            return rounded
        return np.clip(planes.transpose(1, 2, 0).astype(np.float64), 0, 1) * 255

    def _planes(self, lq: Rgb, size: tuple[int, int], precision: str) -> Array:
        """(3, H, W) float32, nominally in [0, 1]."""
        assert self.network is not None
        made = self.makes(lq.shape[:2], size)
        batch = torch.from_numpy(to_float(lq))[None]
        planes = _run(self.network, batch, made, precision)[0].float().cpu().numpy()
        if planes.shape != (3, *made):
            raise ValueError(f"the network gave {planes.shape}; (3, {made[0]}, {made[1]}) is due")
        if made == size:
            return planes
        # As `escsr.upscale` resizes.
        resized = imresize(np.clip(planes, 0, 1).transpose(1, 2, 0), size=size)
        return np.clip(resized, 0, 1).transpose(2, 0, 1)

    def makes(self, lq_size: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int]:
        """The size that the network itself makes on the way to ``size``."""
        if not self.resized:
            return size
        own = float(getattr(self.resolver or self.network, "scale", 1))
        return round(own * lq_size[0]), round(own * lq_size[1])

    def check_memory(self, lq_size: tuple[int, int], size: tuple[int, int], name: str) -> None:
        """Refuse a picture that would take more memory than is free.

        Args:
            lq_size: (h, w) of the picture.
            size: (H, W) of the result.
            name: Of the picture, for the message.

        Raises:
            MemoryError: With both figures.
        """
        network = self.resolver
        if network is None:
            return
        free = free_memory(torch.device(self.device))
        if free is None:
            return
        needed = estimate_memory(network, *lq_size, self.makes(lq_size, size))
        if needed > free:
            raise MemoryError(
                f"{name} ({lq_size[0]} x {lq_size[1]}) would take about {needed / 2**30:.1f} GiB "
                f"with {self.name}, and {free / 2**30:.1f} GiB are free on {self.device}: leave "
                "the picture or the model out, or use a machine with more memory"
            )


def make_contender(
    model: ModelLike,
    scale: float,
    *,
    name: str | None = None,
    resize: bool = False,
    device: str | torch.device | None = None,
) -> Contender:
    """Make a model ready for a scale.

    Args:
        model: A network, the name or file of one, "default" for the embedded one that suits the
            scale, or "bicubic" for MATLAB's filter.
        scale: The enlargement to evaluate.
        name: What it is called in tables; by default see `label`.
        resize: Let a network of one fixed scale serve another by resizing its result, as
            `escsr.upscale` does.
        device: Where the network runs; None leaves it where it is. A moved network stays there.

    Returns:
        The contender.

    Raises:
        WrongScaleError: A fixed-scale network was asked for another and ``resize`` is off.
        FileNotFoundError: There is no such model.
        ValueError: The file is not a weight file, or there is no such device.
    """
    name = name or label(model)
    if isinstance(model, str) and model == BICUBIC:
        words = {"network": "MATLAB's bicubic, in float, rounded once at the end"}
        return Contender(name=name, network=None, identity=BICUBIC, facts=words)
    network, facts, identity = _open(model)
    own = getattr(_resolver(network) or network, "scale", None)
    resized = own is not None and scale != own
    if own is not None and resized and not resize:
        raise WrongScaleError(_does_not_make(name, own, scale))
    if device is not None:
        network.to(pick_device(device))
    facts |= {
        "scale": "any" if own is None else f"x{own:g}",
        "parameters": sum(p.numel() for p in network.parameters()),
    }
    return Contender(name=name, network=network, identity=identity, facts=facts, resized=resized)


def label(model: ModelLike) -> str:
    """What a model is called in tables: its name, its file without the ending, or its parts."""
    if isinstance(model, nn.Module):
        config = getattr(_resolver(model) or model, "config", None)
        return f"{config.backbone} + {config.head}" if config is not None else type(model).__name__
    return Path(model).stem if Path(model).suffix else str(model)


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _resolver(network: nn.Module) -> SuperResolver | None:
    try:
        return unwrapped(network)
    except TypeError:  # any module that enlarges may be evaluated
        return None


def _open(model: ModelLike) -> tuple[nn.Module, dict[str, Any], str]:
    """The network, its facts and its hash."""
    if isinstance(model, nn.Module):
        network = model if is_compiled(model) else _resolver(model) or model
        return network, {"network": label(model)}, _tensor_hash(_resolver(model) or model)
    path = fetch(model)
    network = choose_model(model)
    identity = file_hash(path)
    facts = {
        "network": f"{network.config.backbone} + {network.config.head}",
        "file": path.name,
        "sha256": identity,
        "trained": network.trained,
    }
    known = [f"{key} {network.facts[key]}" for key in _TRAINING_FACTS if key in network.facts]
    if known:
        facts["training"] = ", ".join(known)
    return network, facts, identity


def _tensor_hash(network: nn.Module) -> str:
    digest = hashlib.sha256(str(network).encode())
    for key, value in sorted(network.state_dict().items()):
        # Through float64: NumPy has no bfloat16, and every narrower number is kept.
        numbers = value.detach().cpu()
        wide = numbers.double() if numbers.is_floating_point() else numbers
        digest.update(key.encode())
        digest.update(str(numbers.dtype).encode())
        digest.update(np.ascontiguousarray(wide.numpy()).tobytes())
    return digest.hexdigest()


def _does_not_make(name: str, own: float, scale: float) -> str:
    return (
        f"{name} makes x{own:g} only, not x{scale:g}: evaluate it at scale {own:g}, or ask for "
        "its result to be resized as escsr upscale does (resize=True, --resize)"
    )


def _run(
    network: nn.Module, lq: torch.Tensor, size: tuple[int, int], precision: str
) -> torch.Tensor:
    """(1, 3, h, w) to (1, 3, H, W); the mode of the network is put back."""
    first = next(network.parameters(), None)
    place = torch.device("cpu") if first is None else first.device
    with evaluating(network), autocast(place, precision):
        result: torch.Tensor = network(lq.to(place), size=size)
        return result
