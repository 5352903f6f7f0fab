"""Ways to run a network, one at a time made ready to be timed."""

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from escsr.bench.gpu.plan import Plan, Work
from escsr.bench.gpu.timing import arithmetic, number_type
from escsr.build import build
from escsr.choices import choosing
from escsr.layers import ConvAttention, DecomposedConvAttention
from escsr.model import SuperResolver

LOW_RANK = "low rank"
AXES = {
    "attention": ("sdpa", "flex", LOW_RANK, "math"),
    "layout": ("free", "contiguous", "channels_last"),
    "convolution": ("merged", "two"),
}
"""What is tried, and the runs of a plan: modes of `torch.compile` but for "eager" and "cuda graph".
Attention by low rank is that of a network with such a bias, concatenated to queries and keys."""

FACTOR_ATTENTION = ("concat", "sdpa", "flex", "math")
"""In place of ``AXES["attention"]`` where the bias is a product."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to run a network; see `AXES`.

    Attributes:
        attention: How windows attend; "auto" leaves all but ``run`` to `escsr.choices`.
        layout: Of feature maps.
        convolution: "merged", one convolution for both kernels, or "two".
        run: Eager, as a CUDA graph, or compiled.
    """

    attention: str = "sdpa"
    layout: str = "free"
    convolution: str = "merged"
    run: str = "eager"

    def changed(self, axis: str, value: str) -> "Variant":
        """The same with another value on one axis."""
        return replace(self, **{axis: value})

    def as_json(self) -> dict[str, str]:
        """For the file."""
        return asdict(self)


@contextlib.contextmanager
def ready(
    network: SuperResolver, variant: Variant, precision: str, lq: Tensor, *, dry: bool
) -> Iterator[Callable[[], Tensor]]:
    """Make a call that enlarges ``lq`` in one way.

    Args:
        network: In evaluation mode on the device of ``lq``; not changed.
        variant: The way.
        precision: Of `escsr.bench.gpu.plan.PRECISIONS`.
        lq: (B, 3, H, W) float32.
        dry: Record graphs, but generate no code for them.

    Yields:
        The call; it gives (B, 3, H_out, W_out).
    """
    device, dtype = lq.device, number_type(precision)
    model = copy.deepcopy(network).to(dtype)
    model.set_attention("concat" if variant.attention == LOW_RANK else variant.attention)
    for module in model.modules():
        if isinstance(module, ConvAttention | DecomposedConvAttention):
            module.literal = variant.convolution == "two"
    lq = lq.to(dtype)
    if variant.layout == "channels_last":
        lq = lq.contiguous(memory_format=torch.channels_last)
    auto = variant.attention == "auto"
    with (
        torch.inference_mode(),
        contextlib.nullcontext() if auto else choosing(layout=variant.layout),
        arithmetic(device, precision),
    ):
        if variant.run == "eager":
            yield lambda: model(lq)
        elif variant.run == "cuda graph":
            yield _captured(lambda: model(lq), device)
        else:
            torch.compiler.reset()  # of one function only so many versions are made
            options: dict[str, Any] = {"backend": "eager"} if dry else {"mode": variant.run}
            compiled = torch.compile(model, dynamic=False, **options)
            try:
                yield lambda: compiled(lq)
            finally:
                torch.compiler.reset()


def _captured(call: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
    if device.type != "cuda":
        raise ValueError(f"CUDA graphs need a CUDA device, and this is {device}")
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = call()

    def replay() -> Tensor:
        graph.replay()
        return made

    return replay


def make_network(name: str, plan: Plan, work: Work, device: torch.device) -> SuperResolver:
    """A network with drawn weights, in evaluation mode on a device."""
    return _built(name, plan, work, {}).to(device)


def make_low_rank(name: str, plan: Plan, work: Work, device: torch.device) -> SuperResolver:
    """The same with factors drawn in place of its bias tables: for its time only."""
    bias = {"attention_bias": "low_rank", "bias_rank": plan.rank}
    return _built(name, plan, work, bias).to(device)


def _built(name: str, plan: Plan, work: Work, more: dict[str, Any]) -> SuperResolver:
    torch.manual_seed(0)
    args = {**(plan.backbone_args or {}), **more}
    if name == "esc_rib" and plan.backbone_args:
        args["bias_rank"] = plan.rank
    return build(name, scale=work.scale, backbone_args=args).eval()


def operations(network: SuperResolver, work: Work) -> float:
    """Floating-point operations of one picture; from a square of two windows, by pixels."""
    from torch.utils.flop_counter import FlopCounterMode

    window = max((getattr(module, "window_size", 0) for module in network.modules()), default=1)
    side = 2 * max(window, 1) * network.backbone.stride
    device = next(network.parameters()).device
    model = copy.deepcopy(network).set_attention("math")
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(torch.rand(1, 3, side, side, device=device))
    padded = [-(-length // (side // 2)) * (side // 2) for length in (work.height, work.width)]
    return float(counter.get_total_flops()) * padded[0] * padded[1] / side**2
