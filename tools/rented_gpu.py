#!/usr/bin/env python
"""Make the most of a rented GPU machine: steps in order of value, each with a time limit.

    python tools/rented_gpu.py results --minutes 14 --photos photos --against published.py:make

1. the tests that need a GPU; 2. `escsr bench --gpu`; 3. a few steps of training in bf16 and in
fp32, to compare; 4. trainings, the most valuable first, with all the time that is left. What a step
makes lies in the folder of results at once: its log, its files, and a line in steps.json. A step
that fails or takes too long costs only itself. Run again, trainings go on where they were.

`--dry-run` rehearses all of it on a CPU with tiny sizes, before the minutes are paid for. Nothing
is fetched: PyTorch, this tree and the photos must be there.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from escsr.files import write_json

ROOT = Path(__file__).resolve().parents[1]
TRAININGS = (
    "arbitrary_tiny=3 batch=128 data.group=128 data.on_device=true",
    "arbitrary_light=2 data.on_device=true data.exclude=*9.* validation.include=*9.*",
    "real_arbitrary_tiny=1",
)
"""Recipes, each with its share of the time, and values to change."""

TESTS, BENCH, COMPARED = 0.2, 0.25, 0.03
"""Shares of all time; each of the two compared runs takes the last."""

GRACE = 20
"""Seconds that a step gets to save its state after it was asked to end."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One program to run.

    Attributes:
        name: Name of its log and its results.
        command: Its arguments.
        minutes: How long it may take.
    """

    name: str
    command: Sequence[str]
    minutes: float


@dataclass(frozen=True, kw_only=True)
class Training:
    """A recipe to train.

    Attributes:
        recipe: Its name.
        share: Of the time that is left, beside those of the others.
        changes: Values to change, "key=value".
    """

    recipe: str
    share: float
    changes: Sequence[str]

    @classmethod
    def parsed(cls, text: str) -> "Training":
        """Of "recipe=share key=value …".

        Raises:
            ValueError: If the text is none.
        """
        first, *changes = text.split()
        recipe, _, share = first.partition("=")
        if not share.replace(".", "", 1).isdigit() or not all("=" in c for c in changes):
            raise ValueError(f"a training is 'recipe=share key=value …', not {text!r}")
        return cls(recipe=recipe, share=float(share), changes=changes)


def first_steps(options: argparse.Namespace, minutes: float) -> Iterator[Step]:
    """The steps before training."""
    marked = [p for p in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.gpu" in p.read_text()]
    files = [str(path) for path in (marked[-1:] if options.dry_run else marked)]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider"]
    report = f"--junitxml={options.out / 'tests.xml'}"
    yield Step(name="tests", command=[*command, report, *files], minutes=TESTS * minutes)

    limit = BENCH * minutes
    command = [sys.executable, "-m", "escsr", "bench", "--gpu", "--minutes", f"{0.8 * limit:.3g}"]
    command += ["--output", str(options.out / "bench.json")]
    command += ["--dry-run"] if options.dry_run else []
    command += ["--against", options.against] if options.against else []
    yield Step(name="bench", command=command, minutes=limit)

    first = options.trainings[0]
    for precision in ("bf16", "fp32"):
        name = f"compared_{precision}"
        steps = "2" if options.dry_run else "200"
        changes = [*first.changes, f"precision={precision}", f"steps={steps}", "log_every=20"]
        yield _training(options, name, first.recipe, changes, COMPARED * minutes)


def last_steps(options: argparse.Namespace, until: float) -> Iterator[Step]:
    """Trainings; what one leaves of its time goes to those that follow."""
    shares = sum(training.share for training in options.trainings)
    for training in options.trainings:
        minutes = max((until - time.monotonic()) / 60, 0) * training.share / shares
        shares -= training.share
        changes = [*training.changes, "precision=bf16"]
        # Loading, validating and saving take time, too.
        changes += ["steps=2"] if options.dry_run else [f"minutes={0.8 * minutes:.3g}"]
        yield _training(options, training.recipe, training.recipe, changes, minutes)


def _training(
    options: argparse.Namespace, name: str, recipe: str, changes: Sequence[str], minutes: float
) -> Step:
    folder = options.out / name
    command = [sys.executable, str(ROOT / "tools" / "train.py")]
    if (folder / "checkpoints").is_dir():
        command += ["--resume", "--out", str(folder), "--change", "minutes", *changes]
    else:
        command += [recipe, *changes, "--out", str(folder)]
    if not options.dry_run:
        command.append(f"*.roots={','.join(map(str, options.photos))}")
        command += ["--minutes", f"{minutes:.3g}"]
    return Step(name=name, command=command, minutes=minutes)


def run(step: Step, out: Path) -> dict[str, object]:
    """Run a step, its output into a log; told to end when its time is over, and killed after that.

    Returns:
        The outcome.
    """
    began = time.monotonic()
    late = False
    with (out / f"{step.name}.log").open("a", encoding="utf-8") as log:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            step.command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=environment
        )
        try:
            process.wait(60 * step.minutes)
        except subprocess.TimeoutExpired:
            late = True
            process.terminate()
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
        finally:
            if process.poll() is None:
                process.kill()
            code = process.wait()
    seconds = round(time.monotonic() - began, 1)
    return {**asdict(step), "code": code, "late": late, "seconds": seconds}


def parsed() -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("out", type=Path, help="folder of results")
    add("--minutes", type=float, default=14, help="all of them together (14)")
    add("--photos", type=Path, nargs="+", default=[], help="folders of photos to train on")
    add("--against", help="FILE.py:function, see escsr bench")
    add("--training", action="append", help="'recipe=share key=value …', again and again")
    add("--dry-run", action="store_true", help="rehearse on a CPU, with tiny sizes")
    options = parser.parse_args()
    if options.minutes <= 0:
        parser.error(f"--minutes must be more than 0, not {options.minutes}")
    texts = ["smoke=1 validation=None"] if options.dry_run else options.training or TRAININGS
    try:
        options.trainings = [Training.parsed(text) for text in texts]
    except ValueError as error:
        parser.error(str(error))
    missing = [str(path) for path in options.photos if not path.is_dir()]
    if missing or not (options.photos or options.dry_run):
        parser.error(f"--photos names folders of photos to train on; missing: {missing or 'all'}")
    options.out, options.photos = options.out.resolve(), [p.resolve() for p in options.photos]
    if options.against:
        file, _, function = options.against.rpartition(":")
        options.against = f"{Path(file).resolve()}:{function}"
    return options


def main() -> None:
    """Run all steps; the exit code says whether one failed."""
    options = parsed()
    options.out.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + 60 * options.minutes
    done: list[dict[str, object]] = []
    for steps in (first_steps(options, options.minutes), last_steps(options, until)):
        for step in steps:
            print(f"{step.name}: at most {step.minutes:.1f} minutes", flush=True)
            done.append(run(step, options.out))
            write_json(options.out / "steps.json", done)
            print(json.dumps({key: done[-1][key] for key in ("code", "late", "seconds")}))
    sys.exit(any(step["code"] for step in done))


if __name__ == "__main__":
    main()
