"""ESC-Real + LIIF: photographs of any quality to any scale.

Row: none; nobody has published one. The degradations are those of ESC-Real and Real-ESRGAN
(arXiv 2107.10833), the sampling of scales that of LIIF (arXiv 2012.09161).
Hardware: one GPU of 24 GB or more, days; several GPUs share the batch.
Expected: unknown; the tiny delta, real_arbitrary_tiny.py, is measured.
Data: DIV2K's and Flickr2K's photos in `datasets/`, validation photos beside them.

    accelerate launch tools/train.py recipes/real_arbitrary.py
    escsr upscale --model runs/real_arbitrary/model.safetensors --scale 2.7 photo.jpg
"""

from functools import partial

import torch

import escsr
from escsr.data import ArbitraryScaleDataset
from escsr.recipe import Recipe
from escsr.training import L1, ScalesValidation, multistep

recipe = Recipe(
    name="real_arbitrary",
    model=partial(escsr.build, "esc_real", head="liif"),
    data=partial(
        ArbitraryScaleDataset,
        roots=("datasets/DIV2K/train", "datasets/Flickr2K"),
        patch=64,
        scales=(1.0, 4.0),
        queries=2304,
        sharpen=True,
        lq_from="real",
    ),
    validation=partial(
        ScalesValidation,
        roots=("datasets/DIV2K/valid",),
        scales=(2.0, 3.0, 4.0),
        crop=384,
        sharpen=True,
        lq_from="real",
    ),
    loss=partial(L1),
    optimizer=partial(torch.optim.AdamW, lr=5e-4, betas=(0.9, 0.99), weight_decay=0.0),
    schedule=partial(multistep, milestones=(500_000, 800_000, 900_000), warmup=20_000),
    steps=1_000_000,
    batch=48,
    ema=0.999,
    workers=16,  # the degradations of a patch cost a core about 40 ms
    log_every=500,
    validate_every=5_000,
    save_every=5_000,
)
