"""From a network to the two files of ncnn, by pnnx."""

import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from escsr.export.graphs import Options, make_onnx
from escsr.export.keeping import Exported, PathLike, describe, keep, precision_of, scale_of
from escsr.export.proving import TOLERANCES, Sample, prove, samples
from escsr.export.targets import Target, window_of
from escsr.heads import ImplicitHead, MetaSR
from escsr.model import SuperResolver

# pnnx drops the axis of a mean along one side, and knows GELU only as one operator (opset 20).
_NCNN = Target(name="ncnn", free_batch=False, tile=(256, 256), joint_means=True)
_OPSET = 20
_RUNNER = """
import sys, ncnn, numpy
threads, half = map(int, sys.argv[1:])
net = ncnn.Net()
net.opt.num_threads = threads
if not half:
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, "use_" + option, False)
assert net.load_param("network.param") == 0, "a layer that ncnn does not know"
assert net.load_model("network.bin") == 0, "weights that ncnn cannot read"
extractor = net.create_extractor()
lq = numpy.load("lq.npy")
# A copy of ncnn's own, which its layers may write to.
extractor.input("data", ncnn.Mat(lq).clone())
code, sr = extractor.extract("output")
assert code == 0, f"error {code}"
numpy.save("sr.npy", numpy.array(sr))
"""


def to_ncnn(
    model: SuperResolver | PathLike,
    path: PathLike,
    *,
    scale: int | None = None,
    image_size: tuple[int, int] | None = None,
    fp16: bool = False,
    licence: str | None = None,
) -> Exported:
    """Write a network for ncnn, using pnnx, and verify it in ncnn before it is kept.

    There are two files, ``NAME.param`` and ``NAME.bin``, with the blobs ``data`` (3, H, W), RGB
    in [0, 1], and ``output`` (3, scale · H, scale · W), not clipped. All pictures have one size.
    ``NAME.param.json`` lists the differences between its results and the network's.

    Args:
        model: A network; or a weight file, or a name of `escsr.list_models`.
        path: The first file, ending in ``.param``; the other is written next to it.
        scale: The whole scale to make, if the network makes any.
        image_size: (H, W), whole windows; None is (256, 256).
        fp16: Store the weights in float16; ncnn may then compute in it, too.
        licence: Licence of the weights, for ``NAME.param.json``.

    Returns:
        The file and its verification.

    Raises:
        ValueError: If an argument is impossible, pnnx or ncnn cannot handle the network, or the
            results are too far from the network's.
        ModuleNotFoundError: If pnnx or ncnn is not installed.

    Example:
        >>> written = escsr.export.to_ncnn("esc_tiny_x4", "esc_tiny_x4.param")
        >>> written.facts["alignment"]
        'pictures of 256 rows and 256 columns'
    """
    path = Path(path)
    if path.suffix != ".param":
        raise ValueError(f"ncnn reads NAME.param and NAME.bin: pass NAME.param, not {path.name}")
    pnnx, ncnn = (_installed(name) for name in ("pnnx", "ncnn"))
    options = Options(
        target=_NCNN, scale=scale, image_size=image_size or _NCNN.tile, opset=_OPSET, half=fp16
    )
    network, facts = describe(model, options, licence=licence)
    if isinstance(network.head, ImplicitHead) and not isinstance(network.head, MetaSR):
        raise ValueError(
            f"of the heads for any scale only 'metasr' can be written for ncnn, not "
            f"{network.config.head!r}: ncnn cannot gather the neighbours of points"
        )
    made = scale_of(network, options)
    facts["scale"] = str(made)
    size = _whole_windows(network, options)
    param, weights = _convert(pnnx.EXEC_PATH, network, options, size)
    proof = prove(
        lambda sample: _run_in_ncnn(param, weights, sample, half=fp16),
        lambda sample: network(sample.lq, scale=made),
        samples(window_of(network), free_batch=False, tile=size),
        tolerance=TOLERANCES[precision_of(options)],
        runtime=f"ncnn {ncnn.__version__}",
    )
    return keep({path: param.encode()}, facts, proof, {path.with_suffix(".bin"): weights})[0]


def _installed(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"files for ncnn need {error.name}, which is not installed: pip install 'escsr[ncnn]'",
            name=error.name,
        ) from None


def _whole_windows(network: SuperResolver, options: Options) -> tuple[int, int]:
    """The size of pictures, checked: ncnn has no operator for reflection padding."""
    assert options.image_size is not None
    window = window_of(network)
    if any(side < 1 or side % window for side in options.image_size):
        height, width = options.image_size
        raise ValueError(
            f"pictures for ncnn have sides of whole windows, which are multiples of {window} for "
            f"this network, not {width}x{height}: choose such a size, and pad pictures before"
        )
    return options.image_size


def _convert(
    program: str, network: SuperResolver, options: Options, size: tuple[int, int]
) -> tuple[str, bytes]:
    """The contents of both files. ncnn stores float16 weights its own way; the graph has none."""
    proto = make_onnx(network, replace(options, half=False), {})
    with tempfile.TemporaryDirectory(prefix="escsr-") as folder:
        onnx.save(proto, Path(folder, "network.onnx"))
        command = [program, "network.onnx", f"inputshape=[1,3,{size[0]},{size[1]}]"]
        command.append(f"fp16={int(options.half)}")
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        param, weights = Path(folder, "network.ncnn.param"), Path(folder, "network.ncnn.bin")
        if done.returncode or not param.is_file() or not weights.is_file():
            said = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
            raise ValueError(
                f"pnnx cannot convert this network (exit status {done.returncode}): "
                f"{' / '.join(said[-3:])}"
            )
        return _named(param.read_text("utf-8")), weights.read_bytes()


def _named(param: str) -> str:
    """The blobs of pnnx under the names that programs expect."""
    names = {"in0": "data", "out0": "output"}
    magic, counts, *layers = param.splitlines()
    renamed = []
    for line in layers:
        kind, name, inputs, outputs, *rest = line.split()
        blobs = int(inputs) + int(outputs)
        rest[:blobs] = [names.get(blob, blob) for blob in rest[:blobs]]
        renamed.append(" ".join([f"{kind:<24} {name:<24} {inputs} {outputs}", *rest]))
    return "\n".join([magic, counts, *renamed]) + "\n"


def _run_in_ncnn(param: str, weights: bytes, sample: Sample, *, half: bool) -> Any:
    """The result of the files, from a separate process, as ncnn aborts on fatal errors.

    Raises:
        ValueError: If ncnn cannot read or run them.
    """
    with tempfile.TemporaryDirectory(prefix="escsr-") as folder:
        Path(folder, "network.param").write_text(param, "utf-8")
        Path(folder, "network.bin").write_bytes(weights)
        np.save(Path(folder, "lq.npy"), sample.lq[0].numpy())
        command = [sys.executable, "-c", _RUNNER, str(torch.get_num_threads()), str(int(half))]
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()[-3:]
            raise ValueError(
                "ncnn cannot run pnnx's conversion of this network "
                f"(exit status {done.returncode}): {' / '.join(said)}"
            )
        return np.load(Path(folder, "sr.npy"))[None]
