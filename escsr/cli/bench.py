"""``escsr bench``: speed and memory on this machine."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def bench(
    backbone: Annotated[str, typer.Option(help="A backbone of 'escsr list'.")] = "esc",
    scale: Annotated[int, typer.Option(help="Enlargement.")] = 4,
    size: Annotated[int, typer.Option(help="Side of the square picture, in pixels.")] = 256,
    batch: Annotated[int, typer.Option(help="Pictures at once.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of PyTorch.")] = 2,
    repeats: Annotated[int, typer.Option(help="Timed passes; the fastest counts.")] = 3,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    training: Annotated[
        bool, typer.Option("--training", help="Forward and backward passes.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
) -> None:
    """Compare a network with its literal definition: time, peak memory, difference."""
    from rich.console import Console
    from rich.table import Table

    from escsr.bench import Setup, run

    setup = Setup(
        backbone=backbone,
        scale=scale,
        height=size,
        width=size,
        batch=batch,
        threads=threads,
        repeats=repeats,
        device=device,
    )
    console = Console(highlight=False)
    kind = "training step" if training else "inference"
    console.print(
        f"{backbone} ×{scale}, {batch}×{size}×{size}, fp32, {threads} threads, {device}, {kind}"
    )
    with console.status("measuring"):
        measurements = run(setup, training=training)
    literal = measurements[0]
    table = Table("variant", "s", "speed", "peak MiB", "estimated", "difference")
    table.columns[0].overflow = "fold"
    for found in measurements:
        table.add_row(
            found.variant,
            f"{found.seconds:.3f}",
            f"{literal.seconds / found.seconds:.2f}×",
            f"{found.peak_bytes / 2**20:.0f}",
            f"{found.estimated_bytes / 2**20:.0f}",
            f"{found.difference:.1e}",
        )
    console.print(table)
    if output is not None:
        report = {
            "setup": asdict(setup),
            "training": training,
            "measurements": [asdict(found) for found in measurements],
        }
        output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
