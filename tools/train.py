"""Train a network: ``python tools/train.py RECIPE [key=value ...] [--out DIR] [--resume]``."""

import typer

from escsr.cli.train import train

if __name__ == "__main__":
    typer.run(train)
