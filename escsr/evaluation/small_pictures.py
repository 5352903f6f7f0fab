"""Low-quality pictures made on the fly where no files are given."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from escsr.evaluation.catalogue import Rgb
from escsr.evaluation.protocol import Resizer
from escsr.images import from_float, to_float
from escsr.resize import Border, imresize

if TYPE_CHECKING:
    from escsr.degradations import Pipeline

__all__ = ["Degraded", "MakeLq", "Shrunk"]

MakeLq = Callable[[Rgb, tuple[int, int], str], Rgb]
"""(ground truth (H, W, 3), size (h, w), name of the picture) -> low-quality picture."""


@dataclass(frozen=True, kw_only=True)
class Shrunk:
    """Bicubic reduction.

    Attributes:
        resizer: Which bicubic, see `escsr.evaluation.protocol.Resizer`.

    Example:
        >>> Shrunk(resizer="matlab")(np.zeros((8, 8, 3), np.uint8), (4, 4), "a").shape
        (4, 4, 3)
    """

    resizer: Resizer

    def __call__(self, gt: Rgb, size: tuple[int, int], name: str) -> Rgb:
        """Shrink a picture to (h, w)."""
        if self.resizer == "pillow":
            return _by_pillow(gt, size)
        border: Border = "clamp" if self.resizer == "matlab_clamp" else "symmetric"
        return imresize(gt, size=size, border=border)

    def __str__(self) -> str:
        """What reports say."""
        filters = {
            "matlab_clamp": "MATLAB bicubic, clamp border, uint8",
            "matlab": "MATLAB bicubic, symmetric border, uint8",
            "pillow": "Pillow bicubic, uint8",
        }
        return f"made by {filters[self.resizer]}"


@dataclass(frozen=True, kw_only=True)
class Degraded:
    """Damage drawn from a preset of `escsr.degradations`.

    Each picture has its own draws, from the seed and its name: they do not depend on the other
    pictures, their order or the models.

    Attributes:
        preset: Name of the preset.
        seed: Seed of all draws, at least 0.
    """

    preset: str
    seed: int = 0

    def __post_init__(self) -> None:
        """Look up the preset now rather than in the middle of a run."""
        if self.seed < 0:
            raise ValueError(f"a seed must be a whole number of at least 0, not {self.seed}")
        self._pipeline()

    def __call__(self, gt: Rgb, size: tuple[int, int], name: str) -> Rgb:
        """Damage and shrink a picture to (h, w)."""
        rng = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
        pipeline = self._pipeline()
        draw = pipeline.draw(rng, size=(gt.shape[0], gt.shape[1]), lq_size=size)
        batch = torch.from_numpy(to_float(gt))[None]
        with torch.inference_mode():
            lq = pipeline.apply(batch, [draw])[0]
        return from_float(lq.numpy())

    def _pipeline(self) -> "Pipeline":
        from escsr.degradations import preset  # needed only to degrade

        return preset(self.preset)

    def __str__(self) -> str:
        """What reports say."""
        return f"made by degradation preset {self.preset!r}, seed {self.seed}, uint8"


def _by_pillow(gt: Rgb, size: tuple[int, int]) -> Rgb:
    try:
        from PIL import Image
    except ImportError:
        raise ValueError(
            "the resizer 'pillow' needs Pillow (pip install pillow); MATLAB's filter, "
            "--resizer matlab, gives the same mean within 0.005 dB"
        ) from None
    small = Image.fromarray(gt).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.asarray(small)
