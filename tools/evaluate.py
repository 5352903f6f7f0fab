"""Evaluate: ``python tools/evaluate.py -m MODEL --data HR [--lq LQ] --scale 2,4 -o FOLDER``."""

import typer

from escsr.cli.evaluate import evaluate

if __name__ == "__main__":
    typer.run(evaluate)
