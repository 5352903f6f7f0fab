"""Speed and memory, measured against what is written out literally."""

from escsr.bench.heads import HeadMeasurement, HeadSetup, run_heads
from escsr.bench.large import LargeMeasurement, measure_large
from escsr.bench.literal import literal_picture
from escsr.bench.networks import (
    VARIANTS,
    Measurement,
    Setup,
    make_literal,
    run,
    train_step,
    use_default_layout,
)
from escsr.bench.profiling import Cost, costs
from escsr.bench.sessions import Comparison, measure_sessions

__all__ = [
    "VARIANTS",
    "Comparison",
    "Cost",
    "HeadMeasurement",
    "HeadSetup",
    "LargeMeasurement",
    "Measurement",
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
