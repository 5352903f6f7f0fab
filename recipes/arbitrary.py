"""ESC + LTE for any scale, as published.

Row: "ESC+LTE" of the paper's table of arbitrary scales (arXiv 2503.06671).
Hardware: one GPU of 24 GB or more, days; several GPUs share the batch.
Expected: Set5 PSNR-Y 38.29 (x2), 34.79 (x3), 32.72 (x4), 29.18 (x6), 27.24 (x8).
Data: DIV2K's 800 training photos in `datasets/DIV2K/train`, its validation photos beside them.

    accelerate launch tools/train.py recipes/arbitrary.py
    escsr evaluate --model runs/arbitrary/model.safetensors --data Set5/HR --scale 2,3,4,6,8
"""

from functools import partial

import torch

import escsr
from escsr.data import ArbitraryScaleDataset
from escsr.recipe import Recipe
from escsr.training import L1, ScalesValidation, multistep

EPOCH = 500  # steps; the published schedule counts in epochs, of which there are 1000

recipe = Recipe(
    name="arbitrary",
    model=partial(escsr.build, "esc", head="lte"),
    data=partial(
        ArbitraryScaleDataset,
        roots=("datasets/DIV2K/train",),
        patch=64,
        scales=(1.0, 4.0),
        queries=2304,
    ),
    validation=partial(
        ScalesValidation, roots=("datasets/DIV2K/valid",), scales=(2.0, 3.0, 4.0, 6.0), crop=384
    ),
    loss=partial(L1),
    optimizer=partial(torch.optim.Adam, lr=2e-4),
    schedule=partial(multistep, milestones=tuple(EPOCH * n for n in (500, 800, 900, 950))),
    steps=1000 * EPOCH,
    batch=32,
    ema=0.0,  # published without averaged weights
    workers=8,
    log_every=EPOCH,
    validate_every=10 * EPOCH,
    save_every=10 * EPOCH,
)
