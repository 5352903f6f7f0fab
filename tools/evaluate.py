"""Evaluate: ``python tools/evaluate.py --model M --data HR_DIR [--lq LQ_DIR] --scale 4``."""

import typer

from escsr.cli.evaluate import evaluate

if __name__ == "__main__":
    typer.run(evaluate)
