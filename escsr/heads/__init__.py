"""Heads: from features to the enlarged picture."""

from escsr.heads.base import HEADS, FixedScaleHead, Head
from escsr.heads.dysample import DySample
from escsr.heads.nearest_conv import NearestConv
from escsr.heads.pixel_shuffle import Conv, PixelShuffle, PixelShuffleMulti

__all__ = [
    "HEADS",
    "Conv",
    "DySample",
    "FixedScaleHead",
    "Head",
    "NearestConv",
    "PixelShuffle",
    "PixelShuffleMulti",
]
