"""esc_tiny for damaged photographs at any scale: the embedded model `real` (`esc_tiny_real`).

`real_arbitrary.py` for one CPU: lighter damage (preset "real_light"), no sharpened truth. A
fidelity model, which removes noise and JPEG blocks and invents nothing. It starts from the
embedded model for clean pictures.
Hardware: one core of a CPU, two hours.
Reaches: 0.75 dB PSNR-Y over bicubic of the same small pictures (x2 1.02, x3 0.69, x4 0.53) on the
centres of 24 held-out photos; real_arbitrary_tiny_psnr.py goes on from there.
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
        base.validation,
        roots=ROOTS,
        include=HELD_OUT,
        crop=192,
        count=24,
        sharpen=False,
        lq_from=DAMAGE,
    ),
    # as in classic_tiny.py: a short run of a small network bears a larger rate
    optimizer=partial(torch.optim.AdamW, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0),
    schedule=partial(cosine, warmup=200, floor=0.01),
    steps=20_000,
    batch=BATCH,
    grad_clip=1.0,
    start_from="esc_tiny_any",
    start_from_head="same",
    workers=0,
    log_every=100,
    validate_every=2000,
    save_every=500,
)
