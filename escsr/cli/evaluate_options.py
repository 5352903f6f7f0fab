"""The options of ``escsr evaluate``, one class per group; each field is an option."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from escsr.evaluation import Protocol
    from escsr.evaluation.paper import PaperRow

_FILES = (".json", ".csv", ".md", ".tex")


@dataclass(frozen=True, kw_only=True)
class RuleOptions:
    """Rules (they override the protocol)."""

    crop: Annotated[
        str | None,
        typer.Option(help="Pixels cropped from each side: 4, scale or scale+6."),
    ] = None
    rounding: Annotated[str | None, typer.Option(help="uint8 or none.")] = None
    resizer: Annotated[
        str | None,
        typer.Option(help="Resizer for LQ: matlab_clamp, matlab or pillow."),
    ] = None
    alignment: Annotated[
        str | None,
        typer.Option(
            help="If HR is larger: top_left, centre, exact, or whole (any ratio).",
        ),
    ] = None
    degradation: Annotated[
        str | None,
        typer.Option(help="Degrade LQ with this preset."),
    ] = None
    seed: Annotated[int, typer.Option(help="Random seed of the degradation.")] = 0
    resize: Annotated[
        bool,
        typer.Option(
            "--resize",
            help="Let models of one fixed scale support others by resizing their results.",
        ),
    ] = False

    def override(self, protocol: "Protocol") -> "Protocol":
        """The protocol, with the rules that override it.

        Raises:
            ValueError: If a rule is unknown.
        """
        from escsr.evaluation.protocol import parse_crop

        named = {"rounding": self.rounding, "resizer": self.resizer, "alignment": self.alignment}
        parts: dict[str, Any] = dict(named)
        return protocol.override(**parts, **({} if self.crop is None else parse_crop(self.crop)))

    def make_lq(self) -> Any:
        """The degradation of the pictures, or None."""
        from escsr.evaluation import Degraded

        if self.degradation is None:
            return None
        return Degraded(preset=self.degradation, seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Output."""

    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Report: a .json, .csv, .md or .tex file, or a folder for all of them, plots "
            "and an HTML page. An interrupted run into a folder is continued.",
        ),
    ] = None
    csv: Annotated[Path | None, typer.Option(help="Results per picture, as .csv.")] = None
    crops: Annotated[
        int,
        typer.Option(help="Pictures of each data set to show on the HTML page."),
    ] = 3
    card: Annotated[
        Path | None,
        typer.Option(help="Model card (.md) to write or update."),
    ] = None
    paper: Annotated[
        str | None,
        typer.Option(help="Compare with a row of the paper, e.g. esc_x4."),
    ] = None

    def files(self) -> list[Path]:
        """Report files to write; bad names are refused before any work.

        Raises:
            ValueError: If an ending is unknown.
        """
        from escsr.evaluation.report import check_writable

        if self.csv is not None:
            check_writable(self.csv, (".csv",))
        if self.card is not None:
            check_writable(self.card, (".md",))
        targets = [self.csv] if self.csv is not None else []
        if self.output is not None and self.output.suffix and not self.output.is_dir():
            check_writable(self.output, _FILES)
            targets.append(self.output)
        return targets

    def folder(self) -> Path | None:
        """The folder of the report, if it is one."""
        return self.output if self.output not in self.files() else None

    def row(self) -> "PaperRow | None":
        """The row of the paper to compare with.

        Raises:
            ValueError: If there is no row of that name.
        """
        from escsr.evaluation.paper import find_paper_row

        return None if self.paper is None else find_paper_row(self.paper)
