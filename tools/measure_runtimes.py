#!/usr/bin/env python
"""What a picture takes in each runtime: the table of docs/benchmarks/export.md.

    taskset -c 1 python tools/measure_runtimes.py esc_tiny_x4 default

Every network makes x4 of one 320x240 picture, on one thread. Rounds go through all runtimes in
turn, and a time is the median of the seconds that a core worked for it, so that what else the
machine does counts little. Needs the extras export and ncnn, and openvino.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import escsr
from escsr.export import to_ncnn
from escsr.export.graphs import Options, make_onnx
from escsr.export.onnx_file import open_session
from escsr.export.proving import made_up_photo

Run = Callable[[], Any]


def in_pytorch(model: str, lq: torch.Tensor, scale: int) -> dict[str, Run]:
    """The network itself, as it is and compiled."""
    network = escsr.load(model).eval()
    compiled = torch.compile(network)
    runs = {"as it is": network, "`torch.compile`": compiled}
    return {
        f"PyTorch {version('torch')}, {name}": partial(
            lambda run: run(lq, scale=scale).numpy(), run
        )
        for name, run in runs.items()
    }


def in_onnx(model: str, lq: np.ndarray, scale: int) -> dict[str, Run]:
    """ONNX Runtime and OpenVINO, each on a file for any size and on one for this size."""
    import openvino

    network = escsr.load(model).eval()
    one = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    runs: dict[str, Run] = {}
    for sizes, size in (("any size", None), ("one size", lq.shape[2:])):
        made = None if network.scale is not None else scale
        file = make_onnx(network, Options(scale=made, image_size=size), {}).SerializeToString()
        session = open_session(file)
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(file), "CPU", one)
        runs[f"ONNX Runtime {version('onnxruntime')}, {sizes}"] = partial(
            lambda session: session.run(None, {"input": lq})[0], session
        )
        runs[f"OpenVINO {version('openvino')}, {sizes}"] = partial(
            lambda compiled: compiled({"input": lq})["output"], compiled
        )
    return runs


def in_ncnn(model: str, lq: np.ndarray, scale: int, folder: Path) -> dict[str, Run]:
    """ncnn, in float32."""
    import ncnn

    to_ncnn(model, folder / "m.param", scale=scale, image_size=lq.shape[2:])
    net = ncnn.Net()
    net.opt.num_threads = 1
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)
    net.load_param(str(folder / "m.param"))
    net.load_model(str(folder / "m.bin"))

    def run() -> np.ndarray:
        extractor = net.create_extractor()
        extractor.input("data", ncnn.Mat(np.ascontiguousarray(lq[0])).clone())
        return np.array(extractor.extract("output")[1])[None]

    return {f"ncnn {version('ncnn')}": run}


def measure(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """Median seconds of each."""
    first = next(iter(runs.values()))()
    for run in runs.values():
        assert np.abs(run() - first).max() < 1e-4
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.process_time()
            run()
            taken[name].append(time.process_time() - began)
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="names of 'escsr list'")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    lq = made_up_photo(240, 320, generator=torch.Generator().manual_seed(0)).contiguous()
    print("| network | runtime | seconds of a core | PyTorch's ÷ this |\n|---|---|---|---|")
    for model in args.models:
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            runs = in_pytorch(model, lq, 4)
            runs |= in_onnx(model, lq.numpy(), 4)
            runs |= in_ncnn(model, lq.numpy(), 4, Path(folder))
            found = measure(runs, args.rounds)
        plain = next(iter(found.values()))
        for name, seconds in found.items():
            print(f"| {model} | {name} | {seconds:.2f} | {plain / seconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
