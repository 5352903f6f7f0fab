"""esc_tiny x2 on MATLAB-bicubic pairs: the embedded model `esc_tiny_x2`.

Hardware: one CPU, 2 cores: 35 minutes where nothing else runs.
Reaches: Set5 36.64 dB / .9548, Set14 32.50 / .9070 (bicubic 33.68, 30.33).
Data: the folder `datasets/train` (or data.roots=... validation.roots=...): photos, any format.

    python tools/train.py recipes/classic_tiny.py
    escsr evaluate --model runs/classic_tiny/model.safetensors --data Set5/HR --lq Set5/LR --scale 2
"""

from functools import partial

import torch

import escsr
from escsr.data import FolderDataset
from escsr.recipe import Recipe
from escsr.training import L1, CropValidation, cosine

ROOTS = ("datasets/train",)
HELD_OUT = ("*9.*",)  # photos whose number ends in 9 are validated on, and never trained on

recipe = Recipe(
    name="classic_tiny",
    model=partial(escsr.build, "esc_tiny", scale=2),
    data=partial(FolderDataset, roots=ROOTS, exclude=HELD_OUT, scale=2, patch=32),
    validation=partial(CropValidation, roots=ROOTS, include=HELD_OUT, scale=2),
    loss=partial(L1),
    # The paper's 5e-4 with betas (0.9, 0.9) is for batch 64 and 500 k steps; a short run of
    # a small network tolerates twice that and needs the steadier default beta2.
    optimizer=partial(torch.optim.AdamW, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0),
    schedule=partial(cosine, warmup=200, floor=0.01),
    steps=8_000,
    batch=16,
    ema=0.999,
    grad_clip=1.0,
)
