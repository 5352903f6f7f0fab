"""ESC-Real x4, second stage: adversarial and perceptual, from real_x4_mse.py's weights.

Row: ESC-Real of the paper (arXiv 2503.06671).
Hardware: as for real_x4_mse.py, which is run first; VGG19's weights are downloaded once (575 MB).
Expected: pictures that look sharper and measure worse in PSNR than the first stage's; judge them
by eye and by perceptual metrics.

    accelerate launch tools/train.py recipes/real_x4_gan.py
    escsr upscale --model runs/real_x4_gan/model.safetensors photo.jpg
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from escsr.recipe import load
from escsr.training import L1, Adversary, Perceptual, WeightedSum

ADAM = partial(torch.optim.Adam, lr=1e-4, betas=(0.9, 0.99))

base = load(Path(__file__).with_name("real_x4_mse.py"))
recipe = replace(
    base,
    name="real_x4_gan",
    data=partial(base.data, keep_photo=True),  # the adversary is shown them unsharpened
    loss=partial(
        WeightedSum,
        pixel=partial(L1),
        perceptual=partial(Perceptual),
        factors={"pixel": 1.0, "perceptual": 1.0},
    ),
    adversary=partial(Adversary, optimizer=ADAM, kind="vanilla", weight=0.1),
    optimizer=ADAM,
    steps=400_000,
    start_from="runs/real_x4_mse/model.safetensors",
)
