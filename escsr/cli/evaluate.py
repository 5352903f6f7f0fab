"""``escsr evaluate``: models measured on folders of pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from escsr.cli.console import make_progress
from escsr.cli.evaluate_options import OutputOptions, RuleOptions
from escsr.cli.evaluate_output import show_comparison, show_metrics, show_paper
from escsr.cli.groups import in_groups
from escsr.cli.scales import parse_scale

if TYPE_CHECKING:
    from escsr.evaluation import Comparison, Dataset
    from escsr.evaluation.paper import PaperRow


@in_groups
def evaluate(
    data: Annotated[
        list[str] | None,
        typer.Option(help="Folder of HR pictures, or NAME=FOLDER; may be repeated."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help='Model name or file, NAME=FILE, "bicubic", or "embedded" for all of '
            'ours; may be repeated. Default: "default".',
        ),
    ] = None,
    lq: Annotated[
        list[str] | None,
        typer.Option(
            help="Folder of LQ pictures, paired by name: one per --data, or one with {data} "
            "in it; {scale} stands for the scale. Made on the fly if left out; without --data "
            "the pictures have no ground truth."
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            "--scale",
            "-s",
            metavar="FACTOR,...",
            help="Enlargements, e.g. 4, 4x or 2,3,4; optional for models of one fixed scale.",
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="Metrics, e.g. psnr_y,ssim_y,ms_ssim,piqe; see --list-metrics."),
    ] = None,
    protocol: Annotated[str, typer.Option(help="classic, div2k, liif or real.")] = "classic",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16 or fp16.")] = "fp32",
    list_metrics: Annotated[
        bool, typer.Option("--list-metrics", help="List the metrics and exit.")
    ] = False,
    *,
    rules: RuleOptions,
    out: OutputOptions,
) -> None:
    """Measure models with PSNR, SSIM and other metrics, and report the conditions."""
    from escsr.evaluation import find_protocol

    if list_metrics:
        show_metrics()
        return
    row = out.row()
    wanted = rules.override(find_protocol(protocol) if row is None else row.protocol)
    named = _models(model or ["default"])
    files, folder = out.files(), out.folder()
    judged = [name for name in named if name != "bicubic"]
    _check_judged(judged, card=out.card, row=row)
    sets = _datasets(data or [], lq or [])
    make_lq = rules.make_lq()
    if make_lq is not None and all(one.lq is not None for one in sets):
        raise ValueError(
            "--degradation makes LQ pictures, and they are all given by --lq: leave one of them out"
        )
    comparison = _run(
        named,
        data=sets,
        scales=_scales(scale, row),
        protocol=wanted,
        metrics=None if metrics is None else [name for name in metrics.split(",") if name],
        make_lq=make_lq,
        resize=rules.resize,
        device=device,
        precision=precision,
        folder=folder,
        crops=out.crops,
    )
    show_comparison(comparison)
    if all(result.report is None for result in comparison.results):
        raise ValueError("\n".join(dict.fromkeys(r.reason for r in comparison.results)))
    for path in files:
        comparison.save(path)
    if folder is not None:
        comparison.save(folder)
        typer.echo(f"report: {folder / 'report.html'}")
    if out.card is not None:
        _write_card(comparison, judged[0], out.card)
    if row is not None:
        if wanted != row.protocol:
            typer.echo("note: the rules differ from the paper's", err=True)
        show_paper(comparison, row, judged)


def _check_judged(judged: list[str], *, card: Path | None, row: "PaperRow | None") -> None:
    """Refuse early a card or a row of the paper that has no model to go with it."""
    if card is not None and len(judged) != 1:
        found = ", ".join(judged) or "none"
        raise ValueError(f"a card describes one model, in addition to bicubic; found {found}")
    if row is not None and not judged:
        raise ValueError(f"there is no model to compare with {row.name}: give one with --model")


def _models(texts: list[str]) -> dict[str, str]:
    """Turn NAME=FILE, names and files into a mapping from names to models."""
    from escsr.build import list_models
    from escsr.evaluation.plan import name_models

    named: dict[str, str] = {}
    each = [t for given in texts for t in (list_models() if given == "embedded" else [given])]
    for text in each:
        name, equals, rest = text.partition("=")
        split = {name: rest} if equals and not Path(text).exists() else None
        new = split or {str(key): text for key in name_models([text])}
        for key, value in new.items():
            if key in named:
                raise ValueError(f"two models are called {key!r}; name one: --model NAME={value}")
            named[key] = value
    return named


def _datasets(data: list[str], lq: list[str]) -> "list[Dataset]":
    from escsr.evaluation import Dataset

    if not data:
        if not lq:
            raise ValueError("give a folder of HR pictures (--data), of LQ pictures (--lq) or both")
        return [Dataset(lq=folder, name=name) for name, folder in map(_named, lq)]
    if len(lq) not in (0, 1, len(data)) or (len(lq) == 1 < len(data) and "{data}" not in lq[0]):
        raise ValueError(
            f"{len(data)} folders of --data and {len(lq)} of --lq: give one --lq for each, or "
            "one that holds {data}, e.g. --lq 'bench/{data}/LR_bicubic/X{scale}'"
        )
    folders: list[str | None] = [*(lq * len(data) if len(lq) == 1 else lq)] or [None] * len(data)
    sets = []
    for text, folder in zip(data, folders, strict=True):
        name, hr = _named(text)
        sets.append(Dataset(hr=hr, lq=folder, name=name))
    names = [one.name for one in sets]
    if len(set(names)) != len(names):
        raise ValueError(f"data sets share a name ({', '.join(names)}); write --data NAME=FOLDER")
    return sets


def _named(text: str) -> tuple[str, str]:
    name, equals, folder = text.partition("=")
    return (name, folder) if equals and not Path(text).exists() else ("", text)


def _scales(text: str | None, row: "PaperRow | None") -> list[float] | None:
    if row is not None:
        if text is not None and _parse_scales(text) != [row.scale]:
            raise ValueError(f"{row.name} is at scale {row.scale}, not {text}: leave out --scale")
        return [float(row.scale)]
    return None if text is None else _parse_scales(text)


def _parse_scales(text: str) -> list[float]:
    try:
        return [parse_scale(part) for part in text.split(",")]
    except typer.BadParameter:
        raise ValueError(f"--scale takes numbers such as 4 or 2,3,4, not {text!r}") from None


def _run(models: dict[str, str], **settings: Any) -> "Comparison":
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

    from escsr.evaluation import compare

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with make_progress(*columns) as bar:
        task = bar.add_task("checking pictures and models", total=None)

        def advance(what: str, done: int, total: int) -> None:
            bar.update(task, total=total, completed=done, description=what)

        return compare(models, progress=advance, **settings)


def _write_card(c: "Comparison", model: str, path: Path) -> None:
    from escsr.evaluation.cards import write_card

    write_card(c, model, path)
    typer.echo(f"card: {path}")
