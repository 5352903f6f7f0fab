"""Whole networks as graphs."""

from dataclasses import dataclass, replace

import onnx
import torch

from escsr.export import fixed_heads  # noqa: F401  (registers itself)
from escsr.export.any_scale_heads import write_at
from escsr.export.frame import Frame
from escsr.export.graph import FLOAT, HALF, INT, Graph
from escsr.export.networks import Request, write_backbone, write_head
from escsr.export.targets import TARGETS, Target, window_of
from escsr.heads import ImplicitHead
from escsr.model import SuperResolver

OPSETS = range(17, 26)
"""Versions of the ONNX operators that files can be written in.

17 is the first with layer normalisation as one operator, so most programs can run it; it is the
default.
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options for writing a network.

    Attributes:
        target: The program it is for.
        scale: The whole scale to make; None: the network's own, or any size at run time.
        image_size: (H, W), if all pictures have one size.
        opset: Version of the operators, of `OPSETS`.
        half: Compute in float16.
    """

    target: Target = TARGETS["generic"]
    scale: int | None = None
    image_size: tuple[int, int] | None = None
    opset: int = OPSETS.start
    half: bool = False

    @property
    def batch(self) -> int | str:
        """Pictures at once."""
        return "batch" if self.target.free_batch else 1


def make_onnx(model: SuperResolver, options: Options, facts: dict[str, str]) -> onnx.ModelProto:
    """Write a network as one graph.

    Args:
        model: The network.
        options: The options.
        facts: Facts to store in the file.

    Raises:
        ValueError: If the network cannot be written with these options.
    """
    g = Graph(opset=options.opset, half=options.half, joint_means=options.target.joint_means)
    lq, frame = _picture(g, model, options)
    out: list[int | str] = ["height_out", "width_out"]
    size = None
    scale = model.scale if options.scale is None else options.scale
    if scale is None:
        asked = g.input("size", [2], INT)
        size = (g.op("Gather", asked, g.ints(0)), g.op("Gather", asked, g.ints(1)))
    elif options.image_size is not None:
        out = [int(scale) * side for side in options.image_size]
    request = Request(frame, model.backbone.stride, options.scale, size)
    with torch.no_grad():
        x = _to_range_of_head(g, model, lq, options)
        features = write_backbone(model.backbone, g, x, frame)
        sr = _to_unit_range(g, model, write_head(model.head, g, features, x, request))
    g.output(sr, "output", [options.batch, 3, *out])
    return g.model("escsr", facts)


def make_parts(
    model: SuperResolver, options: Options, facts: dict[str, str]
) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Write a network as two graphs: one that encodes a picture once, one that answers at points.

    The first makes ``features`` of ``input``. The second makes ``output`` (N, Q, 3) of
    ``features``, ``input``, ``coords`` (N, Q, 2) and ``cells`` (N, Q, 2), as
    `SuperResolver.query`.

    Args:
        model: A network whose head answers at points.
        options: The options.
        facts: Facts to store in the files.

    Raises:
        ValueError: If the network cannot answer at points, or cannot be written.
    """
    head = model.head
    if not isinstance(head, ImplicitHead):
        raise ValueError(
            f"head {model.config.head!r} answers at no points, so it cannot be written in two "
            "parts; write it as one file"
        )
    first = Graph(opset=options.opset, half=options.half)
    lq, frame = _picture(first, model, options)
    with torch.no_grad():
        x = _to_range_of_head(first, model, lq, options)
        features = first.cast(write_backbone(model.backbone, first, x, frame), FLOAT)
    channels = model.backbone.out_channels
    first.output(features, "features", [options.batch, channels, "rows", "columns"])
    second = Graph(opset=options.opset, half=options.half)
    features = second.input("features", [options.batch, channels, "rows", "columns"])
    lq, _ = _picture(second, model, options)
    coords = second.input("coords", [options.batch, "queries", 2])
    cells = second.input("cells", [options.batch, "queries", 2])
    with torch.no_grad():
        x = _to_range_of_head(second, model, lq, replace(options, half=False))
        rgb = _to_unit_range(second, model, write_at(head, second, features, x, coords, cells))
    second.output(rgb, "output", [options.batch, "queries", 3])
    return first.model("escsr encode", facts), second.model("escsr at", facts)


def _picture(g: Graph, model: SuperResolver, options: Options) -> tuple[str, Frame]:
    """The input picture and its sides."""
    size = options.image_size
    lq = g.input("input", [options.batch, 3, *(("height", "width") if size is None else size)])
    if size is not None:
        window = window_of(model)
        return lq, Frame(*size, 1 if any(side % window for side in size) else window)
    if options.target.whole_windows:
        return lq, Frame(None, None, window_of(model))
    return lq, Frame(g.length(lq, 2), g.length(lq, 3))


def _to_range_of_head(g: Graph, model: SuperResolver, lq: str, options: Options) -> str:
    """See `SuperResolver`; in the type that the network computes in."""
    low, high = model.head.pixel_range
    if (low, high) != (0, 1):
        lq = g.op("Add", g.op("Mul", lq, g.number(high - low, lq)), g.number(low, lq))
    return g.cast(lq, HALF if options.half else FLOAT)


def _to_unit_range(g: Graph, model: SuperResolver, sr: str) -> str:
    """See `SuperResolver`; float32."""
    sr = g.cast(sr, FLOAT)
    low, high = model.head.pixel_range
    if (low, high) == (0, 1):
        return sr
    return g.op("Div", g.op("Sub", sr, g.number(low, sr)), g.number(high - low, sr))
