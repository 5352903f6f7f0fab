"""Heads: from features to the enlarged picture."""

from escsr.heads.base import HEADS, FixedScaleHead, Head, QueryHead
from escsr.heads.dysample import DySample
from escsr.heads.implicit import ImplicitHead
from escsr.heads.liif import LIIF
from escsr.heads.lmf import LMFLIIF, LMFLTE
from escsr.heads.lte import LTE, LTEFast, fast_to_lte, lte_to_fast
from escsr.heads.metasr import MetaSR
from escsr.heads.nearest_conv import NearestConv
from escsr.heads.pixel_shuffle import Conv, PixelShuffle, PixelShuffleMulti

__all__ = [
    "HEADS",
    "LIIF",
    "LMFLIIF",
    "LMFLTE",
    "LTE",
    "Conv",
    "DySample",
    "FixedScaleHead",
    "Head",
    "ImplicitHead",
    "LTEFast",
    "MetaSR",
    "NearestConv",
    "PixelShuffle",
    "PixelShuffleMulti",
    "QueryHead",
    "fast_to_lte",
    "lte_to_fast",
]
