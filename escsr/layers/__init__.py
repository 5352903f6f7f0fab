"""Building blocks of the networks."""

from escsr.layers.attention import ATTENTION_MODES, WindowAttention
from escsr.layers.attention_bias import BIASES, Factorization, Factors, factorize_table
from escsr.layers.bands import Band, Overlap, RowSource
from escsr.layers.conv_attention import (
    ConvAttention,
    DecomposedConvAttention,
    DecomposedLargeKernel,
    LargeKernel,
)
from escsr.layers.coords import make_cells, make_coords
from escsr.layers.derived import Derived
from escsr.layers.ffn import ConvFFN
from escsr.layers.inplace import add, gelu, relu
from escsr.layers.linear import linear
from escsr.layers.norm import LayerNorm2d
from escsr.layers.padding import reflect_pad
from escsr.layers.planning import is_planning, planned_steps, planning

__all__ = [
    "ATTENTION_MODES",
    "BIASES",
    "Band",
    "ConvAttention",
    "ConvFFN",
    "DecomposedConvAttention",
    "DecomposedLargeKernel",
    "Derived",
    "Factorization",
    "Factors",
    "LargeKernel",
    "LayerNorm2d",
    "Overlap",
    "RowSource",
    "WindowAttention",
    "add",
    "factorize_table",
    "gelu",
    "is_planning",
    "linear",
    "make_cells",
    "make_coords",
    "planned_steps",
    "planning",
    "reflect_pad",
    "relu",
]
