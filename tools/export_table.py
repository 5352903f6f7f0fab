#!/usr/bin/env python
"""How near exported files are to their networks: the rows of docs/benchmarks/export.md.

    python tools/export_table.py esc esc_light esc_fp esc_real esc_rib esc_tiny embedded
    python tools/export_table.py esc --only "metasr | free"

Every backbone with each of its heads of one scale, and with `metasr` at whole scales and at free
sizes, in both precisions, each at ten sizes. Weights are drawn, but for the embedded models.
"""

import argparse
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


def networks(name: str) -> Iterator[tuple[str, str | None, list[int | None]]]:
    """A line's name, the head (None: an embedded model), and scales (None: its own, or free)."""
    if name == "embedded":
        for model in escsr.list_models():
            fixed = escsr.load(model).scale is not None
            yield model, None, [escsr.load(model).scale] if fixed else [2, 3, 4, None]
        return
    for head, scale in HEADS.get(name, ESC_HEADS):
        yield f"{name} + {head}", head, [scale]
    yield f"{name} + metasr", "metasr", [2, 3, 4, None]


def network(name: str, line: str, head: str | None, scale: int | None) -> str | SuperResolver:
    """What is written: the name of an embedded model, or a network with drawn weights."""
    if head is None:
        return line
    torch.manual_seed(0)
    return escsr.build(name, head=head, scale=None if head == "metasr" else scale)


def differences(model: str | SuperResolver, scale: int | None) -> list[str]:
    """The largest difference over all sizes, in float32 and in float16."""
    worst = []
    with tempfile.TemporaryDirectory() as folder:
        for fp16 in (False, True):
            made = to_onnx(model, Path(folder) / "model.onnx", scale=scale, fp16=fp16)
            assert made.proof.tolerance == TOLERANCES["fp16" if fp16 else "fp32"]
            worst.append(f"{made.proof.worst.difference:.1e}")
    return worst


def main() -> None:
    """Print a row for each file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", help="backbones, or 'embedded'")
    parser.add_argument("--only", default="", help="rows with this text in 'network | at'")
    args = parser.parse_args()
    for name in args.names:
        for line, head, scales in networks(name):
            for scale in scales:
                row = f"{line} | {'free sizes' if scale is None else f'×{scale}'}"
                if args.only in row:
                    worst = differences(network(name, line, head, scale), scale)
                    print(f"| {row} | {' | '.join(worst)} |", flush=True)


if __name__ == "__main__":
    main()
