"""``escsr fetch``, and the output of the other commands about published weights."""

import dataclasses
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from escsr.cli.console import make_console

if TYPE_CHECKING:
    from escsr.models import Published


def fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="Name from 'escsr list --published', or hf://user/repo."
        ),
    ],
) -> None:
    """Download published weights to the local cache, and print where they are."""
    from escsr import models

    console = make_console()
    for name in names:  # report problems with any of them before downloading anything
        with suppress(models.NotFetchedError):
            models.locate(name)
    for name in names:
        console.print(str(models.fetch(name)), soft_wrap=True)


def published_entries() -> list[dict[str, Any]]:
    """Every published file: the table's columns, and the path if it is on this machine."""
    from escsr import models

    entries = []
    for entry in models.published().values():
        try:
            here = str(models.locate(entry.name))
        except models.NotFetchedError:
            here = None
        except ValueError:  # another file; `escsr info` tells more
            here = None
        entries.append({**dataclasses.asdict(entry), "here": here})
    return entries


def published_line(entry: dict[str, Any]) -> str:
    """One line of ``escsr list --published``."""
    scale = f"×{entry['scale']}" if entry["scale"] else "any"
    return f"  {entry['name']:<23} {scale:<4} {'here ' if entry['here'] else ''}{entry['about']}"


def about_published(entry: "Published") -> dict[str, Any]:
    """A description of a published file for ``escsr info``, known without the file."""
    from escsr.evaluation.paper import PAPER_ROWS

    about: dict[str, Any] = {"about": entry.about, "trained_on": entry.trained_on}
    if entry.row is not None:
        row = PAPER_ROWS[entry.row]
        figures = ", ".join(
            f"{data} {psnr:.2f}" + (f"/{ssim:.4f}" if ssim is not None else "")
            for data, (psnr, ssim) in row.figures.items()
        )
        about["paper_figures"] = f"×{row.scale}: {figures}"
        about["check_with"] = f"escsr evaluate --model {entry.name} --paper {entry.row}"
    about |= {"paper": entry.paper, "licence": entry.licence, "address": entry.address}
    about["sha256"] = entry.sha256 or "kept at the first download"
    return about


def about_unfetched(entry: "Published") -> dict[str, Any]:
    """The output of ``escsr info`` for a file that is not here yet."""
    from escsr.build import build
    from escsr.models.keeping import cache_folder

    model = build(
        entry.backbone, head=entry.head, scale=entry.scale, backbone_args=entry.backbone_args
    )
    return {
        "file": f"not here yet; 'escsr fetch {entry.name}' downloads it to "
        f"{cache_folder() / entry.file}",
        "network": f"{entry.backbone} + {entry.head}",
        "scale": f"×{entry.scale}" if entry.scale else "any",
        "parameters": sum(p.numel() for p in model.parameters()),
        **about_published(entry),
    }
