"""Training steps in bfloat16, as `escsr bench --training` measures them."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

import escsr
from escsr.bench import Setup, train_step
from escsr.bench.networks import BF16, measure


def test_a_step_in_bfloat16_computes_the_same_with_three_digits() -> None:
    # Oracle: the same step in float32. bfloat16 keeps 8 bits, so some difference there must be.
    torch.manual_seed(0)
    model = escsr.build("esc_tiny", scale=2)
    lq = torch.rand(2, 3, 16, 16)
    exact = train_step(model, lq)
    slope = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    rough = train_step(model, lq, bf16=True).float()
    assert 1e-5 < (rough - exact).abs().max() < 0.03
    rough_slope = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    assert slope.shape == rough_slope.shape
    assert rough_slope.dtype == torch.float32
    assert torch.cosine_similarity(slope, rough_slope, dim=0) > 0.95


def test_bfloat16_is_one_more_variant_of_training(tmp_path: Path) -> None:
    setup = Setup(backbone="esc_tiny", scale=2, height=16, width=16, batch=1, repeats=1, threads=1)
    made = {}
    for variant in ("escsr", BF16):
        output = tmp_path / f"{len(made)}.npy"
        order = {"variant": variant, "setup": asdict(setup), "training": True}
        assert measure({**order, "output": str(output)})["seconds"] > 0
        made[variant] = np.load(output)
    assert 1e-5 < np.abs(made[BF16] - made["escsr"]).max() < 0.03
