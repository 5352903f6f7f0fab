"""The examples in docstrings. Oracle: the results that they show.

An example may go on from names that it does not define (`model`, `loss`) or from the reader's own
files; such sketches must only be valid Python. Everything else is run.
"""

import dataclasses
import doctest
import importlib
import io
import pkgutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import escsr
from escsr.backbones import BACKBONES
from escsr.degradations.presets import PRESETS
from escsr.heads import HEADS

LEFT_OUT = ("escsr.app", "escsr.bench", "escsr.cli", "escsr.integrations", "escsr.__main__")
"""Servers, commands, other programs, and what takes its time."""

SKETCHES = (NameError, FileNotFoundError, ModuleNotFoundError)
RULES = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
COMMON: dict[str, Any] = {
    **{"escsr": escsr, "torch": torch, "nn": nn, "F": F, "np": np, "Path": Path},
    **{"dataclasses": dataclasses, "partial": partial, "replace": dataclasses.replace},
}


def examples() -> Iterator[Any]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    for found in pkgutil.walk_packages(escsr.__path__, "escsr."):
        if found.name.startswith(LEFT_OUT):
            continue
        try:
            module = importlib.import_module(found.name)
        except ModuleNotFoundError:  # belongs to an extra that is not installed
            continue
        package = importlib.import_module(found.name.rpartition(".")[0])
        names = {**vars(package), **vars(module), **COMMON}
        for test in finder.find(module, globs=names):
            if test.examples:
                yield pytest.param(test, id=test.name)


class Runner(doctest.DocTestRunner):
    """Keeps the first unexpected error."""

    error: BaseException | None = None

    def report_unexpected_exception(self, out: Any, test: Any, example: Any, exc_info: Any) -> None:
        self.error = self.error or exc_info[1]
        super().report_unexpected_exception(out, test, example, exc_info)


@pytest.mark.parametrize("test", list(examples()))
def test_example(test: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for example in test.examples:
        compile(example.source, test.name, "single")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ESCSR_OFFLINE", "1")
    for registry in (BACKBONES, HEADS, PRESETS):  # what an example registers is forgotten
        for table in ("_entries", "_packages", "_purposes"):
            monkeypatch.setattr(registry, table, dict(getattr(registry, table)))
    torch.manual_seed(0)
    runner, said = Runner(optionflags=RULES | doctest.FAIL_FAST), io.StringIO()
    runner.run(test, out=said.write)
    if isinstance(runner.error, SKETCHES):
        pytest.skip(f"a sketch: {runner.error}")
    assert runner.failures == 0, said.getvalue()
