"""Measures one variant of a network; `escsr.bench.run` starts a process of this for each."""

import json
import sys

from escsr.bench.networks import measure

if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
