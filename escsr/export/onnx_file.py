"""From a network to an ONNX file."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch

from escsr.build import load
from escsr.export import any_scale_heads, fixed_heads  # noqa: F401  (they register themselves)
from escsr.export.frame import Frame
from escsr.export.graph import FLOAT, HALF, Graph
from escsr.export.networks import Request, write_backbone, write_head
from escsr.export.proving import TOLERANCES, Proof, Sample, prove, samples
from escsr.export.targets import Target, find_target, window_of
from escsr.files import replacing, write_json
from escsr.model import SuperResolver
from escsr.models import embedded, fetch, resolve
from escsr.version import __version__

PathLike = str | os.PathLike[str]

OPSETS = range(17, 26)
"""Versions of the ONNX operators that files can be written in.

17 is the first one with layer normalisation as one operator, and so the one that the most
programs can run; it is what files are written in unless another is asked for.
"""


@dataclass(frozen=True)
class Exported:
    """A file that was written, and how it was proved.

    Attributes:
        path: The file.
        facts: What it says about itself.
        proof: How near it is to the network.
    """

    path: Path
    facts: dict[str, str]
    proof: Proof


def to_onnx(
    model: SuperResolver | PathLike,
    path: PathLike,
    *,
    scale: int | None = None,
    target: str = "generic",
    size: tuple[int, int] | None = None,
    fp16: bool = False,
    opset: int = OPSETS.start,
    simplify: bool = False,
    licence: str | None = None,
    pictures: Sequence[Sample] = (),
) -> Exported:
    """Write a network as an ONNX file, and prove it in ONNX Runtime before it is left behind.

    The file has one input, ``input`` (N, 3, H, W), RGB in [0, 1], and one output, ``output``
    (N, 3, scale · H, scale · W), not clipped, both float32. Padding is in the graph. Beside the
    file, ``PATH.json`` says how far its results were from the network's.

    Args:
        model: A network; or a weight file, or a name of `escsr.list_models`.
        path: The file to write.
        scale: The whole scale to make, where the network makes any.
        target: The program it is for, of `TARGETS`.
        size: (H, W), if all pictures have one size; the file is then a little faster.
        fp16: Compute in float16, where its range is enough, with half as large a file.
        opset: Version of the operators, of `OPSETS`.
        simplify: Let onnxslim shorten the graph.
        licence: Of the weights, to be written into the file.
        pictures: More pictures to prove it by.

    Returns:
        The file, and how it was proved.

    Raises:
        ValueError: If an argument is impossible, the network cannot be written, or the results
            of the file are too far from the network's.

    Example:
        >>> written = escsr.export.to_onnx("esc_tiny_x4", "esc_tiny_x4.onnx")
        >>> written.proof.worst.difference < 1e-4
        True
    """
    made_for = find_target(target)
    network, facts = _network(model)
    made = _scale(network, scale)
    size = made_for.tile if size is None else check_tile(size)
    precision = "fp16" if fp16 else "fp32"
    facts |= {
        **({} if licence is None else {"licence": licence}),
        "scale": str(made),
        "range": "RGB in [0, 1]; results are not clipped",
        "colours": "RGB, as in sRGB files",
        "alignment": _alignment(made_for, size, window_of(network)),
        "target": target,
        "precision": precision,
    }
    proto = make_onnx(
        network, made_for, scale=scale, size=size, opset=check_opset(opset), half=fp16, facts=facts
    )
    if simplify:
        proto = _simplified(proto)
    onnx.checker.check_model(proto, full_check=True)
    data = proto.SerializeToString()
    shown = [
        *samples(
            window_of(network),
            free_batch=made_for.free_batch,
            whole_windows=made_for.whole_windows,
            tile=size,
        ),
        *pictures,
    ]
    session = open_session(data)
    proof = prove(
        lambda lq: session.run(None, {"input": lq.numpy()})[0],
        lambda lq: network(lq) if scale is None else network(lq, scale=scale),
        shown,
        tolerance=TOLERANCES[precision],
        runtime=f"onnxruntime {onnxruntime.__version__}",
    )
    return keep(Path(path), data, facts, proof)


def make_onnx(
    model: SuperResolver,
    target: Target,
    *,
    scale: int | None,
    size: tuple[int, int] | None,
    opset: int,
    half: bool,
    facts: dict[str, str],
) -> onnx.ModelProto:
    """Write a network as a graph; arguments as of `to_onnx`."""
    g = Graph(opset=opset, half=half)
    batch = "batch" if target.free_batch else 1
    lq = g.input("input", [batch, 3, *(("height", "width") if size is None else size)])
    frame = _frame(g, lq, target, size, window_of(model))
    low, high = model.head.pixel_range
    x = lq
    if (low, high) != (0, 1):
        x = g.op("Add", g.op("Mul", x, g.number(high - low, x)), g.number(low, x))
    x = g.cast(x, HALF if half else FLOAT)
    with torch.no_grad():
        features = write_backbone(model.backbone, g, x, frame)
        request = Request(frame, model.backbone.stride, scale)
        sr = g.cast(write_head(model.head, g, features, x, request), FLOAT)
    if (low, high) != (0, 1):
        sr = g.op("Div", g.op("Sub", sr, g.number(low, sr)), g.number(high - low, sr))
    made = _scale(model, scale)
    out = ["height_out", "width_out"] if size is None else [made * side for side in size]
    g.output(sr, "output", [batch, 3, *out])
    return g.model("escsr", facts)


def _frame(g: Graph, lq: str, target: Target, size: tuple[int, int] | None, window: int) -> Frame:
    if size is not None:
        return Frame(*size)
    if target.whole_windows:
        return Frame(None, None, window)
    return Frame(g.length(lq, 2), g.length(lq, 3))


def open_session(
    model: bytes | PathLike, providers: Sequence[str] = ("CPUExecutionProvider",)
) -> onnxruntime.InferenceSession:
    """Open a model in ONNX Runtime, which says only what goes wrong."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    source = model if isinstance(model, bytes) else os.fspath(model)
    return onnxruntime.InferenceSession(source, options, providers=list(providers))


