"""``escsr upscale --engine ray``: the same on many machines."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escsr.cli.console import make_console, make_progress
from escsr.cli.upscale_options import FileOptions, SavingOptions

if TYPE_CHECKING:
    from escsr.inference.cluster import Row

Files = list[tuple[str, str]]


def upscale_on_ray(
    inputs: list[str],
    output: str,
    files: FileOptions,
    saving: SavingOptions,
    *,
    workers: int | None,
    fields: dict[str, str],
    size: dict[str, Any],
    model: str,
    **session: Any,
) -> None:
    """Enlarge pictures on a Ray cluster.

    Raises:
        OSError: If files failed, twice each; all are named.
    """
    from escsr.inference.cluster import ClusterOptions, upscale_on_cluster
    from escsr.models import fetch

    todo, skipped = _without_existing(_plan(inputs, output, files, fields), files)
    if model != "auto":
        fetch(model)
    console = make_console()
    began, rows = time.time(), list["Row"]()
    try:
        if todo:
            with _bar(console, len(todo)) as bar:
                line = bar.add_task("0 files", total=len(todo))

                def told(row: "Row") -> None:
                    rows.append(row)
                    bar.update(line, completed=len(rows), description=f"{len(rows)} files")
                    _print(console, row)

                upscale_on_cluster(
                    todo,
                    model=model,
                    size=size,
                    session=session,
                    saving=saving.checked(),
                    cluster=ClusterOptions(workers=workers),
                    on_row=told,
                )
    finally:
        if files.report is not None:
            _write_report(files.report, rows, todo, skipped, began)
    failed = [f"\n  {row['source']}: {row['error']}" for row in rows if row["status"] == "failed"]
    if failed:
        raise OSError(
            f"{len(failed)} of {len(todo)} pictures could not be upscaled:{''.join(failed)}"
        )


def _plan(inputs: list[str], output: str, files: FileOptions, fields: dict[str, str]) -> Files:
    """Paths or URIs of sources and targets; all problems are found before any work."""
    from escsr.images import writable_suffixes
    from escsr.inference.uris import is_uri, list_pictures
    from escsr.picture_files import find_pictures
    from escsr.picture_targets import check_name_template, target_name

    writable = writable_suffixes()
    check_name_template(files.name, fields, writable=writable)
    if not is_uri(output) and Path(output).is_file():
        raise ValueError(f"{output} is a file: give -o a folder")
    # Workers run in other folders.
    folder = output.rstrip("/") if is_uri(output) else os.path.abspath(output)
    found: Files = []
    for name in inputs:
        if is_uri(name):
            found += list_pictures(name)
        else:
            found += [(os.path.abspath(one.path), one.name) for one in find_pictures([name])]
    planned: dict[str, str] = {}
    for source, name in found:
        own = target_name(
            name,
            writable=writable,
            suffix=files.suffix_of(writable),
            template=files.name,
            fields=fields,
        )
        target = f"{folder}/{own}"
        if target in planned:
            raise ValueError(
                f"{planned[target]} and {source} would both be written to {target}: rename one, or "
                "write them into different folders"
            )
        planned[target] = source
    if both := set(planned) & {source for source, _ in found}:
        raise ValueError(f"{min(both)} is itself an input: choose another folder")
    return [(source, target) for target, source in planned.items()]


def _without_existing(planned: Files, files: FileOptions) -> tuple[Files, Files]:
    from escsr.inference.uris import existing

    what = files.if_existing()
    if what not in ("overwrite", "skip", "refuse"):
        raise ValueError(f"--existing must be overwrite, skip or refuse, not {what}")
    there = existing([target for _, target in planned])
    if there and what == "refuse":
        raise ValueError(f"{len(there)} of {len(planned)} outputs exist, such as {min(there)}")
    if there:
        done = "stay" if what == "skip" else "are overwritten (--existing skip keeps them)"
        make_console().print(f"{len(there)} of {len(planned)} outputs exist and {done}")
    if what != "skip":
        return planned, []
    todo = [pair for pair in planned if pair[1] not in there]
    return todo, [pair for pair in planned if pair[1] in there]


def _bar(console: Any, count: int) -> Any:
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    return make_progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn(f"of {count}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )


def _print(console: Any, row: "Row") -> None:
    for notice in filter(None, row["notices"].split("\n")):
        console.print(f"note: {row['source']}: {notice}", style="yellow", soft_wrap=True)
    if row["status"] == "failed":
        console.print(f"error: {row['source']}: {row['error']}", style="red", soft_wrap=True)
        return
    console.print(
        f"{row['source']} {row['width']}×{row['height']} → {row['target']} "
        f"{row['new_width']}×{row['new_height']}, {row['seconds']:.1f} s",
        soft_wrap=True,
    )


def _write_report(path: Path, rows: "list[Row]", todo: Files, skipped: Files, began: float) -> None:
    from escsr.files import write_json

    known = {row["target"] for row in rows}
    entries: list[dict[str, Any]] = [
        {name: value for name, value in row.items() if value not in ("", 0)} for row in rows
    ]
    for pairs, status in ((todo, "not tried"), (skipped, "skipped")):
        entries += [
            {"source": source, "target": target, "status": status}
            for source, target in pairs
            if target not in known
        ]
    counts = {status: 0 for status in ("done", "failed", "skipped", "not tried")}
    for entry in entries:
        counts[entry["status"]] += 1
    path.parent.mkdir(parents=True, exist_ok=True)
    seconds = round(time.time() - began, 3)
    write_json(path, {"seconds": seconds, "counts": counts, "files": entries})
