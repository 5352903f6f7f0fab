"""esc_small for damaged photographs at any scale, begun as a doubled `esc_tiny_real`.

A fidelity model as real_arbitrary_tiny.py's, with the same damage and twice the width: it removes
noise and JPEG blocks and invents nothing.
Hardware: one core of a CPU, 70 minutes.
Data: the folder `datasets/train` (or data.roots=...): photos, any format.

    python tools/train.py recipes/real_arbitrary_small.py
    escsr upscale --model runs/real_arbitrary_small/model.safetensors --scale 2.7 photo.jpg
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from timm.optim import Muon

import escsr
from escsr.recipe import load
from escsr.training import cosine

BATCH = 8

base = load(Path(__file__).with_name("real_arbitrary_tiny.py"))
recipe = replace(
    base,
    name="real_arbitrary_small",
    model=partial(
        escsr.build,
        "esc_small",
        head="metasr",
        head_args={"image_skip": "bilinear", "cell_max_scale": 4},
    ),
    data=partial(base.data, group=BATCH),
    loss=partial(torch.nn.MSELoss),  # what PSNR measures
    # as in arbitrary_tiny_taught.py
    optimizer=partial(Muon, lr=1e-3, momentum=0.95, nesterov=True, betas=(0.9, 0.99)),
    schedule=partial(cosine, warmup=200, floor=0.01),
    precision="bf16",
    batch=BATCH,
    steps=7_000,
    ema=0.998,
    start_from="esc_tiny_real",
    start_from_width="doubled",
)
