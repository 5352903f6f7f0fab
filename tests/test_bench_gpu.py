"""`escsr bench --gpu`, rehearsed. Oracle: the file's own contents, and what was made to fail."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from escsr.bench.gpu import DRY, Record, bench_gpu, measure_all
from escsr.bench.gpu.record import SECTIONS, DeviceLostError

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {"minutes": 1.0, "dry_run": True, "against": None}

DIES = """
import os

def make(backbone, scale, device):
    os._exit(3)
"""

RIVAL = """
import torch

from tests.networks.literal import Literal, shapes

CONFIG = {"dim": 16, "pdim": 8, "kernel_size": 7, "n_blocks": 1, "conv_blocks": 1}
CONFIG |= {"window_size": 4, "num_heads": 2, "exp_ratio": 1.25}


class Published(torch.nn.Module):
    def __init__(self, scale):
        super().__init__()
        config = {**CONFIG, "upscaling_factor": scale}
        drawn = torch.Generator().manual_seed(0)
        self.tensors = {
            name: 0.1 * torch.randn(shape, generator=drawn)
            for name, shape in shapes("ESC", config).items()
        }
        self.literal = Literal("ESC", config, self.tensors)

    def forward(self, lq):
        return self.literal(lq)

    def state_dict(self):
        return self.tensors


def make(backbone, scale, device):
    return Published(scale) if backbone == "esc" else None
"""


def page(*files: Path) -> str:
    """What the script prints."""
    command = [sys.executable, ROOT / "tools" / "gpu_page.py", *files]
    return subprocess.run(command, capture_output=True, check=True, encoding="utf-8").stdout


def test_the_page_is_that_of_its_file() -> None:
    measured = ROOT / "docs" / "benchmarks" / "gpu.json"
    made = page(*([measured] if measured.exists() else []))
    assert (ROOT / "docs" / "benchmarks" / "gpu.md").read_text(encoding="utf-8") == made


def test_a_rehearsal_measures_all_sections_and_records_failures(tmp_path: Path) -> None:
    (tmp_path / "rival.py").write_text(RIVAL)
    settings = {**SETTINGS, "against": f"{tmp_path / 'rival.py'}:make"}
    plan = replace(DRY, networks=("esc",), precisions=("bf16",), checked_backbones=("esc",))
    plan = replace(plan, runs=("eager", "cuda graph"), trained=("default",))
    measure_all(Record.begun(tmp_path / "gpu.json", settings), plan)
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert report["finished"]
    for section in SECTIONS:
        errors = {entry["error"] for entry in report[section] if "error" in entry}
        missing = {"ValueError: CUDA graphs need a CUDA device, and this is cpu"}
        assert errors == (missing if section == "networks" else set())
        assert len(report[section]) > len(errors)
    assert all(entry["right"] for entry in report["correctness"])
    exact = next(entry for entry in report["against"] if entry["precision"] == "fp32")
    assert exact["same_weights"]
    assert exact["difference"] < 1e-4
    assert exact["times_as_fast"] == exact["theirs"]["ms"] / exact["ours"]["ms"]
    made = page(tmp_path / "gpu.json")
    assert "A rehearsal" in made
    assert "\nNot measured yet" not in made


def test_what_was_measured_is_not_measured_again_after_a_crash(tmp_path: Path) -> None:
    record = Record.begun(tmp_path / "gpu.json", SETTINGS)
    record.measure("rates", {"what": "one"}, lambda: {"ms": 1})
    with pytest.raises(DeviceLostError):
        record.measure("rates", {"what": "two"}, lambda: _fail("CUDA error: device-side assert"))
    record.report["pending"] = {"section": "rates", "about": {"what": "three"}, "since": 0}
    record.write()
    again = Record.resumed(record.path)
    entries = [
        again.measure("rates", {"what": what}, lambda: {"ms": 2})
        for what in ("one", "two", "three", "four")
    ]
    assert [entry.get("ms") for entry in entries] == [1, None, None, 2]
    assert "device-side assert" in entries[1]["error"]
    assert entries[2]["error"] == "the process ended"


def _fail(text: str) -> dict[str, float]:
    raise RuntimeError(text)


def test_what_there_is_no_time_for_is_counted(tmp_path: Path) -> None:
    record = Record.begun(tmp_path / "gpu.json", {**SETTINGS, "dry_run": False})
    assert record.measure("rates", {"what": "long"}, lambda: {"ms": 1}, needs=1e6) is None
    record.report["began"] -= 60
    assert record.measure("training", {"what": "late"}, lambda: {"ms": 1}) is None
    assert record.report["left_out"] == {**dict.fromkeys(SECTIONS, 0), "rates": 1, "training": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "sees no CUDA device .*--dry-run"),
        ({"dry_run": True, "minutes": 0}, "minutes must be more than 0"),
        ({"dry_run": True, "against": "rival.py"}, "takes FILE.py:function"),
        ({"dry_run": True, "against": f"{__file__}:nothing"}, "has no function 'nothing'"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    options: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=message):
        bench_gpu(tmp_path / "gpu.json", **options)


@pytest.mark.slow
def test_the_whole_rehearsal_goes_on_when_its_process_dies(tmp_path: Path) -> None:
    (tmp_path / "rival.py").write_text(DIES)
    against = f"{tmp_path / 'rival.py'}:make"
    report = bench_gpu(tmp_path / "gpu.json", dry_run=True, against=against)
    assert report["finished"]
    assert {entry["error"] for entry in report["against"]} == {"the process ended"}
    assert {entry["run"] for entry in report["networks"] if "ms" in entry} == {"eager", "default"}
    assert report["training"]
