"""From a network to verified ONNX files."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from torch import Tensor

from escsr.export.graphs import OPSETS, Options, make_onnx, make_parts
from escsr.export.keeping import Exported, PathLike, describe, keep, precision_of, scale_of
from escsr.export.proving import TOLERANCES, Proof, Sample, prove, samples, with_sizes
from escsr.export.targets import darktable_files, find_target, window_of
from escsr.layers import make_cells, make_coords
from escsr.model import SuperResolver


def to_onnx(
    model: SuperResolver | PathLike,
    path: PathLike,
    *,
    scale: int | None = None,
    target: str = "generic",
    image_size: tuple[int, int] | None = None,
    fp16: bool = False,
    opset: int = OPSETS.start,
    simplify: bool = False,
    licence: str | None = None,
    pictures: Sequence[Sample] = (),
) -> Exported:
    """Write a network as an ONNX file, and verify it in ONNX Runtime before it is kept.

    The file has the input ``input`` (N, 3, H, W), RGB in [0, 1], and the output ``output``
    (N, 3, scale · H, scale · W), not clipped, both float32. Padding is in the graph. If the network
    makes any scale and none is requested, a second input ``size`` (2,) int64 gives the (H_out,
    W_out) to make. Next to the file, ``PATH.json`` lists the differences between its results and
    the network's.

    Args:
        model: A network; or a weight file, or a name of `escsr.list_models`.
        path: The file to write.
        scale: The whole scale to make, if the network makes any.
        target: The program it is for: "generic", "chainner", "vs-mlrt", "tensorrt", "openvino",
            "web" or "darktable".
        image_size: (H, W), if all pictures have one size; the file is then a little faster.
        fp16: Compute in float16 where its range suffices, for a file of half the size.
        opset: Version of the operators, from 17 to 25.
        simplify: Let onnxslim shorten the graph.
        licence: Licence of the weights, to be stored in the file.
        pictures: Additional pictures for the verification.

    Returns:
        The file and its verification.

    Raises:
        ValueError: If an argument is impossible, the network cannot be written, or the results
            of the file are too far from the network's.

    Example:
        >>> written = escsr.export.to_onnx("esc_tiny_x4", "esc_tiny_x4.onnx")
        >>> written.proof.worst.difference < 1e-4
        True
    """
    options = _options(target, scale, image_size, fp16, opset)
    network, facts = describe(model, options, licence=licence)
    made = scale_of(network, options)
    facts["scale"] = "any" if made is None else str(made)
    beside = darktable_files(Path(path), facts) if target == "darktable" else {}
    proto = make_onnx(network, options, facts)
    if simplify:
        proto = _simplified(proto)
    shown = [*_samples(network, options), *pictures]
    data = _checked(proto)
    session = open_session(data)

    def run(sample: Sample) -> Any:
        size = {} if sample.size is None else {"size": torch.tensor(sample.size).numpy()}
        return session.run(None, {"input": sample.lq.numpy(), **size})[0]

    def expected(sample: Sample) -> Tensor:
        if sample.size is not None:
            return network(sample.lq, size=sample.size)
        return network(sample.lq, scale=made)

    shown = shown if made is not None else with_sizes(shown)
    proof = _proof(run, expected, shown, options)
    return keep({Path(path): data}, facts, proof, beside)[0]


def to_onnx_parts(
    model: SuperResolver | PathLike,
    encode_path: PathLike,
    at_path: PathLike,
    *,
    fp16: bool = False,
    opset: int = OPSETS.start,
    licence: str | None = None,
) -> tuple[Exported, Exported]:
    """Write a network for any scale as two ONNX files, for zooms into the same picture.

    The first file makes ``features`` (N, C, H, W) from ``input`` (N, 3, H, W), once per picture.
    The second is called repeatedly to answer at points: from ``features``, ``input``, ``coords``
    (N, Q, 2) and ``cells`` (N, Q, 2), as `SuperResolver.query` takes them, it makes ``output`` (N,
    Q, 3).

    Args:
        model: See `to_onnx`, also for the other arguments.
        encode_path: The first file.
        at_path: The second.
        fp16: See `to_onnx`.
        opset: See `to_onnx`.
        licence: See `to_onnx`.

    Returns:
        Both files, verified together.

    Raises:
        ValueError: As for `to_onnx`, or if the network cannot answer at points.
    """
    options = _options("generic", None, None, fp16, opset)
    network, facts = describe(model, options, licence=licence)
    facts["scale"] = "any"
    encode, at = (_checked(proto) for proto in make_parts(network, options, facts))
    sessions = [open_session(data) for data in (encode, at)]

    def points(sample: Sample) -> tuple[Tensor, Tensor]:
        assert sample.size is not None
        batch = len(sample.lq)
        coords = make_coords(sample.size).expand(batch, -1, 2)
        return coords.contiguous(), make_cells(sample.size).expand(coords.shape).contiguous()

    def run(sample: Sample) -> Any:
        lq = sample.lq.numpy()
        coords, cells = (given.numpy() for given in points(sample))
        (features,) = sessions[0].run(None, {"input": lq})
        given = {"features": features, "input": lq, "coords": coords, "cells": cells}
        return sessions[1].run(None, given)[0]

    shown = with_sizes(_samples(network, options))
    proof = _proof(run, lambda sample: network.query(sample.lq, *points(sample)), shown, options)
    first, second = keep({Path(encode_path): encode, Path(at_path): at}, facts, proof)
    return first, second


def open_session(
    model: bytes | PathLike, providers: Sequence[str] = ("CPUExecutionProvider",)
) -> onnxruntime.InferenceSession:
    """Open a model in ONNX Runtime, limiting its output to errors."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    source = model if isinstance(model, bytes) else os.fspath(model)
    return onnxruntime.InferenceSession(source, options, providers=list(providers))


def _options(
    target: str,
    scale: int | None,
    image_size: tuple[int, int] | None,
    fp16: bool,
    opset: int,
) -> Options:
    """The options, checked."""
    if opset not in OPSETS:
        raise ValueError(f"opset must be from {OPSETS.start} to {OPSETS.stop - 1}, not {opset}")
    if scale is not None and (scale != int(scale) or scale < 1):
        raise ValueError(f"only whole scales from 1 can be written, not {scale}")
    made_for = find_target(target)
    size = made_for.tile if image_size is None else image_size
    if size is not None and (len(size) != 2 or any(s != int(s) or s < 1 for s in size)):
        raise ValueError(f"image_size is (H, W) in whole pixels from 1, not {size!r}")
    return Options(target=made_for, scale=scale, image_size=size, opset=opset, half=fp16)


def _samples(network: SuperResolver, options: Options) -> list[Sample]:
    return samples(
        window_of(network),
        free_batch=options.target.free_batch,
        whole_windows=options.target.whole_windows,
        tile=options.image_size,
    )


def _proof(
    run: Callable[[Sample], Any],
    expected: Callable[[Sample], Tensor],
    shown: Sequence[Sample],
    options: Options,
) -> Proof:
    return prove(
        run,
        expected,
        shown,
        tolerance=TOLERANCES[precision_of(options)],
        runtime=f"onnxruntime {onnxruntime.__version__}",
    )


def _checked(proto: onnx.ModelProto) -> bytes:
    onnx.checker.check_model(proto, full_check=True)
    data: bytes = proto.SerializeToString()
    return data


def _simplified(proto: onnx.ModelProto) -> onnx.ModelProto:
    import onnxslim

    # Constants are not folded, which would make files several times larger.
    simplified: onnx.ModelProto = onnxslim.slim(proto, skip_optimizations=["constant_folding"])
    return simplified
