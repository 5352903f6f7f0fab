"""From a network to a `torch.export` program that was proved."""

import io
import json
import os
from pathlib import Path

import torch
from torch.fx.experimental import _config as shapes

from escsr.export.graphs import Options, make_onnx
from escsr.export.keeping import Exported, describe, keep, scale_of
from escsr.export.proving import TOLERANCES, prove, samples
from escsr.export.targets import window_of
from escsr.export.torch_program import TorchGraph
from escsr.model import SuperResolver

# The longest side; a range must end somewhere.
_LONGEST = 1 << 16


def to_pt2(
    model: SuperResolver | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    scale: int | None = None,
    licence: str | None = None,
) -> Exported:
    """Write a network as a program that PyTorch loads without escsr, and prove it.

    ``torch.export.load(path).module()`` takes (N, 3, H, W), RGB in [0, 1] float32, and gives
    (N, 3, scale · H, scale · W), not clipped; N, H and W are free, from 1. The facts about it are
    the extra file ``escsr.json``, and ``PATH.json`` says how far its results were from the
    network's.

    Args:
        model: A network; or a weight file, or a name of `escsr.list_models`.
        path: The file to write, ending in ``.pt2``.
        scale: The whole scale to make, where the network makes any.
        licence: Of the weights, to be written into the file.

    Returns:
        The file, and how it was proved.

    Raises:
        ValueError: If an argument is impossible, the network cannot be written, or the results
            of the file are too far from the network's.

    Example:
        >>> written = escsr.export.to_pt2("esc_tiny_x4", "esc_tiny_x4.pt2")
        >>> model = torch.export.load("esc_tiny_x4.pt2").module()
    """
    path = Path(path)
    if path.suffix != ".pt2":
        raise ValueError(f"PyTorch loads programs from files that end in .pt2, not {path.name}")
    options = Options(scale=scale, opset=20)
    network, facts = describe(model, options, licence=licence)
    made = scale_of(network, options)
    if made is None:
        raise ValueError("a program makes one scale, and this network any: say which (scale=2, …)")
    facts["scale"] = str(made)
    data = _program(network, options, facts)
    loaded = torch.export.load(io.BytesIO(data)).module()
    proof = prove(
        lambda sample: loaded(sample.lq),
        lambda sample: network(sample.lq, scale=made),
        samples(window_of(network)),
        tolerance=TOLERANCES["fp32"],
        runtime=f"torch {torch.__version__}",
    )
    return keep({path: data}, facts, proof)[0]


def _program(network: SuperResolver, options: Options, facts: dict[str, str]) -> bytes:
    graph = TorchGraph(make_onnx(network, options, facts)).eval()
    free = {
        axis: torch.export.Dim(name, min=1, max=_LONGEST)
        for axis, name in ((0, "batch"), (2, "height"), (3, "width"))
    }
    example = torch.rand(2, 3, 20, 33)
    # A side of one pixel, or one window, is not to be a case of its own.
    with torch.no_grad(), shapes.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        program = torch.export.export(
            graph,
            (example,),
            dynamic_shapes=(free,),
            strict=False,
            prefer_deferred_runtime_asserts_over_guards=True,
        )
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={"escsr.json": json.dumps(facts)})
    return file.getvalue()
