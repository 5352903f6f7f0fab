"""From a network to a verified PyTorch program, plain or compiled."""

import io
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental import _config as shapes

from escsr.export.graphs import Options, make_onnx
from escsr.export.keeping import Exported, describe, keep, scale_of
from escsr.export.proving import TOLERANCES, prove, samples
from escsr.export.targets import Target, window_of
from escsr.export.torch_program import TorchGraph
from escsr.model import SuperResolver

# The longest side; a range must end somewhere.
_LONGEST = 1 << 16


def to_pt2(
    model: SuperResolver | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    scale: int | None = None,
    compiled_for: tuple[int, int] | None = None,
    licence: str | None = None,
) -> Exported:
    """Write a network as a program that PyTorch loads without escsr, and verify it.

    ``torch.export.load(path).module()`` takes (N, 3, H, W), RGB in [0, 1] float32, and gives
    (N, 3, scale · H, scale · W), not clipped; N, H and W are free, from 1. Its metadata is in the
    extra file ``escsr.json``, and ``PATH.json`` lists the differences between its results and the
    network's.

    With ``compiled_for`` the program is compiled by AOTInductor, for one picture of one size and
    for a processor like this one. ``torch._inductor.aoti_load_package(path)`` loads it.

    Args:
        model: A network; or a weight file, or a name of `escsr.list_models`.
        path: The file to write, ending in ``.pt2``.
        scale: The whole scale to make, if the network makes any.
        compiled_for: (H, W) of all pictures, to compile it; needs a C++ compiler and several
            minutes.
        licence: Licence of the weights, to be stored in the file.

    Returns:
        The file and its verification.

    Raises:
        ValueError: If an argument is impossible, the network cannot be written, there is no
            compiler, or the results of the file are too far from the network's.

    Example:
        >>> written = escsr.export.to_pt2("esc_tiny_x4", "esc_tiny_x4.pt2")
        >>> model = torch.export.load("esc_tiny_x4.pt2").module()
    """
    path = Path(path)
    if path.suffix != ".pt2":
        raise ValueError(f"PyTorch loads programs from files that end in .pt2, not {path.name}")
    if compiled_for is not None and any(s != int(s) or s < 1 for s in compiled_for):
        raise ValueError(f"compiled_for is (H, W) in whole pixels from 1, not {compiled_for!r}")
    target = Target(name="generic" if compiled_for is None else "aoti")
    options = Options(target=target, scale=scale, image_size=compiled_for, opset=20)
    network, facts = describe(model, options, licence=licence)
    if network.scale is None and scale is None:
        raise ValueError(
            "a program has one scale, and this network supports any: choose one (scale=2, …)"
        )
    made = scale_of(network, options)
    assert made is not None
    facts["scale"] = str(made)
    if compiled_for is None:
        data, run = _program(network, options, facts)
    else:
        data, run = _compiled(network, made, compiled_for, facts)
    proof = prove(
        lambda sample: run(sample.lq),
        lambda sample: network(sample.lq, scale=made),
        samples(window_of(network), tile=compiled_for),
        tolerance=TOLERANCES["fp32"],
        runtime=f"torch {torch.__version__}",
    )
    return keep({path: data}, facts, proof)[0]


def _program(
    network: SuperResolver, options: Options, facts: dict[str, str]
) -> tuple[bytes, Callable[[Tensor], Any]]:
    """The contents of a file for any size, and a function that runs it."""
    graph = TorchGraph(make_onnx(network, options, facts)).eval()
    free = {
        axis: torch.export.Dim(name, min=1, max=_LONGEST)
        for axis, name in ((0, "batch"), (2, "height"), (3, "width"))
    }
    example = torch.rand(2, 3, 20, 33)
    # A side of one pixel, or one window, must not become a special case.
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
    data = file.getvalue()
    return data, torch.export.load(io.BytesIO(data)).module()


class _AtScale(nn.Module):
    """A network with its scale fixed."""

    def __init__(self, network: SuperResolver, scale: int) -> None:
        super().__init__()
        self.network, self.scale = network, scale

    def forward(self, lq: Tensor) -> Tensor:
        sr: Tensor = self.network(lq, scale=self.scale)
        return sr


def _compiled(
    network: SuperResolver, scale: int, size: tuple[int, int], facts: dict[str, str]
) -> tuple[bytes, Callable[[Tensor], Any]]:
    """The contents of a file for one size, and a function that runs it.

    The network itself is compiled: at one size it makes no decisions, and it is faster than its
    graph. (With free sides AOTInductor's results of the graph were wrong, in PyTorch 2.14.)
    """
    from torch._inductor import aoti_compile_and_package, aoti_load_package
    from torch._inductor.exc import InvalidCxxCompiler

    with torch.no_grad():
        program = torch.export.export(
            _AtScale(network, scale).eval(), (torch.rand(1, 3, *size),), strict=False
        )
    with tempfile.TemporaryDirectory(prefix="escsr-") as folder:
        package = str(Path(folder, "network.pt2"))
        try:
            with torch.no_grad():
                aoti_compile_and_package(
                    program,
                    package_path=package,
                    inductor_configs={"aot_inductor.metadata": facts},
                )
        except InvalidCxxCompiler:
            raise ValueError(
                "AOTInductor needs a C++ compiler, and there is none: install g++, or name one in "
                "the environment variable CXX"
            ) from None
        return Path(package).read_bytes(), aoti_load_package(package)
