"""Choosing an embedded network for a picture: `model="auto"`, and hints for "default"."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from escsr.images import Picture
from escsr.inference.damage import measure_damage
from escsr.inference.networks import choose_model
from escsr.inference.onnx_engine import OnnxEngine, is_onnx
from escsr.model import SuperResolver
from escsr.models import ALIASES, embedded

AUTO = "auto"
CLEAN, DAMAGED = "default", "real"

# Pixels from which a picture is examined for hints.
_WORTH_A_LOOK = 1 << 13

Model = str | os.PathLike[str] | SuperResolver


def is_auto(model: Model) -> bool:
    """Whether to choose a network for each picture; an existing file "auto" is taken as a file."""
    return isinstance(model, str) and model == AUTO and not Path(AUTO).is_file()


def is_for_clean(model: Model) -> bool:
    """Whether a model is the embedded one for clean pictures, by its name or its file."""
    if not isinstance(model, str | os.PathLike):
        return False
    names = (CLEAN, ALIASES[CLEAN])
    return os.fspath(model) in names or Path(model) == embedded()[ALIASES[CLEAN]]


def scale_of(model: Model) -> float | None:
    """The fixed scale of a model, or None if it supports any."""
    if is_onnx(model):
        return OnnxEngine.of_file(model).scale
    return choose_model(CLEAN if is_auto(model) else model).scale


def suits(pictures: Sequence[Picture], notify: Callable[[str], None]) -> str:
    """Choose the network for pictures that are processed together, and notify with the reason.

    Args:
        pictures: At least one. For several, `DAMAGED` is chosen if most of them are damaged.
        notify: Called with the notice.
    """
    reasons = [measure_damage(picture).reasons for picture in pictures]
    damaged = [reason for reason in reasons if reason]
    name = DAMAGED if 2 * len(damaged) > len(pictures) else CLEAN
    why = " and ".join(damaged[0]) if name == DAMAGED else "no damage found"
    if len(pictures) > 1:
        why = f"{len(damaged)} of {len(pictures)} pictures are damaged"
    notify(f"auto chose {name!r}: {why}")
    return name


def hint(picture: Picture, notify: Callable[[str], None]) -> None:
    """Suggest a better network if the one for clean pictures would enlarge damage.

    Small pictures are skipped: they show little, and examining them takes a tenth of the call.
    """
    if picture.size[0] * picture.size[1] < _WORTH_A_LOOK:
        return
    reasons = measure_damage(picture).reasons
    if reasons:
        notify(
            f"the picture is damaged ({' and '.join(reasons)}), and {CLEAN!r} enlarges damage: "
            f"try the model {DAMAGED!r}, or {AUTO!r}, which chooses"
        )
