"""Train a network: ``python tools/train.py RECIPE [key=value ...] [--out DIR] [--resume]``."""

import sys

from escsr.cli.main import main

if __name__ == "__main__":
    sys.argv.insert(1, "train")
    main()
