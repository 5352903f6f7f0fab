"""Measures what the file still lacks; `escsr.bench.gpu.bench_gpu` runs this as a process."""

import sys
from pathlib import Path

from escsr.bench.gpu.record import DeviceLostError, Record
from escsr.bench.gpu.running import LOST, measure_all

if __name__ == "__main__":
    try:
        measure_all(Record.resumed(Path(sys.argv[1])))
    except DeviceLostError:
        sys.exit(LOST)
