"""Backbones: from a picture to features.

`escsr.backbones.stages` has the tools for a backbone that can run in bands of rows.
"""

from escsr.backbones.base import BACKBONES, Backbone
from escsr.backbones.esc import ESC, ESCFP, ESCReal
from escsr.backbones.stages import Made, Stage

__all__ = ["BACKBONES", "ESC", "ESCFP", "Backbone", "ESCReal", "Made", "Stage"]
