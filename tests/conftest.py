"""What the tests share: golden files if they are at hand, and weights drawn by name."""

import json
import os
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

# One thread each: networks this small mostly wait for each other's, and pytest-xdist runs as many
# processes as there are cores.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # of programs that tests start

# Largest absolute difference allowed against a reference, by number type.
TOLERANCE = {
    "golden": 2e-4,  # published code, float32, outputs a few units large
    torch.float64: 1e-10,
    torch.float32: 2e-5,
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order tests for several processes (``-n``): what takes long begins first, and fills no tail.

    A file's tests stay together in one process, where they share their fixtures; slow tests go
    where there is room.
    """
    if not hasattr(config, "workerinput"):
        return  # one process: in the order of the files
    sizes = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.get_closest_marker("slow") is None, -sizes[item.path]))
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            slow = item.get_closest_marker("slow") is not None
            item.add_marker(pytest.mark.xdist_group(item.nodeid if slow else str(item.path)))


def shared_folder(*parts: str) -> Path | None:
    """A folder of the data that is not in the repository, if ESCSR_SHARED names it."""
    root = os.environ.get("ESCSR_SHARED")
    path = Path(root, *parts) if root else None
    return path if path is not None and path.exists() else None


def drawn(names: Iterable[tuple[str, Iterable[int]]], salt: str = "") -> dict[str, torch.Tensor]:
    """Weights drawn from their names, as the golden files define them."""
    tensors = {}
    for name, shape in names:
        shape = tuple(shape)
        state = np.random.RandomState(zlib.crc32((salt + name).encode()))
        noise = state.standard_normal(shape).astype(np.float32)
        if name.endswith(("relative_position_bias", "flashbias_q", "flashbias_k")):
            value = 0.5 * noise
        elif name.endswith(("attn.to_q", "attn.to_k")):
            value = noise / np.sqrt(shape[1])
        elif len(shape) == 1 and name.endswith("weight"):
            value = 1 + 0.1 * noise
        elif len(shape) == 1:
            value = 0.05 * noise
        else:
            value = noise / np.sqrt(np.prod(shape[1:]))
        tensors[name] = torch.from_numpy(np.asarray(value, dtype=np.float32))
    return tensors


def read_golden(path: Path) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
    """Input, output and description of a golden network file."""
    with np.load(path) as data:
        meta = json.loads(str(data["meta"]))
        return torch.from_numpy(data["input"]), torch.from_numpy(data["output"]), meta


def golden_files() -> dict[str, Path]:
    """The golden network files at hand: those of the repository, and more by ESCSR_SHARED."""
    folders = [Path(__file__).parent / "data" / "golden", shared_folder("golden")]
    return {p.stem: p for folder in folders if folder for p in sorted(folder.glob("esc_*.npz"))}
