#!/usr/bin/env python
"""How near exported files are to their networks: the rows of docs/benchmarks/export.md.

    python tools/export_table.py esc esc_light esc_fp esc_real esc_rib esc_tiny embedded

Every backbone with each of its heads of one scale, and with `metasr` at whole scales and at free
sizes, in both precisions, each at ten sizes. Weights are drawn, but for the embedded models.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

import escsr
from escsr.export import to_onnx
from escsr.export.proving import TOLERANCES
from escsr.model import SuperResolver

HEADS = {"esc_real": [("nearest_conv", 4), ("nearest_conv", 2), ("dysample", 4)]}
HEADS["esc_real"] += [("pixel_shuffle_multi", 4), ("pixel_shuffle", 4)]
ESC_HEADS = [("pixel_shuffle", scale) for scale in (2, 3, 4)]


def networks(name: str) -> Iterator[tuple[str, str | SuperResolver, list[int | None]]]:
    """A line's name, the network, and the scales to write it at (None: its own, or free sizes)."""
    if name == "embedded":
        for model in escsr.list_models():
            fixed = escsr.load(model).scale is not None
            yield model, model, [None] if fixed else [2, 3, 4, None]
        return
    for head, scale in HEADS.get(name, ESC_HEADS):
        torch.manual_seed(0)
        yield f"{name} + {head} ×{scale}", escsr.build(name, head=head, scale=scale), [None]
    torch.manual_seed(0)
    yield f"{name} + metasr", escsr.build(name, head="metasr"), [2, 3, 4, None]


def main() -> None:
    """Print a row for each file."""
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:]:
            for line, network, scales in networks(name):
                for scale in scales:
                    worst = []
                    for fp16 in (False, True):
                        path = Path(folder) / "model.onnx"
                        made = to_onnx(network, path, scale=scale, fp16=fp16)
                        assert made.proof.tolerance == TOLERANCES["fp16" if fp16 else "fp32"]
                        worst.append(f"{made.proof.worst.difference:.1e}")
                    made_at = {"any": "free sizes"}.get(
                        made.facts["scale"], f"×{made.facts['scale']}"
                    )
                    print(f"| {line} | {made_at} | {' | '.join(worst)} |", flush=True)


if __name__ == "__main__":
    main()
