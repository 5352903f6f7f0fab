"""ESC-Real x4, first stage: L1 on sharpened photographs, second-order degradations, as published.

Row: the network that real_x4_gan.py, ESC-Real of the paper (arXiv 2503.06671), starts from.
Hardware: one GPU of 40 GB or more, a week; several GPUs share the batch. On less: accumulate=4.
Expected: no published figure of this stage alone.
Data: DIV2K's and Flickr2K's photos in `datasets/`, validation photos beside them.

    accelerate launch tools/train.py recipes/real_x4_mse.py
    escsr upscale --model runs/real_x4_mse/model.safetensors photo.jpg
"""

from functools import partial

import torch

import escsr
from escsr.data import ArbitraryScaleDataset
from escsr.recipe import Recipe
from escsr.training import L1, CropValidation, constant

SCALE = 4
BATCH = 48

recipe = Recipe(
    name="real_x4_mse",
    model=partial(escsr.build, "esc_real", scale=SCALE),
    data=partial(
        ArbitraryScaleDataset,
        roots=("datasets/DIV2K/train", "datasets/Flickr2K"),
        patch=64,
        scales=(SCALE, SCALE),
        group=BATCH,
        sharpen=True,
        lq_from="real",
        cache_folder="datasets/decoded",
    ),
    validation=partial(
        CropValidation,
        roots=("datasets/DIV2K/valid",),
        scale=SCALE,
        crop=384,
        sharpen=True,
        lq_from="real",
    ),
    loss=partial(L1),
    optimizer=partial(torch.optim.AdamW, lr=5e-4, betas=(0.9, 0.99), weight_decay=0.0),
    schedule=partial(constant),
    steps=1_000_000,
    batch=BATCH,
    ema=0.999,
    workers=16,  # the degradations of a patch cost a core about 40 ms
    log_every=500,
    validate_every=5_000,
    save_every=5_000,
)
