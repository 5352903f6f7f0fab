"""Backbones: from a picture to features."""

from escsr.backbones.base import BACKBONES, Backbone
from escsr.backbones.esc import ESC, ESCFP, ESCReal

__all__ = ["BACKBONES", "ESC", "ESCFP", "Backbone", "ESCReal"]