def keep(path: Path, data: bytes, facts: dict[str, str], proof: Proof) -> Exported:
    """Write a file that was proved, with its proof beside it; refuse one that failed.

    Raises:
        ValueError: If the proof failed; nothing is written then.
    """
    if not proof.holds:
        worst = proof.worst
        raise ValueError(
            f"{path} was not written: its result for {worst.batch} picture(s) of "
            f"{worst.height}×{worst.width} pixels ({worst.picture}) is {worst.difference:.2g} from "
            f"the network's, and {proof.tolerance:.2g} is allowed. "
            "Please report this, with the network and the options"
        )
    with replacing(path) as temporary:
        temporary.write_bytes(data)
        write_json(f"{path}.json", {"file": path.name, "facts": facts, **proof.as_json()})
    return Exported(path, facts, proof)


def _network(model: SuperResolver | PathLike) -> tuple[SuperResolver, dict[str, str]]:
    """The network on the CPU, in evaluation mode and by itself; and what is known of it."""
    facts = {"escsr": __version__}
    if isinstance(model, SuperResolver):
        import copy

        network = copy.deepcopy(model).cpu().float().eval()
        facts["weights_sha256"] = _tensors_sha256(network)
        name = f"{network.config.backbone} + {network.config.head}"
    else:
        path = fetch(model)
        network = load(path)
        with path.open("rb") as file:
            facts["weights_sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        name = resolve(str(model)) if path in embedded().values() else path.stem
        if path in embedded().values():
            facts["licence"] = "Apache-2.0"
    known = {"name": name, "network": f"{network.config.backbone} + {network.config.head}"}
    facts.setdefault("licence", str(network.facts.get("licence", "not stated")))
    return network, {**known, **facts}


def _tensors_sha256(network: SuperResolver) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _scale(network: SuperResolver, scale: int | None) -> int:
    """The scale that the file makes, checked."""
    own = network.scale
    if own is None and scale is None:
        raise ValueError("this network makes any scale: say which whole one (scale=2, …)")
    made: Any = own if scale is None else scale
    if made != int(made) or made < 1:
        raise ValueError(f"only whole scales from 1 can be written, not {made}")
    if own is not None and made != own:
        raise ValueError(f"this network makes ×{own} only, and not ×{made}")
    return int(made)


def check_opset(opset: int) -> int:
    """Return a version of the operators.

    Raises:
        ValueError: If files cannot be written in it.
    """
    if opset not in OPSETS:
        raise ValueError(f"opset is from {OPSETS.start} to {OPSETS.stop - 1}, not {opset}")
    return opset


def check_tile(size: Sequence[int]) -> tuple[int, int]:
    """Return the sides of all pictures.

    Raises:
        ValueError: If they are not two whole numbers from 1.
    """
    if len(size) != 2 or any(side != int(side) or side < 1 for side in size):
        raise ValueError(f"size is (H, W) in whole pixels from 1, not {size!r}")
    return int(size[0]), int(size[1])


def _alignment(target: Target, size: tuple[int, int] | None, window: int) -> str:
    if size is not None:
        return f"pictures of {size[0]} rows and {size[1]} columns"
    if target.whole_windows:
        return f"sides in multiples of {window}"
    return "any sides from 1"


def _simplified(proto: onnx.ModelProto) -> onnx.ModelProto:
    import onnxslim

    simplified: onnx.ModelProto = onnxslim.slim(proto)
    return simplified
