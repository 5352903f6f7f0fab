#!/usr/bin/env python
"""Make docs/benchmarks/gpu.md from the file of `escsr bench --gpu`.

    python tools/gpu_page.py escsr_gpu.json > docs/benchmarks/gpu.md

Without a file, and where a figure is missing, the page says "not measured yet".
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

NOT_YET = "not measured yet"
Entry = Mapping[str, Any]
Report = Mapping[str, Any]

INTRO = """\
# Speed on a GPU

One command asks a GPU everything, within the minutes given, and writes one JSON file; each figure is on the disk as
soon as it is there, and what fails is recorded:

```text
escsr bench --gpu --minutes 3
```

In this order: what the machine reaches in matrix products and copies; whether all ways to compute attention and all
heads give what fp32 on the CPU gives; networks in every way to compute them, one axis after another (attention, layout,
one or two convolutions, eager, CUDA graph or compiled), the best few measured again; heads alone; a photo from file to
file; training. `--dry-run` rehearses it on a CPU, with tiny sizes. `--against FILE.py:function` measures another
program's networks beside ours, in the same run. The function gets the name of a backbone, the scale and the device, and
returns what enlarges a tensor (B, 3, H, W), or None:

```text
def make(backbone, scale, device):
    return TheirNetwork(upscaling_factor=scale).to(device) if backbone == "esc" else None
```

What turns out quickest goes into `escsr/choices.toml`, by device and precision, and is what `auto` means from then on.
This page is made by `tools/gpu_page.py` of that file.
"""  # noqa: E501 - lines of a document


def number(value: float | None, form: str = ".3g") -> str:
    """A figure, or a note that there is none."""
    return NOT_YET if value is None else format(value, form)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table, or a note that there is nothing to put into it."""
    head, lines = list(head), [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return f"{NOT_YET[0].upper()}{NOT_YET[1:]}.\n"
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines]) + "\n"


def timed(entry: Entry) -> list[str]:
    """Milliseconds with their spread, and memory."""
    if "ms" not in entry:
        return [entry.get("error", NOT_YET).replace("|", "/"), ""]
    low, high = entry["spread"]
    memory = entry["peak_mib"]
    return [f"{entry['ms']:.2f} ({low:.2f}–{high:.2f})", number(memory, ".0f")]


def machine(report: Report) -> str:
    """The machine, and what it reaches at best."""
    about = report.get("machine") or {}
    if not about:
        return f"Machine: {NOT_YET}.\n"
    lines = [f"{about['name']}, PyTorch {about['torch']}, {report['date']}."]
    if report["settings"]["dry_run"]:
        lines.append("A rehearsal on a CPU with tiny sizes: no figure here counts.")
    command = f"escsr bench --gpu --minutes {report['settings']['minutes']:g}"
    rows = [
        [
            entry["what"],
            entry["precision"],
            f"{entry['tflops']:.3g} TFLOP/s"
            if "tflops" in entry
            else f"{entry['gb_per_s']:.3g} GB/s"
            if "gb_per_s" in entry
            else entry["error"],
        ]
        for entry in report["rates"]
    ]
    rates = table(["what", "of", "reaches"], rows)
    return f"{' '.join(lines)}\n\n```text\n{command}\n```\n\n{rates}"


def goals(report: Report) -> str:
    """The targets and the figures found."""
    rivals = {
        entry["precision"]: entry
        for entry in report.get("against", ())
        if entry["network"] == "esc" and entry["height"] == 180 and "times_as_fast" in entry
    }
    published, ours = rivals.get("fp32"), rivals.get("bf16")
    memory = faster = None
    if published is not None and published["theirs"]["peak_mib"]:
        memory = published["ours"]["peak_mib"] / published["theirs"]["peak_mib"]
    if published is not None and ours is not None:
        faster = published["theirs"]["ms"] / ours["ours"]["ms"]
    fine = [e for e in report.get("networks", ()) if e["stage"] == "fine" and "ms" in e]
    esc = [e for e in fine if (e["network"], e["height"], e["scale"]) == ("esc", 180, 4)]
    quick = [e["ms"] for e in esc if e["precision"].startswith("bf16")]
    autos = [e["ms"] for e in esc if e["precision"] == "bf16" and e["attention"] == "auto"]
    others = [e["ms"] for e in esc if e["precision"] == "bf16" and e["attention"] != "auto"]
    ratio = autos[0] / min(others) if autos and others else None
    rows = [
        ["fp32, times as fast as the published flex path", "1.5", times(published)],
        ["bf16, times as fast as the same in fp32", "4", number(faster)],
        ["peak memory in fp32, as a share of the published", "0.5", number(memory)],
        ["ms in bf16, on an H100", "10", number(min(quick, default=None))],
        ["`auto` in bf16, time over that of the best way", "1.05", number(ratio)],
    ]
    return table(["ESC ×4 to 1280×720", "wanted", "found"], rows)


