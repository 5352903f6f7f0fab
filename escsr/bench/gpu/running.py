"""The run: a process that measures, and one that starts it again when it dies."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from escsr.bench.gpu.correctness import check_results
from escsr.bench.gpu.plan import DRY, FULL, Plan
from escsr.bench.gpu.record import Record
from escsr.bench.gpu.search import measure_networks
from escsr.bench.gpu.sections import (
    describe_machine,
    find_rival,
    measure_end_to_end,
    measure_heads,
    measure_rates,
    measure_rival,
    measure_training,
)

LOST = 17
"""Exit code of a process whose device no longer responds."""

# One thing may take so long, of all time, before its process is ended; and at least these seconds,
# or those in a rehearsal, on a machine that may have much else to do.
_LONGEST, _LEAST, _REHEARSING = 0.5, 60.0, 600.0
_STARTS = 20


def bench_gpu(
    output: Path, *, minutes: float = 3.0, dry_run: bool = False, against: str | None = None
) -> dict[str, Any]:
    """Measure everything on the GPU, into a file that is written after each figure.

    A separate process measures; if it dies or hangs, that is recorded and another continues.

    Args:
        output: The JSON file; replaced.
        minutes: How long all of it may take.
        dry_run: Rehearse on the CPU, with tiny sizes.
        against: ``FILE.py:function``, a function that gets the name of a backbone, the scale and
            the device, and returns a callable from (B, 3, H, W) to the enlarged pictures, or None
            if it has no such network. Where it is a module whose weights our checkpoints know, ours
            gets the same, and results are compared.

    Returns:
        The contents of the file.

    Raises:
        ValueError: If there is no CUDA device and ``dry_run`` is not set, or ``minutes`` or
            ``against`` is impossible.
        FileNotFoundError: If there is no such file.

    Example:
        >>> report = bench_gpu(Path("gpu.json"), minutes=3)  # doctest: +SKIP
    """
    if not minutes > 0:
        raise ValueError(f"minutes must be more than 0, not {minutes}")
    if not dry_run and not torch.cuda.is_available():
        raise ValueError(
            "PyTorch sees no CUDA device on this machine: nothing can be measured. A dry run "
            "(--dry-run) rehearses all of it on the CPU"
        )
    if against is not None:
        find_rival(against)
    record = Record.begun(output, {"minutes": minutes, "dry_run": dry_run, "against": against})
    for _ in range(_STARTS):
        if _one_process(record) or record.left("training") < 0:
            break
        record = Record.resumed(output)
    record = Record.resumed(output)
    record.report["seconds"] = time.time() - record.report["began"]
    record.write()
    return record.report


def _one_process(record: Record) -> bool:
    """Let one process measure; return whether it finished."""
    settings = record.report["settings"]
    longest = max(60 * float(settings["minutes"]) * _LONGEST, _LEAST)
    if settings["dry_run"]:
        longest = _REHEARSING
    process = subprocess.Popen([sys.executable, "-m", "escsr.bench.gpu", str(record.path)])
    try:
        while process.poll() is None:
            time.sleep(0.2)
            pending = _read(record.path)["pending"]
            hangs = pending is not None and time.time() - pending["since"] > longest
            if hangs or record.left("training") < -_LEAST:
                return False
        return process.returncode == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _read(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def measure_all(record: Record, plan: Plan | None = None) -> None:
    """Measure in this process what the file still lacks.

    Args:
        record: The file; its settings say what is measured.
        plan: Sizes; None: those of a GPU, or of a rehearsal.
    """
    settings = record.report["settings"]
    dry = bool(settings["dry_run"])
    plan = plan or (DRY if dry else FULL)
    device = torch.device("cpu" if dry else "cuda")
    record.report["machine"] = describe_machine(device)
    record.write()
    steps: list[Callable[[], None]] = [
        lambda: measure_rates(record, plan, device),
        lambda: check_results(record, plan, device),
        lambda: measure_networks(record, plan, device, dry=dry),
        lambda: measure_heads(record, plan, device),
        lambda: measure_end_to_end(record, plan, device),
        lambda: measure_training(record, plan, device),
    ]
    if settings["against"] is not None:
        steps.insert(2, lambda: measure_rival(record, plan, device, settings["against"]))
    for step in steps:
        step()
    record.report["finished"] = True
    record.write()
