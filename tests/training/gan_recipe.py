"""A small adversarial run for the tests: 200 steps on the project's own photos."""

from functools import partial
from pathlib import Path

import torch

import escsr
from escsr.data import FolderDataset
from escsr.recipe import Recipe
from escsr.training import L1, Adversary, UNetDiscriminator, constant

PROJECT = Path(__file__).resolve().parents[2]
TINY = {"num_blocks": 1, "conv_blocks": 1, "dim": 16, "partial_dim": 4}

recipe = Recipe(
    name="gan",
    model=partial(escsr.build, "esc_tiny", scale=2, backbone_args=TINY),
    data=partial(FolderDataset, roots=(PROJECT / "tests" / "data",), scale=2, patch=8),
    loss=partial(L1),
    optimizer=partial(torch.optim.Adam, lr=1e-3, betas=(0.9, 0.99)),
    schedule=partial(constant, warmup=2),
    adversary=partial(
        Adversary,
        discriminator=partial(UNetDiscriminator, features=4),
        optimizer=partial(torch.optim.Adam, lr=1e-3, betas=(0.9, 0.99)),
        weight=0.1,
    ),
    steps=200,
    batch=2,
    ema=0.9,
    log_every=10,
    save_every=20,
    tensorboard=False,
)
