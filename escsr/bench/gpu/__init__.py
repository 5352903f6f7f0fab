"""All measurements of a GPU, in one run of a few minutes and one file."""

from escsr.bench.gpu.plan import DRY, FULL, Plan
from escsr.bench.gpu.record import Record
from escsr.bench.gpu.running import bench_gpu, measure_all

__all__ = ["DRY", "FULL", "Plan", "Record", "bench_gpu", "measure_all"]
