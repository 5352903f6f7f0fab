"""The output of ``escsr evaluate``: tables, rows of the paper, available metrics."""

from typing import TYPE_CHECKING, Any

import typer

from escsr.cli.console import make_console

if TYPE_CHECKING:
    from escsr.evaluation import Comparison, Report
    from escsr.evaluation.paper import PaperRow


def show_comparison(c: "Comparison") -> None:
    """For one model on one set, its pictures; otherwise a table of means for each set."""
    from escsr.evaluation.tables import LEGEND, notes

    console = make_console()
    single = c.results[0].report if len(c.results) == 1 else None
    if single is not None:
        _show_pictures(console, single)
    else:
        _show_groups(console, c)
        console.print(LEGEND, style="dim")
    lines = notes(c)
    if single is not None:
        lines = [f"{key}: {value}" for key, value in single.conditions.items()]
        lines += [
            *single.remarks(),
            *(line for line in notes(c) if "unavailable" in line or ": no " in line),
        ]
    for line in lines:
        console.print(line, soft_wrap=True)


def _show_groups(console: Any, c: "Comparison") -> None:
    from rich.table import Table
    from rich.text import Text

    from escsr.evaluation.tables import cells

    for (data, scale), group in c.groups().items():
        table = Table("model", *c.heads(), title=f"{data} x{scale:g}", title_justify="left")
        for column in table.columns[1:]:
            column.justify = "right"
        table.columns[0].no_wrap = True
        for result in group:
            if result.report is not None:
                row = cells(c, group, result)
                texts = [Text(x.text, style="bold" if x.best else "") for x in row]
                table.add_row(result.model, *texts)
        console.print(table)
        for result in group:
            if result.report is None:
                console.print(f"{result.model} does not make x{scale:g}")


def _show_pictures(console: Any, report: "Report") -> None:
    from rich.table import Table

    from escsr.evaluation.report import show

    means = report.means
    table = Table("image", *means)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in report.rows:
        figures = [show(k, row.values[k]) if k in row.values else "" for k in means]
        table.add_row(row.name, *figures)
    table.add_section()
    table.add_row("mean", *(show(k, v) for k, v in means.items()), style="bold")
    console.print(table)


def show_paper(c: "Comparison", row: "PaperRow", models: list[str]) -> None:
    """Print figures next to the published ones.

    Raises:
        typer.Exit: Code 3, if one differs.
    """
    from escsr.evaluation.paper import check_paper

    agree = True
    for model in models:
        about = next(facts for facts in c.models if facts["name"] == model)
        network = about.get("network", "a network of its own")
        typer.echo(f"{model} ({network}) and {row.network} x{row.scale} as published:")
        for check in check_paper(c, row, model):
            agree = agree and check.agrees
            digits = 2 if check.metric == "psnr_y" else 4
            verdict = "agrees" if check.agrees else "DIFFERS"
            typer.echo(
                f"  {check.data} {check.metric}: measured {check.measured:.{digits}f}, published "
                f"{check.published:.{digits}f}, difference "
                f"{check.measured - check.published:+.{digits + 1}f}: {verdict}"
            )
    if not agree:
        raise typer.Exit(3)


def show_metrics() -> None:
    """All metrics, with their direction, range and needs."""
    from rich.table import Table

    from escsr.evaluation import list_metrics
    from escsr.evaluation.perceptual import PYIQA_LICENCE

    rows = list_metrics()
    columns = ("name", "about", "better", "range", "needs", "source")
    table = Table(*columns)
    for row in rows:
        table.add_row(*(row[column] for column in columns))
    console = make_console()
    console.print(table)
    if any(row["source"].startswith("pyiqa") for row in rows):
        console.print(PYIQA_LICENCE + "; networks' weights are downloaded at first use")
    else:
        console.print("more metrics with pyiqa: pip install 'escsr[metrics]'")
