"""Speed and memory, measured against literal implementations."""

from escsr.bench.heads import HeadSetup, run_heads
from escsr.bench.large import measure_large
from escsr.bench.literal import literal_picture
from escsr.bench.networks import (
    VARIANTS,
    Setup,
    make_literal,
    run,
    train_step,
    use_default_layout,
)
from escsr.bench.profiling import costs
from escsr.bench.sessions import measure_sessions

__all__ = [
    "VARIANTS",
    "HeadSetup",
    "Setup",
    "costs",
    "literal_picture",
    "make_literal",
    "measure_large",
    "measure_sessions",
    "run",
    "run_heads",
    "train_step",
    "use_default_layout",
]
