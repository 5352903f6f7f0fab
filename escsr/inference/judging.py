"""Which of the embedded networks suits a picture: `model="auto"`, and the hint of "default"."""

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

# Pixels from which a picture is looked at without being asked.
_WORTH_A_LOOK = 1 << 13

Model = str | os.PathLike[str] | SuperResolver


def is_auto(model: Model) -> bool:
    """Whether a network is to be chosen for each picture; a file of that name is a file."""
    return isinstance(model, str) and model == AUTO and not Path(AUTO).is_file()


def is_for_clean(model: Model) -> bool:
    """Whether a model is the embedded one for clean pictures, by its name or its file."""
    if not isinstance(model, str | os.PathLike):
        return False
    names = (CLEAN, ALIASES[CLEAN])
    return os.fspath(model) in names or Path(model) == embedded()[ALIASES[CLEAN]]


def scale_of(model: Model) -> float | None:
    """The one scale that a model makes, or None if it makes any."""
    if is_onnx(model):
        return OnnxEngine.of_file(model).scale
    return choose_model(CLEAN if is_auto(model) else model).scale


def suits(pictures: Sequence[Picture], notify: Callable[[str], None]) -> str:
    """The name of the network for some pictures that go through one together; told, with why.

    Args:
        pictures: At least one. Of several the network is `DAMAGED` if most of them are damaged.
        notify: Is told.
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
    """Tell those who enlarge damage by the network for clean pictures what would mend it.

    Small pictures pass: little can be told of them, and looking would take a tenth of the call.
    """
    if picture.size[0] * picture.size[1] < _WORTH_A_LOOK:
        return
    reasons = measure_damage(picture).reasons
    if reasons:
        notify(
            f"the picture is damaged ({' and '.join(reasons)}), and {CLEAN!r} enlarges damage: "
            f"try the model {DAMAGED!r}, or {AUTO!r}, which chooses"
        )
