"""How a metric is measured: everything that affects it, in one named object."""

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from escsr.names import unknown_name

__all__ = [
    "CLASSIC",
    "DIV2K",
    "LIIF",
    "PROTOCOLS",
    "REAL",
    "Alignment",
    "Protocol",
    "Resizer",
    "Rounding",
    "find_protocol",
    "parse_crop",
]

Rounding = Literal["uint8", "none"]
"""How the result is treated before it is measured: rounded half up to 8 bits, or left float."""

Resizer = Literal["matlab_clamp", "matlab", "pillow"]
"""Filter that makes low-quality pictures: MATLAB's bicubic as the benchmarks' files were made
(edge repeated), MATLAB's of today (mirrored), or Pillow's bicubic."""

Alignment = Literal["top_left", "centre", "exact", "whole"]
"""Which part of a slightly too large ground truth is compared. "exact" refuses such pictures.
"whole" makes results of the ground truth's own size, whatever its ratio to the picture on each
axis."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The rules of an evaluation.

    Attributes:
        name: Its name in reports.
        metrics: Names of the metrics that are measured by default.
        rounding: See `Rounding`. The result is clipped to the range of 8 bits in any case.
        crop_scales: Pixels left out on each side, as a multiple of the scale (rounded up).
        crop_pixels: Further pixels left out on each side.
        resizer: What makes the low-quality pictures where none are given.
        alignment: See `Alignment`.

    Raises:
        ValueError: An unknown value or a negative crop.

    Example:
        >>> CLASSIC.crop(4), DIV2K.crop(4), CLASSIC.crop(2.5)
        (4, 10, 3)
    """

    name: str
    metrics: tuple[str, ...]
    rounding: Rounding = "uint8"
    crop_scales: float = 1
    crop_pixels: int = 0
    resizer: Resizer = "matlab_clamp"
    alignment: Alignment = "top_left"

    def __post_init__(self) -> None:
        """Check the values."""
        for field, words in (
            ("rounding", Rounding),
            ("resizer", Resizer),
            ("alignment", Alignment),
        ):
            value = getattr(self, field)
            if value not in get_args(words):
                raise ValueError(unknown_name(field, str(value), list(get_args(words))))
        if self.crop_scales < 0 or self.crop_pixels < 0:
            raise ValueError(f"a crop cannot be negative, got {self.crop_text}")

    def crop(self, scale: float) -> int:
        """Pixels left out on each side at a scale."""
        return math.ceil(self.crop_scales * scale) + self.crop_pixels

    @property
    def crop_text(self) -> str:
        """The crop as text, e.g. "scale+6"; `parse_crop` reads it."""
        parts = []
        if self.crop_scales:
            parts.append("scale" if self.crop_scales == 1 else f"{self.crop_scales:g}*scale")
        if self.crop_pixels or not parts:
            parts.append(str(self.crop_pixels))
        return "+".join(parts)

    def conditions(self) -> dict[str, str]:
        """Every rule in words, for reports."""
        return {
            "protocol": self.name,
            "crop": f"{self.crop_text} pixels on each side, for all metrics",
            "rounding": {
                "uint8": "sr clipped and rounded half up to uint8",
                "none": "sr clipped, not rounded",
            }[self.rounding],
            "alignment": {
                "top_left": "hr cropped from the top left to the size of sr",
                "centre": "hr cropped from its centre to the size of sr",
                "exact": "hr must be of the size of sr",
            }[self.alignment],
            "coordinates": "ratio of the true sizes on each axis; cells as the head clips them",
        }

    def override(self, **parts: Any) -> "Protocol":
        """A protocol with some rules replaced, and a name that shows it.

        Args:
            parts: Attributes by name; None keeps the present value.

        Returns:
            The protocol itself if nothing differs.
        """
        changed = {k: v for k, v in parts.items() if v is not None and v != getattr(self, k)}
        if not changed:
            return self
        rules = {"crop" if k.startswith("crop_") else k for k in changed}
        name = f"{self.name}, but other {' and '.join(sorted(rules))}"
        return dataclasses.replace(self, name=name, **changed)


CLASSIC = Protocol(name="classic", metrics=("psnr_y", "ssim_y"))
"""Set5, Set14, BSD100, Urban100, Manga109: luma, ``scale`` pixels cropped, uint8.

LQ pictures made on the fly are bit-identical to the distributed ones.
"""

DIV2K = Protocol(name="div2k", metrics=("psnr", "ssim"), crop_pixels=6)
"""DIV2K's validation set as NTIRE and EDSR measured it: RGB, ``scale + 6`` pixels cropped."""

LIIF = Protocol(name="liif", metrics=("psnr_y",), rounding="none", resizer="pillow")
"""Arbitrary scales as LIIF (arXiv 2012.09161) measures the classic benchmarks: luma of the
unrounded result, ``scale`` pixels cropped, LQ of floor(H / scale) pixels by Pillow's bicubic where
no files are given. For its DIV2K figures use the metric ``psnr`` and the crop ``scale+6``."""

REAL = Protocol(
    name="real",
    metrics=(
        *("psnr_y", "ssim_y", "lpips", "dists"),
        *("niqe", "piqe", "musiq", "clipiqa", "colour_shift", "colour_shift_lq"),
    ),
    crop_scales=0,
)
"""Damaged photographs, with or without a ground truth: whole pictures, nothing cropped. Figures
that need a ground truth are left out where there is none."""

PROTOCOLS: Mapping[str, Protocol] = {p.name: p for p in (CLASSIC, DIV2K, LIIF, REAL)}
"""The protocols by name."""


def find_protocol(name: str) -> Protocol:
    """Find a protocol by name.

    Raises:
        ValueError: There is none; the message lists them.

    Example:
        >>> find_protocol("div2k").crop(2)
        8
    """
    if name not in PROTOCOLS:
        raise ValueError(unknown_name("protocol", name, list(PROTOCOLS)))
    return PROTOCOLS[name]


def parse_crop(text: str) -> dict[str, float]:
    """Read a crop as `Protocol.crop_text` writes it.

    Args:
        text: "4", "scale", "scale+6" or "2*scale+6".

    Returns:
        ``crop_scales`` and ``crop_pixels``, arguments of `Protocol`.

    Raises:
        ValueError: Anything else.

    Example:
        >>> parse_crop("scale+6")
        {'crop_scales': 1.0, 'crop_pixels': 6}
    """
    found = re.fullmatch(r"(?:(?:([\d.]+)\*)?(scale))?(?:(?:^|\+)(\d+))?", text.replace(" ", ""))
    if not text.strip() or found is None:
        raise ValueError(f"a crop is written 4, scale, scale+6 or 2*scale+6, not {text!r}")
    factor, word, pixels = found.groups()
    return {
        "crop_scales": float(factor or 1) if word else 0.0,
        "crop_pixels": int(pixels or 0),
    }
