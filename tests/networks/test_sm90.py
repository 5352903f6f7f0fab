"""Kernels for an H100, made without one. Oracle: Triton's compiler and NVIDIA's assembler."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.skipif(
    not torch.__version__.startswith("2.14") or torch.version.cuda is None,
    reason="it reaches into the compiler of PyTorch 2.14, with CUDA",
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="test_gpu.py runs the real thing")
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.parametrize("backbone", ["esc", "esc_rib"])
def test_kernels_are_compiled_for_a_device_that_is_not_there(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "triton"))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.networks.sm90", backbone],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 10
