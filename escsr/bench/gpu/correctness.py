"""Checks that a device computes the same as the CPU, before anything is timed."""

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from escsr.bench.gpu.plan import Plan, Work
from escsr.bench.gpu.record import Record
from escsr.bench.gpu.search import bound
from escsr.bench.gpu.timing import arithmetic
from escsr.bench.gpu.variants import make_network
from escsr.build import build, list_heads
from escsr.heads.base import query_heads
from escsr.layers import ATTENTION_MODES
from escsr.model import SuperResolver


def check_results(record: Record, plan: Plan, device: torch.device) -> None:
    """Compare attention in all its ways, and all heads in all precisions, with fp32 on the CPU."""
    work = Work(2, *plan.checked)
    modes = [mode for mode in ATTENTION_MODES if mode != "flex"]
    _check_attention(record, plan, work, modes, device)
    for head in list_heads():
        network = _with_head(head, plan)
        for precision in ("fp32", "bf16", "fp16"):
            about = {"what": head, "precision": precision}
            check = partial(_compared, network, network, work, precision, device)
            record.measure("correctness", about, check)
    _check_attention(record, plan, work, ["flex"], device)  # compiled, so it takes the longest


def _check_attention(
    record: Record, plan: Plan, work: Work, modes: Sequence[str], device: torch.device
) -> None:
    for name in plan.checked_backbones:
        network = make_network(name, plan, work, torch.device("cpu"))
        for mode in modes:
            about = {"what": f"{name}, {mode}", "precision": "fp32"}
            twin = copy.deepcopy(network).set_attention(mode)
            check = partial(_compared, network, twin, work, "fp32", device)
            record.measure("correctness", about, check)


def _with_head(head: str, plan: Plan) -> SuperResolver:
    torch.manual_seed(0)
    scale = None if head in query_heads() else 1 if head == "conv" else 2
    return build("esc_tiny", head=head, scale=scale, backbone_args=plan.backbone_args).eval()


def _compared(
    network: SuperResolver, twin: SuperResolver, work: Work, precision: str, device: torch.device
) -> dict[str, Any]:
    lq = torch.rand(2, 3, work.height, work.width, generator=torch.Generator().manual_seed(0))
    scale = int(network.scale or work.scale)
    size = (scale * work.height, scale * work.width)
    there = copy.deepcopy(twin).to(device)
    with torch.inference_mode():
        expected: Tensor = copy.deepcopy(network).set_attention("math")(lq, size=size)
        with arithmetic(device, precision):
            found = there(lq.to(device), size=size).float().cpu()
    difference = float((found - expected).abs().max())
    allowed = bound(precision) * max(float(expected.abs().max()), 1.0)
    # NaN is not right either.
    return {"difference": difference, "allowed": allowed, "right": difference <= allowed}