def times(entry: Entry | None) -> str:
    """How many times as fast as another program."""
    return NOT_YET if entry is None else f"{entry['times_as_fast']:.2f}"


def correctness(report: Report) -> str:
    """How far results are from fp32 on the CPU."""
    rows = [
        [
            entry["what"],
            entry["precision"],
            number(entry.get("difference"), ".1e"),
            entry.get("error") or ("yes" if entry["right"] else "NO"),
        ]
        for entry in report.get("correctness", ())
    ]
    return table(["what", "precision", "difference", "right"], rows)


def networks(report: Report) -> str:
    """The best ways, each with the share of the machine's own rate."""
    peak = {
        e["precision"]: e["tflops"]
        for e in report.get("rates", ())
        if e["what"] == "matrix product" and "tflops" in e
    }
    flops = {
        (e["network"], e["scale"], e["height"]): e["tflops"] * e["ms"]
        for e in report.get("networks", ())
        if "tflops" in e
    }
    rows = []
    for entry in report.get("networks", ()):
        if entry["stage"] != "fine":
            continue
        work = flops.get((entry["network"], entry["scale"], entry["height"]))
        best = peak.get(entry["precision"].removesuffix(" weights"))
        share = work / entry["ms"] / best if work and best and "ms" in entry else None
        rows.append(
            [
                f"{entry['network']} ×{entry['scale']} {entry['width']}×{entry['height']}",
                entry["precision"],
                ", ".join(entry[key] for key in ("attention", "layout", "convolution", "run")),
                *timed(entry),
                number(entry.get("difference"), ".1e"),
                number(share, ".1%"),
            ]
        )
    head = ["network", "precision", "way", "ms", "peak MiB", "difference to fp32", "share reached"]
    return table(head, rows)


def rivals(report: Report) -> str:
    """Another program's networks beside ours."""
    rows = [
        [
            f"{entry['network']} ×{entry['scale']} {entry['width']}×{entry['height']}",
            entry["precision"],
            *timed(entry["theirs"]),
            *timed(entry["ours"]),
            times(entry),
            number(entry.get("difference"), ".1e") if entry["same_weights"] else "other weights",
        ]
        for entry in report.get("against", ())
        if "times_as_fast" in entry
    ]
    head = [
        "network",
        "precision",
        "theirs, ms",
        "MiB",
        "ours, ms",
        "MiB",
        "times as fast",
        "difference",
    ]
    return table(head, rows)


def listed(report: Report, section: str, keys: list[str], rate: str | None) -> str:
    """A section whose entries are times of something named by a few keys."""
    rows = []
    for entry in report.get(section, ()):
        last = [] if rate is None else [number(entry.get(rate))]
        rows.append([*(str(entry[key]) for key in keys), *timed(entry), *last])
    return table([*keys, "ms", "peak MiB", *([rate.replace("_", " ")] if rate else [])], rows)


SECTIONS: Mapping[str, Callable[[Report], str]] = {
    "Goals": goals,
    "Correctness": correctness,
    "Networks": networks,
    "Beside the published implementation": rivals,
    "Heads alone, ×4": lambda r: listed(r, "heads", ["head", "precision"], None),
    "A photo, ×2": lambda r: listed(
        r, "end_to_end", ["network", "precision", "what"], "megapixels_per_s"
    ),
    "Training": lambda r: listed(r, "training", ["network", "precision", "batch"], "steps_per_s"),
}


def page(report: Report) -> str:
    """The whole page."""
    parts = [f"## {title}\n\n{make(report)}" for title, make in SECTIONS.items()]
    return "\n".join([INTRO, f"## Machine\n\n{machine(report)}", *parts])


def main() -> None:
    """Print the page."""
    if len(sys.argv) > 2:
        raise SystemExit("python tools/gpu_page.py [FILE.json]")
    given = Path(sys.argv[1]).read_text(encoding="utf-8") if sys.argv[1:] else "{}"
    print(page(json.loads(given)), end="")


if __name__ == "__main__":
    main()
