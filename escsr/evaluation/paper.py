"""Published figures, and whether a file reproduces its row.

Source: the tables of ESC, "Emulating Self-attention with Convolution for Efficient Image
Super-Resolution" (arXiv 2503.06671), and of ESC-RIB (arXiv 2603.06738): PSNR and SSIM of the luma,
``scale`` pixels cropped; trained on DIV2K, but for the rows marked DFLIP (DIV2K, Flickr2K, LSDIR,
DiverSeg-IP). Figures are given as printed, even where they look like a misprint (ESC-FP x4 on
Set5).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from escsr.evaluation.protocol import CLASSIC, LIIF, Protocol
from escsr.evaluation.results import Findings
from escsr.names import unknown_name

__all__ = ["PAPER_ROWS", "PaperCheck", "PaperRow", "check_paper", "find_paper_row"]

# Published figures are rounded to 0.01 dB and 0.0001; the rest allows for library differences.
_TOLERANCES = {"psnr_y": 0.0101, "ssim_y": 0.000201}
_SETS = ("Set5", "Set14", "B100", "Urban100", "Manga109")
_ALIASES = {"bsd100": "b100", "bsds100": "b100", "manga109s": "manga109"}


@dataclass(frozen=True, kw_only=True)
class PaperRow:
    """One row of a published table.

    Attributes:
        name: The name that `find_paper_row` takes.
        network: The paper's name for the network.
        scale: Enlargement.
        figures: PSNR-Y in dB and SSIM-Y, or None where the paper gives none, by data set.
        protocol: How they were measured.
    """

    name: str
    network: str
    scale: int
    figures: Mapping[str, tuple[float, float | None]]
    protocol: Protocol = CLASSIC


@dataclass(frozen=True, kw_only=True)
class PaperCheck:
    """A measured figure and the published one.

    Attributes:
        data: Name of the data set.
        metric: Name of the figure.
        published: As printed.
        measured: The mean that was measured.
    """

    data: str
    metric: str
    published: float
    measured: float

    @property
    def agrees(self) -> bool:
        """Whether they differ only by rounding: 0.01 dB, or 0.0002 of SSIM."""
        return abs(self.measured - self.published) <= _TOLERANCES[self.metric]


def _row(name: str, network: str, scale: int, *figures: float) -> PaperRow:
    """Alternating PSNR and SSIM, in the order of the data sets."""
    pairs = zip(figures[::2], figures[1::2], strict=True)
    return PaperRow(
        name=f"{name}_x{scale}",
        network=network,
        scale=scale,
        figures=dict(zip(_SETS, pairs, strict=True)),
    )


def _lte(scale: int, set5: float, urban100: float) -> PaperRow:
    return PaperRow(
        name=f"esc_lte_x{scale}",
        network="ESC+LTE",
        scale=scale,
        figures={"Set5": (set5, None), "Urban100": (urban100, None)},
        protocol=LIIF,
    )


# fmt: off
_ROWS = (
    _row("esc_light", "ESC-light", 2,
         38.24, .9615, 33.98, .9211, 32.35, .9020, 33.05, .9363, 39.33, .9786),
    _row("esc_fp", "ESC-FP", 2,
         38.27, .9617, 34.09, .9219, 32.37, .9022, 33.22, .9375, 39.40, .9784),
    _row("esc", "ESC", 2,
         38.35, .9619, 34.11, .9223, 32.41, .9027, 33.46, .9395, 39.54, .9790),
    _row("esc_light", "ESC-light", 4,
         32.52, .8995, 28.87, .7878, 27.72, .7423, 26.76, .8058, 31.26, .9173),
    _row("esc_fp", "ESC-FP", 4,
         32.56, .8897, 28.87, .7889, 27.75, .7435, 26.90, .8098, 31.40, .9192),
    _row("esc", "ESC", 4,
         32.68, .9011, 28.93, .7902, 27.80, .7447, 27.07, .8144, 31.54, .9207),
    _row("hit_srf", "HiT-SRF", 4,
         32.55, .8999, 28.87, .7880, 27.75, .7432, 26.80, .8069, 31.26, .9171),
    _row("esc_dflip", "ESC, DFLIP", 4,
         32.79, .9025, 29.06, .7927, 27.85, .7466, 27.45, .8229, 31.87, .9239),
    _row("esc_rib_dflip", "ESC-RIB, DFLIP", 2,
         38.40, .9621, 34.45, .9236, 32.52, .9040, 34.09, .9440, 39.77, .9796),
    _row("esc_rib_dflip", "ESC-RIB, DFLIP", 4,
         32.82, .9027, 29.06, .7926, 27.87, .7474, 27.59, .8258, 31.93, .9245),
    _lte(2, 38.29, 33.30),
    _lte(3, 34.79, 29.21),
    _lte(4, 32.72, 27.04),
    _lte(6, 29.18, 24.44),
    _lte(8, 27.24, 23.03),
)
# fmt: on
PAPER_ROWS: Mapping[str, PaperRow] = {row.name: row for row in _ROWS}
"""The rows by name."""


def find_paper_row(name: str) -> PaperRow:
    """A row by its name.

    Raises:
        ValueError: There is none; the message lists them.

    Example:
        >>> find_paper_row("esc_x4").figures["Set5"]
        (32.68, 0.9011)
    """
    if name not in PAPER_ROWS:
        raise ValueError(unknown_name("row of the paper", name, list(PAPER_ROWS)))
    return PAPER_ROWS[name]


def check_paper(c: Findings, row: PaperRow, model: str) -> Sequence[PaperCheck]:
    """Compare measured figures with the published ones.

    Args:
        c: An evaluation with the row's protocol and scale.
        row: The row.
        model: Name of the model in the evaluation.

    Returns:
        A check for every data set and metric that both contain.

    Raises:
        ValueError: None of the data sets is in the row, or the model was not measured.
    """
    published = {_normalised(name): figures for name, figures in row.figures.items()}
    checks = []
    for result in c.results:
        if result.model != model or result.scale != row.scale or result.report is None:
            continue
        figures = published.get(_normalised(result.data), (None, None))
        for metric, value in zip(("psnr_y", "ssim_y"), figures, strict=True):
            if value is not None and metric in result.report.means:
                measured = result.report.means[metric]
                checks.append(
                    PaperCheck(data=result.data, metric=metric, published=value, measured=measured)
                )
    if not checks:
        raise ValueError(
            f"nothing of {model!r} can be compared with {row.name}: the paper has "
            f"{', '.join(row.figures)} at x{row.scale}; name a data set so (--data Set5=FOLDER)"
        )
    return checks


def _normalised(name: str) -> str:
    short = name.lower().replace("-", "").replace("_", "")
    return _ALIASES.get(short, short)
