"""The measurements and their sizes: on a GPU, and tiny ones on a CPU as a rehearsal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

NETWORKS = ("esc", "esc_light", "esc_fp", "esc_xl", "esc_real", "esc_rib")
PRECISIONS = ("bf16", "fp32", "fp16", "tf32", "bf16 weights", "fp16 weights")
"""Of networks: ``weights`` means weights and features of that type, without autocast."""


class Work(NamedTuple):
    """A size to enlarge.

    Attributes:
        scale: Enlargement.
        height: Rows of the picture.
        width: Its columns.
    """

    scale: int
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes and lists of a run.

    Attributes:
        networks: Backbones, the most important first.
        works: Sizes, likewise.
        precisions: Of `PRECISIONS`, likewise.
        backbone_args: Changes of all backbones.
        rank: Of the low-rank biases.
        checked: Rows and columns of the pictures by which correctness is checked.
        checked_backbones: Backbones by which attention is checked.
        heads_size: Rows and columns of the features that heads are given.
        photo: Rows and columns of the photo that is enlarged from file to file.
        crop: Side of the crops in training.
        batches: Numbers of crops in a step.
        trained: Networks that are trained.
        matrix: Side of the matrices by which the machine is measured.
        copied: Bytes that are copied to measure it.
        seconds: How long one thing is timed in the coarse pass; three times as long in the fine.
        best: How many variants come into the fine pass.
        runs: Ways to run a network, of `escsr.bench.gpu.variants.AXES`.
    """

    networks: Sequence[str] = NETWORKS
    works: Sequence[Work] = (Work(4, 180, 320), Work(4, 540, 960), Work(2, 360, 640))
    precisions: Sequence[str] = PRECISIONS
    backbone_args: dict[str, Any] | None = None
    rank: int = 48
    checked: tuple[int, int] = (40, 52)
    checked_backbones: Sequence[str] = ("esc", "esc_fp", "esc_real", "esc_rib")
    heads_size: tuple[int, int] = (180, 320)
    photo: tuple[int, int] = (1080, 1920)
    crop: int = 64
    batches: Sequence[int] = (16, 64, 256)
    trained: Sequence[str] = ("default", "esc_light", "esc")
    matrix: int = 8192
    copied: int = 1 << 30
    seconds: float = 0.25
    best: int = 3
    runs: Sequence[str] = ("eager", "cuda graph", "default", "reduce-overhead", "max-autotune")


FULL = Plan()
"""A GPU."""

DRY = Plan(
    networks=("esc", "esc_rib"),
    works=(Work(2, 12, 16),),
    precisions=("bf16", "fp32"),
    backbone_args={"num_blocks": 1, "conv_blocks": 1, "window_size": 8},
    rank=4,
    checked=(9, 12),
    checked_backbones=("esc", "esc_rib"),
    heads_size=(9, 12),
    photo=(24, 32),
    crop=16,
    batches=(2,),
    trained=("default", "esc_light"),
    matrix=64,
    copied=1 << 16,
    seconds=0.0,
    best=1,
    runs=("eager", "cuda graph", "default"),
)
"""A rehearsal on a CPU."""
