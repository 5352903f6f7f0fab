"""Measures what is not in the file yet; `escsr.bench.gpu.bench_gpu` starts a process of this."""

import sys
from pathlib import Path

from escsr.bench.gpu.record import DeviceLostError, Record
from escsr.bench.gpu.running import LOST, measure_all

if __name__ == "__main__":
    try:
        measure_all(Record.resumed(Path(sys.argv[1])))
    except DeviceLostError:
        sys.exit(LOST)
