"""``escsr bench``: speed and memory on this machine."""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from escsr.cli.console import make_console
from escsr.cli.groups import in_groups
from escsr.cli.scales import scale_option

if TYPE_CHECKING:
    from escsr.bench import Setup


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is measured, if not a network."""

    heads: Annotated[
        bool,
        typer.Option("--heads", help="The heads for any scale alone, without a backbone."),
    ] = False
    sessions: Annotated[
        bool,
        typer.Option("--sessions", help="The overhead of escsr.upscale for small pictures."),
    ] = False
    bands: Annotated[
        bool,
        typer.Option(
            "--bands", help="Exact bands and tiles beside the whole picture (default model)."
        ),
    ] = False
    gpu: Annotated[
        bool,
        typer.Option("--gpu", help="A GPU: correctness, all ways to compute, training."),
    ] = False


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Conditions."""

    backbone: Annotated[str, typer.Option(help="Backbone, see 'escsr list'.")] = "esc"
    scale: Annotated[
        int | None,
        scale_option(
            "Enlargement. Default: 4; with --heads, 2 and 4; with --bands, 2.", whole=True
        ),
    ] = None
    size: Annotated[
        int | None,
        typer.Option(
            help="Side of the square picture in pixels. Default: 256; with --heads, 48; with "
            "--bands, 1024."
        ),
    ] = None
    batch: Annotated[int, typer.Option(help="Pictures per batch.")] = 1
    threads: Annotated[int, typer.Option(help="PyTorch threads.")] = 2
    repeats: Annotated[int, typer.Option(help="Timed runs; the fastest counts.")] = 3
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto"
    training: Annotated[
        bool, typer.Option("--training", help="Measure training steps instead of inference.")
    ] = False
    profile: Annotated[
        bool, typer.Option("--profile", help="Also list the most expensive operations.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class GpuTest:
    """With --gpu."""

    minutes: Annotated[float, typer.Option(help="Time limit.")] = 3.0
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Rehearse on the CPU, with tiny sizes.")
    ] = False
    against: Annotated[
        str | None,
        typer.Option(
            help="FILE.py:function that makes another program's networks (docs, Speed on a GPU)."
        ),
    ] = None


_HEEDED = {
    None: {field.name for field in fields(Conditions)},
    "heads": {"scale", "size", "threads", "repeats", "device"},
    "sessions": {"threads", "repeats"},
    "bands": {"scale", "size", "threads", "repeats"},
    "gpu": {field.name for field in fields(GpuTest)},
}
"""The options that matter for each subject; the others are refused."""


@in_groups
def bench(
    output: Annotated[
        Path | None,
        typer.Option(help="JSON file to write. Default with --gpu: escsr_gpu.json."),
    ] = None,
    *,
    subject: Subject,
    conditions: Conditions,
    gpu_test: GpuTest,
) -> None:
    """Compare a network, or the heads, with the literal definition: time, memory, difference."""
    chosen = _subject(subject, conditions, gpu_test)
    if chosen == "gpu":
        _gpu(output or Path("escsr_gpu.json"), gpu_test)
        return
    c = replace(conditions, device=_device(conditions.device))
    if chosen == "sessions":
        report = _sessions(c.threads, c.repeats)
    elif chosen == "bands":
        report = _bands(c.size or 1024, c.scale or 2, c.threads, c.repeats)
    elif chosen == "heads":
        report = _heads(c)
    else:
        report = _networks(c)
    if output is not None:
        output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _device(name: str) -> str:
    from escsr.devices import pick_device

    return str(pick_device(name))


def _subject(subject: Subject, *options: Conditions | GpuTest) -> str | None:
    """The one subject that is asked for; None for a network."""
    chosen = [name for name, asked in asdict(subject).items() if asked]
    if len(chosen) > 1:
        raise ValueError(f"choose one of {', '.join(f'--{name}' for name in chosen)}")
    one = chosen[0] if chosen else None
    ignored = [
        f"--{field.name.replace('_', '-')}"
        for group in options
        for field in fields(group)
        if getattr(group, field.name) != field.default and field.name not in _HEEDED[one]
    ]
    if ignored:
        where = f"with --{one}" if one else "without --gpu"
        it = "it" if len(ignored) == 1 else "them"
        raise ValueError(f"{', '.join(ignored)} would have no effect {where}; leave {it} out")
    return one


def _gpu(output: Path, options: GpuTest) -> None:
    """Measure into a file, and print a summary."""
    from escsr.bench.gpu import bench_gpu

    console = make_console()
    with console.status("measuring"):
        report = bench_gpu(output, **asdict(options))
    entries = [entry for section in report["left_out"] for entry in report[section]]
    failed = [entry for entry in entries if "error" in entry or entry.get("right") is False]
    console.print(
        f"{len(entries)} figures on {report['machine'].get('name', 'a device without a name')} in "
        f"{report['seconds']:.0f} s; {len(failed)} failed, {sum(report['left_out'].values())} left "
        f"out for time: {output}"
    )


def _sessions(threads: int, repeats: int) -> dict[str, object]:
    """Measure, print, and return what goes into the file."""
    from escsr.bench import measure_sessions

    console = make_console()
    comparisons = measure_sessions(threads=threads, repeats=max(repeats, 15))
    for found in comparisons:
        console.print(
            f"{found.what}: {1000 * found.seconds:.1f} ms, {found.ratio:.2f} x {found.against}"
        )
    return {"threads": threads, "comparisons": [asdict(found) for found in comparisons]}


def _bands(side: int, scale: int, threads: int, repeats: int) -> dict[str, object]:
    """Measure, print, and return what goes into the file."""
    from rich.table import Table

    from escsr.bench import measure_large

    console = make_console()
    console.print(f"default model ×{scale}, {side}×{side}, {threads} threads, cpu")
    with console.status("measuring"):
        found = measure_large(side=side, scale=scale, threads=threads, repeats=repeats)
    table = Table(
        "way", "s", "over whole", "features", "head", "reading", "writing", "difference", "mean"
    )
    for one in found:
        table.add_row(
            one.way,
            f"{one.seconds:.2f}",
            f"{one.ratio:.2f}",
            *(f"{part:.2f}" for part in (one.features, one.head, one.reading, one.writing)),
            f"{one.difference:.2g}",
            f"{one.mean_difference:.2g}",
        )
    console.print(table)
    return {"side": side, "scale": scale, "threads": threads, "ways": [asdict(o) for o in found]}


def _networks(c: Conditions) -> dict[str, object]:
    """Measure, print, and return what goes into the file."""
    from rich.table import Table

    from escsr.bench import Setup, run

    side = c.size or 256
    setup = Setup(
        backbone=c.backbone,
        scale=c.scale or 4,
        height=side,
        width=side,
        batch=c.batch,
        threads=c.threads,
        repeats=c.repeats,
        device=c.device,
    )
    console = make_console()
    kind = "training step" if c.training else "inference"
    console.print(
        f"{setup.backbone} ×{setup.scale}, {setup.batch}×{setup.height}×{setup.width}, "
        f"{setup.threads} threads, {setup.device}, {kind}"
    )
    with console.status("measuring"):
        measurements = run(setup, training=c.training)
    literal = measurements[0]
    table = Table("variant", "s", "pictures/s", "speed", "peak MiB", "estimated", "difference")
    table.columns[0].overflow = "fold"
    for found in measurements:
        table.add_row(
            found.variant,
            f"{found.seconds:.3f}",
            f"{setup.batch / found.seconds:.3g}",
            f"{literal.seconds / found.seconds:.2f}×",
            f"{found.peak_bytes / 2**20:.0f}",
            f"{found.estimated_bytes / 2**20:.0f}",
            f"{found.difference:.1e}",
        )
    console.print(table)
    report: dict[str, object] = {
        "setup": asdict(setup),
        "training": c.training,
        "measurements": [asdict(found) for found in measurements],
    }
    if c.profile:
        report["costs"] = _costs(setup, training=c.training)
    return report


def _costs(setup: "Setup", *, training: bool) -> list[dict[str, object]]:
    """Profile, print, and return what goes into the file."""
    from escsr.bench import costs

    console = make_console()
    found = costs(setup, training=training)
    for cost in found:
        console.print(f"{cost.share:.0%}  {cost.operation}, most of it on {cost.shapes}")
    return [asdict(cost) for cost in found]


def _heads(c: Conditions) -> dict[str, object]:
    """Measure, print, and return what goes into the file."""
    from rich.table import Table

    from escsr.bench import HeadSetup, run_heads

    side = c.size or 48
    setup = HeadSetup(
        height=side,
        width=side,
        scales=(c.scale,) if c.scale else (2, 4),
        threads=c.threads,
        repeats=c.repeats,
        device=c.device,
    )
    console = make_console()
    console.print(
        f"heads on {setup.height}×{setup.width} features of {setup.channels} channels, fp32, "
        f"{setup.threads} threads, {setup.device}"
    )
    with console.status("measuring"):
        measurements = run_heads(setup)
    table = Table(
        "head", "scale", "parameters", "ms", "its literal", "literal lte", "pixel_shuffle", "diff."
    )
    for found in measurements:
        table.add_row(
            found.head,
            f"×{found.scale}",
            f"{found.parameters:,}".replace(",", " "),
            f"{1000 * found.seconds:.2f}",
            "" if found.own_literal is None else f"{found.own_literal:.2f}× faster",
            f"{found.literal_lte:.1f}× faster",
            f"{found.plain:.2f}× as long",
            "" if found.difference is None else f"{found.difference:.1e}",
        )
    console.print(table)
    return {"setup": asdict(setup), "measurements": [asdict(found) for found in measurements]}
