"""ESC x2 on MATLAB-bicubic pairs, as published; x3 and x4 by one override.

Row: "ESC" of the paper's classic table (arXiv 2503.06671, trained on DIV2K).
Hardware: one GPU of 24 GB or more, days; several GPUs share the batch. On less memory:
accumulate=4.
Expected: Set5 38.35 / .9619, Set14 34.11 / .9223, Urban100 33.46 / .9395 (x2).
Data: DIV2K's 800 training photos in `datasets/DIV2K/train`, its 100 validation photos in
`datasets/DIV2K/valid`. The small pictures are made on the fly, bit for bit as MATLAB makes them.

    accelerate launch tools/train.py recipes/classic.py
    escsr evaluate --model runs/classic/model.safetensors --data Set5/HR --lq Set5/LR --scale 2

Another scale from drawn weights: '*.scale=3' name=classic_x3_drawn. As published, x3 and x4 start
from x2's weights: classic_x3.py and classic_x4.py.
"""

from functools import partial

import torch

import escsr
from escsr.data import FolderDataset
from escsr.recipe import Recipe
from escsr.training import L1, CropValidation, multistep

recipe = Recipe(
    name="classic",
    model=partial(escsr.build, "esc", scale=2),
    data=partial(FolderDataset, roots=("datasets/DIV2K/train",), scale=2, patch=64),
    validation=partial(
        CropValidation, roots=("datasets/DIV2K/valid",), scale=2, crop=384, count=20
    ),
    loss=partial(L1),
    optimizer=partial(torch.optim.AdamW, lr=5e-4, betas=(0.9, 0.9), weight_decay=0.0),
    schedule=partial(
        multistep, milestones=(250_000, 400_000, 450_000, 475_000, 490_000), warmup=20_000
    ),
    steps=500_000,
    batch=64,
    ema=0.999,
    workers=8,
    log_every=500,
    validate_every=5_000,
    save_every=5_000,
)
