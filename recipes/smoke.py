"""A few seconds of real training on a CPU, to see that everything works. The tests run it.

Hardware: any.
Data: the project's own two small photos, one to train on and one to validate on.
Expected: about 10 s; the loss falls from about 0.2, PSNR rises, bicubic stays far ahead.

    python tools/train.py recipes/smoke.py
    escsr info runs/smoke/model.safetensors
"""

from functools import partial
from pathlib import Path

import torch

import escsr
from escsr.data import FolderDataset
from escsr.recipe import Recipe
from escsr.training import Charbonnier, CropValidation, multistep

PROJECT = Path(__file__).resolve().parents[1]

recipe = Recipe(
    name="smoke",
    model=partial(escsr.build, "esc_tiny", scale=2),
    data=partial(FolderDataset, roots=(PROJECT / "examples",), scale=2, patch=16),
    validation=partial(CropValidation, roots=(PROJECT / "tests" / "data",), scale=2, crop=96),
    loss=partial(Charbonnier, eps=1e-3),
    optimizer=partial(torch.optim.AdamW, lr=1e-3, betas=(0.9, 0.9), weight_decay=0.0),
    schedule=partial(multistep, milestones=(24,), warmup=4),
    steps=30,
    batch=4,
    ema=0.9,
    grad_clip=1.0,
    log_every=5,
    validate_every=15,
    save_every=10,
)
