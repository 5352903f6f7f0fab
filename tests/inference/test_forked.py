"""A session in a forked process. Oracle: the parent's picture, or one line and no hanging."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """
import os, sys, numpy, torch, escsr

threads_before, threads_after = map(int, sys.argv[1:])
torch.set_num_threads(threads_before)
picture = numpy.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=numpy.uint8)
wanted = escsr.upscale(picture, scale=2)
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
torch.set_num_threads(threads_after)
try:
    same = numpy.array_equal(escsr.upscale(picture, scale=2), wanted)
    print("the same" if same else "another picture")
except RuntimeError as error:
    print(error)
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize(
    ("before", "after", "said"),
    [(2, 2, "a network was run before this process was forked"), (2, 1, "the same")],
)
def test_arrays_in_a_forked_process(before: int, after: int, said: str) -> None:
    words = [sys.executable, "-c", CODE, str(before), str(after)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    (line,) = done.stdout.splitlines()
    assert line.startswith(said)
