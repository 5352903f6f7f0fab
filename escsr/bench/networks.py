"""Speed and memory of whole networks, measured against them written out literally.

Every variant runs in a separate process, so that memory peaks are its own, on one machine in one
run. Figures are compared only within a run.
"""

import contextlib
import functools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor, nn

from escsr.build import build
from escsr.inference import estimate_memory
from escsr.layers import ConvAttention, DecomposedConvAttention, Derived, LayerNorm2d
from escsr.layers.attention import WindowAttention
from escsr.layers.attention_bias import relative_bias_by_index
from escsr.layers.conv_attention import LargeKernel
from escsr.model import SuperResolver


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The settings of a measurement.

    Attributes:
        backbone: Name of a backbone.
        scale: Enlargement.
        height: Rows of the picture.
        width: Its columns.
        batch: Pictures at once.
        threads: Threads of PyTorch.
        repeats: Timed passes, after one that is not timed; the fastest counts.
        device: "cpu" or "cuda".
    """

    backbone: str = "esc"
    scale: int = 4
    height: int = 256
    width: int = 256
    batch: int = 1
    threads: int = 2
    repeats: int = 3
    device: str = "cpu"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The result for one variant.

    Attributes:
        variant: Name of the variant.
        seconds: Of the fastest pass.
        peak_bytes: Memory at its highest above the loaded network (resident memory of the
            process on a CPU, PyTorch's allocations on a GPU).
        estimated_bytes: The result of `estimate_memory`, without weights and kept tensors.
        difference: Largest absolute difference from the output of the first variant.
    """

    variant: str
    seconds: float
    peak_bytes: int
    estimated_bytes: int
    difference: float


def make_literal(model: SuperResolver, *, attention: str = "math") -> SuperResolver:
    """Make a network compute its definition word for word, as the reference to measure by.

    The bias is gathered by index on every call, the large kernel is symmetrised on every
    call, and convolutional attention runs as two convolutions.

    Args:
        model: Changed in place.
        attention: How windows attend.

    Returns:
        ``model``.
    """
    for module in model.modules():
        if isinstance(module, WindowAttention):
            gather = functools.partial(relative_bias_by_index, window_size=module.window_size)
            module.bias = Derived(gather)
            module.bias.enabled = False
        elif isinstance(module, LargeKernel):
            module.symmetric.enabled = False
        elif isinstance(module, ConvAttention | DecomposedConvAttention):
            module.literal = True
    return model.set_attention(attention)


def use_default_layout(model: SuperResolver) -> SuperResolver:
    """Keep every feature map in PyTorch's default (NCHW) layout instead of channels-last."""

    def contiguous(_module: nn.Module, _args: Any, out: Tensor) -> Tensor:
        return out.contiguous()

    for module in model.modules():
        if isinstance(module, LayerNorm2d | WindowAttention | nn.Conv2d):
            module.register_forward_hook(contiguous)
    return model


def train_step(model: SuperResolver, lq: Tensor, *, bf16: bool = False) -> Tensor:
    """One forward and backward pass; returns the result of the forward pass.

    Args:
        model: The network, in training mode.
        lq: (B, 3, H, W).
        bf16: Whether the forward pass computes in bfloat16, as with ``precision=bf16`` in a recipe.

    Returns:
        (B, 3, H_out, W_out), detached.
    """
    model.zero_grad(set_to_none=True)
    with torch.autocast(lq.device.type, torch.bfloat16, enabled=bf16):
        sr: Tensor = model(lq)
    torch.autograd.backward(sr.abs().mean())
    return sr.detach()


VARIANTS: dict[str, Callable[[SuperResolver], SuperResolver]] = {
    "literal": lambda model: use_default_layout(make_literal(model)),
    "literal, channels-last": make_literal,
    "literal, channels-last, fused attention": lambda m: make_literal(m, attention="sdpa"),
    "escsr": lambda model: model,
}
"""What is compared, by name: makes the variant from a network, which it may change."""

BF16 = "escsr, bfloat16"
"""Name of one more variant of training steps; processors without bfloat16 are slow at it."""


def run(setup: Setup, *, training: bool = False) -> list[Measurement]:
    """Measure all variants, each in a separate process.

    Args:
        setup: The settings.
        training: Forward and backward passes instead of inference.

    Returns:
        One measurement a variant; the first is the literal reference.

    Raises:
        RuntimeError: If a process fails; with the end of its output.

    Example:
        >>> literal, *_, ours = run(Setup(backbone="esc_tiny", height=128, width=128))
        >>> literal.seconds / ours.seconds
        4.1
    """
    measurements: list[Measurement] = []
    with tempfile.TemporaryDirectory() as folder:
        for index, variant in enumerate((*VARIANTS, BF16) if training else VARIANTS):
            order = {"variant": variant, "setup": asdict(setup), "training": training}
            target = Path(folder, f"{index}.npy")
            found = _in_process({**order, "output": str(target)})
            difference = np.abs(np.load(target) - np.load(Path(folder, "0.npy"))).max()
            measurements.append(Measurement(variant=variant, difference=float(difference), **found))
    return measurements


def _in_process(order: Mapping[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "escsr.bench", json.dumps(order)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"measuring {order['variant']!r} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(order: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one variant in this process, as ordered by `run`."""
    setup, training = Setup(**order["setup"]), order["training"]
    torch.set_num_threads(setup.threads)
    torch.manual_seed(0)
    device = torch.device(setup.device)
    bf16 = order["variant"] == BF16
    model = VARIANTS["escsr" if bf16 else order["variant"]](
        build(setup.backbone, scale=setup.scale)
    )
    model.train(training).to(device)
    lq = torch.rand(setup.batch, 3, setup.height, setup.width).to(device)
    size = (setup.height * setup.scale, setup.width * setup.scale)
    estimated = estimate_memory(model, setup.height, setup.width, size)
    passing: Callable[..., Tensor] = functools.partial(train_step, bf16=bf16)
    seconds = []
    with _peak(device) as peak, torch.inference_mode(not training):
        for _ in range(setup.repeats + 1):
            began = time.perf_counter()
            sr = passing(model, lq) if training else model(lq)
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - began)
    np.save(order["output"], sr.float().cpu().numpy())
    return {"seconds": min(seconds[1:]), "peak_bytes": peak[0], "estimated_bytes": estimated}


@contextlib.contextmanager
def _peak(device: torch.device) -> Iterator[list[int]]:
    """Put the highest memory above the present one into the list, at the end."""
    peak = [0]
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield peak
        peak[0] = torch.cuda.max_memory_allocated() - before
        return
    import resource  # not on Windows; measuring is not offered there

    before = psutil.Process().memory_info().rss
    yield peak
    unit = 1 if sys.platform == "darwin" else 1024
    peak[0] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before
