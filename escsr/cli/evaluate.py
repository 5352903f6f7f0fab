"""``escsr evaluate``: figures of a model on a folder of pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from escsr.evaluation import Report, Row


def evaluate(
    data: Annotated[Path, typer.Option(help="Folder of HR pictures.")],
    model: Annotated[str, typer.Option(help='Name or file of a model, or "bicubic".')] = "default",
    lq: Annotated[
        Path | None,
        typer.Option(help="Folder of LQ pictures, paired by name; made by bicubic if left out."),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(help="Enlargement; may be left out for a model of one fixed scale."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Report to write: .json, .md or .csv.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Figures per picture, as .csv.")] = None,
    device: Annotated[str, typer.Option(help="Where the model runs: cpu, cuda, ...")] = "cpu",
) -> None:
    """Take PSNR and SSIM of a model on a folder, and say how they were taken."""
    from rich.progress import Progress

    from escsr.evaluation import evaluate as run
    from escsr.evaluation.report import check_writable

    for path in filter(None, (output, csv)):
        check_writable(path)  # before the work, not after it
    with Progress(transient=True) as bar:
        task = bar.add_task("evaluating", total=None)

        def advance(row: "Row", count: int) -> None:
            bar.update(task, total=count, advance=1, description=row.name)

        report = run(model, data=data, lq=lq, scale=scale, device=device, progress=advance)
    _show(report)
    for path in filter(None, (output, csv)):
        report.save(path)


def _show(report: "Report") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from escsr.evaluation.report import show

    console = Console(highlight=False)
    table = Table("image", *report.metrics)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in report.rows:
        table.add_row(escape(row.name), *(show(k, v) for k, v in row.values.items()))
    table.add_section()
    table.add_row("mean", *(show(k, v) for k, v in report.means.items()), style="bold")
    console.print(table)
    for key, value in report.conditions.items():
        console.print(f"{key}: {value}", markup=False, soft_wrap=True)
