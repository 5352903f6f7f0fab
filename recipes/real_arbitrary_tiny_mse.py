"""Second stage of the embedded model `real`: squared error, from real_arbitrary_tiny.py's weights.

Squared error is what PSNR measures; at a low rate it adds a little to what L1 has learnt, most
where the damage is heavy.
Hardware: one core of a CPU, half an hour.
Data: as for real_arbitrary_tiny.py; run that recipe first.

    python tools/train.py recipes/real_arbitrary_tiny_mse.py
    escsr upscale --model runs/real_arbitrary_tiny_mse/model.safetensors --scale 2.7 photo.jpg
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from escsr.recipe import load

base = load(Path(__file__).with_name("real_arbitrary_tiny.py"))
recipe = replace(
    base,
    name="real_arbitrary_tiny_mse",
    loss=partial(torch.nn.MSELoss),
    optimizer=partial(base.optimizer, lr=3e-4),
    schedule=partial(base.schedule, warmup=100),
    steps=4_500,
    seed=1,  # other samples than the first stage's
    start_from="runs/real_arbitrary_tiny/model.safetensors",
)
