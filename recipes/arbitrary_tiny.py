"""esc_tiny for any scale, from the embedded x2 model: first stage of the embedded `esc_tiny_any`.

Hardware: one core of a CPU, 70 minutes; less on two.
Reaches: Set5 37.08 dB (x2), 33.09 (x3), 30.75 (x4); bicubic 33.68, 30.41, 28.43.
Data: the folder `datasets/train` (or data.roots=... validation.roots=...): photos, any format.

    python tools/train.py recipes/arbitrary_tiny.py
    escsr evaluate --model runs/arbitrary_tiny/model.safetensors --data Set5/HR --scale 2,3,4
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

import escsr
from escsr.recipe import load
from escsr.training import cosine

ROOTS = ("datasets/train",)
HELD_OUT = ("*9.*",)  # photos whose number ends in 9 are validated on, and never trained on
BATCH = 16

base = load(Path(__file__).with_name("arbitrary.py"))
recipe = replace(
    base,
    name="arbitrary_tiny",
    # the best of the cheap heads after equal steps, see docs/heads.md
    model=partial(
        escsr.build,
        "esc_tiny",
        head="metasr",
        head_args={"image_skip": "bilinear", "cell_max_scale": 4},
    ),
    # whole pictures at scales in quarters cost this head less than 512 pixels of them
    data=partial(
        base.data,
        roots=ROOTS,
        exclude=HELD_OUT,
        patch=32,
        multiple=8,
        queries=None,
        group=BATCH,
    ),
    validation=partial(
        base.validation, roots=ROOTS, include=HELD_OUT, crop=192, scales=(2.0, 3.0, 4.0, 2.5)
    ),
    # as in classic_tiny.py: a short run of a small network bears a larger rate
    optimizer=partial(torch.optim.AdamW, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0),
    schedule=partial(cosine, warmup=200, floor=0.01),
    steps=9_500,
    batch=BATCH,
    ema=0.999,
    grad_clip=1.0,
    start_from="esc_tiny_x2",
    start_from_head="fresh",
    workers=0,
    log_every=100,
    validate_every=1000,
    save_every=1000,
)
