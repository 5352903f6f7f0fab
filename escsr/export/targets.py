"""Programs that files are made for, and their requirements."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from escsr.layers import WindowAttention
from escsr.model import SuperResolver
from escsr.names import unknown_name


@dataclass(frozen=True, kw_only=True)
class Target:
    """The requirements of a program.

    Attributes:
        name: Name of the program, or "generic".
        free_batch: Whether it passes several pictures at once.
        whole_windows: Whether it determines shapes before it runs, so that nothing in the graph may
            compute one: the sides of pictures are then whole windows, and the program does the
            padding.
        tile: The sides of all pictures, if they are fixed; a requested size takes precedence.
        joint_means: Whether a mean along several sides must be one operator.
    """

    name: str
    free_batch: bool = True
    whole_windows: bool = False
    tile: tuple[int, int] | None = None
    joint_means: bool = False


TARGETS = {
    target.name: target
    for target in (
        Target(name="generic"),
        Target(name="chainner", whole_windows=True),
        Target(name="vs-mlrt", free_batch=False),
        Target(name="tensorrt", free_batch=False),
        Target(name="openvino", free_batch=False),
        Target(name="web", free_batch=False, tile=(256, 256)),
        Target(name="darktable", free_batch=False, tile=(256, 256)),
    )
}
"""Programs by name; "generic" is any that follows the ONNX standard."""


def find_target(name: str) -> Target:
    """Find a program by name.

    Raises:
        ValueError: If the name is unknown.
    """
    if name not in TARGETS:
        raise ValueError(unknown_name("target", name, list(TARGETS)))
    return TARGETS[name]


def window_of(model: SuperResolver) -> int:
    """The number of pixels that sides must be multiples of for whole windows."""
    windows = {m.window_size for m in model.modules() if isinstance(m, WindowAttention)}
    return math.lcm(*windows) * model.backbone.stride


def darktable_files(path: Path, facts: Mapping[str, str]) -> dict[Path, dict[str, object]]:
    """The contents of ``config.json``, which makes a file's folder a model for darktable.

    Args:
        path: Path of the file; darktable reads its scale from its name.
        facts: Facts about it.

    Raises:
        ValueError: If the name is different, or darktable does not support the scale.
    """
    scale = facts["scale"]
    if scale not in ("2", "4"):
        raise ValueError(f"darktable enlarges ×2 and ×4, not ×{scale}: use scale=2 or scale=4")
    if path.name != f"model_x{scale}.onnx":
        raise ValueError(
            f"darktable knows the scale of a file by its name, which must be model_x{scale}.onnx, "
            f"in a folder of the model's own, not {path.name}"
        )
    config = {
        "id": f"upscale-{re.sub('[^a-z0-9]+', '-', facts['name'].lower()).strip('-')}",
        "name": f"upscale {facts['name']}",
        "description": f"{facts['network']}, by escsr {facts['escsr']}; {facts['licence']}",
        "task": "upscale",
        "arch": "generic",
        "backend": "onnx",
        "version": "1.0",
        "tiling": True,
    }
    return {path.with_name("config.json"): config}
