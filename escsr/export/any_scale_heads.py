"""Heads for any scale as nodes of a graph."""

from escsr.export.graph import Graph
from escsr.export.layers import convolve
from escsr.export.networks import Request, enlarge_picture, pixel_shuffle, write_head
from escsr.heads import MetaSR


@write_head.register
def _metasr(head: MetaSR, g: Graph, features: str, lq: str, request: Request) -> str:
    """At a whole scale one convolution before a pixel shuffle."""
    assert request.scale is not None
    weight, bias = head.as_convolution(request.scale), None
    x = convolve(g, features, weight, bias, padding=1)
    if head.image_skip is not None:
        skip = enlarge_picture(g, lq, request.scale, head.image_skip, shuffled=False)
        x = g.op("Add", x, skip)
    return pixel_shuffle(g, x, request.scale)
