"""Installed packages, as far as Python's entry points go: a module and its metadata in a folder."""

import os
import subprocess
from pathlib import Path

from tests.forking import run_python

ROOT = Path(__file__).parents[2]


def make_package(folder: Path, name: str, code: str, points: dict[str, dict[str, str]]) -> None:
    """Write what `pip install` leaves of a package.

    Args:
        folder: Where packages lie, to be put on the search path.
        name: Of the distribution; its module has underscores for hyphens.
        code: Of the module.
        points: Entry points, by group and name.
    """
    (folder / (name.replace("-", "_") + ".py")).write_text(code, encoding="utf-8")
    metadata = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = []
    for group, entries in points.items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in entries.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def run_in_python(*args: object, packages: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A Python of its own that finds the packages of a folder, and escsr."""
    path = os.pathsep.join((str(packages), str(ROOT)))
    return run_python(*args, cwd=cwd, environment={"PYTHONPATH": path})


def run_escsr(*args: object, packages: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The program in such a Python."""
    program = "from escsr.cli.main import main; main()"
    return run_in_python("-c", program, *args, packages=packages, cwd=cwd)
