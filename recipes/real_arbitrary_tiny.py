"""esc_tiny for damaged photographs at any scale: `real_arbitrary.py` for one CPU.

Lighter damage (preset "real_light"), no sharpened truth: a fidelity model, which removes noise
and JPEG blocks and invents nothing.
Hardware: one core of a CPU, an hour.
Reaches: 0.4 dB PSNR-Y over bicubic of the same small pictures on held-out photos at x2 to x4.
Data: the folder `datasets/train` (or data.roots=... validation.roots=...): photos, any format.

    python tools/train.py recipes/real_arbitrary_tiny.py
    escsr upscale --model runs/real_arbitrary_tiny/model.safetensors --scale 2.7 photo.jpg
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
DAMAGE = "real_light"
BATCH = 16

base = load(Path(__file__).with_name("real_arbitrary.py"))
recipe = replace(
    base,
    name="real_arbitrary_tiny",
    model=partial(
        escsr.build,
        "esc_tiny",
        head="metasr",
        head_args={"image_skip": "bilinear", "cell_max_scale": 4},
    ),
    data=partial(
        base.data,
        roots=ROOTS,
        exclude=HELD_OUT,
        patch=32,
        multiple=8,
        queries=None,
        group=BATCH,
        sharpen=False,
        lq_from=DAMAGE,
    ),
    validation=partial(
        base.validation, roots=ROOTS, include=HELD_OUT, crop=192, scales=(2.0, 3.0), lq_from=DAMAGE
    ),
    # as in classic_tiny.py: a short run of a small network bears a larger rate
    optimizer=partial(torch.optim.AdamW, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0),
    schedule=partial(cosine, warmup=200, floor=0.01),
    steps=4_000,
    batch=BATCH,
    grad_clip=1.0,
    start_from="esc_tiny_x2",
    start_from_head="fresh",
    workers=0,
    log_every=100,
    validate_every=500,
    save_every=500,
)
