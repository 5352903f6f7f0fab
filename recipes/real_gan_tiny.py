"""A few hundred adversarial steps on one CPU, at any scale, from real_arbitrary_tiny.py's weights.

Row: none; to see that adversarial training works, and to try settings.
Hardware: one CPU, 2 cores: about ten minutes.
Expected: finite losses, sharper and less faithful pictures than those it starts from.
Data: as for real_arbitrary_tiny.py; run that recipe first.

    python tools/train.py recipes/real_gan_tiny.py
    escsr upscale --model runs/real_gan_tiny/model.safetensors --scale 2.7 photo.jpg
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from escsr.recipe import load
from escsr.training import L1, Adversary, UNetDiscriminator, WeightedSum, constant

ADAM = partial(torch.optim.Adam, lr=1e-4, betas=(0.9, 0.99))
BATCH = 4

base = load(Path(__file__).with_name("real_arbitrary_tiny.py"))
recipe = replace(
    base,
    name="real_gan_tiny",
    data=partial(base.data, group=BATCH),
    loss=partial(WeightedSum, pixel=partial(L1), factors={"pixel": 1.0}),
    adversary=partial(
        Adversary,
        discriminator=partial(UNetDiscriminator, features=16),
        optimizer=ADAM,
        weight=0.1,
    ),
    optimizer=ADAM,
    schedule=partial(constant),
    steps=200,
    batch=BATCH,
    ema=0.99,
    log_every=10,
    validate_every=100,
    save_every=50,
    start_from="runs/real_arbitrary_tiny/model.safetensors",
    start_from_head="same",
)
