"""Second stage of the embedded model `real`: more context, Muon, and the loss that PSNR measures.

Larger crops say more of a picture's blur and noise, which the network has to guess. The logarithm
of the squared error counts each picture alike; see docs/training_choices.md.
Hardware: one core of a CPU, 72 minutes.
Data: as for real_arbitrary_tiny.py; from its result: start_from=runs/real_arbitrary_tiny/model.safetensors.

    python tools/train.py recipes/real_arbitrary_tiny_psnr.py
    escsr upscale --model runs/real_arbitrary_tiny_psnr/model.safetensors --scale 2.7 photo.jpg
"""  # noqa: E501 - a command stays on one line

from dataclasses import replace
from functools import partial
from pathlib import Path

from timm.optim import Muon

from escsr.recipe import load
from escsr.training import PSNRLoss

BATCH = 8

base = load(Path(__file__).with_name("real_arbitrary_tiny.py"))
recipe = replace(
    base,
    name="real_arbitrary_tiny_psnr",
    data=partial(base.data, patch=48, multiple=12, group=BATCH),
    loss=partial(PSNRLoss),
    optimizer=partial(Muon, lr=1e-3, momentum=0.95, nesterov=True, betas=(0.9, 0.99)),
    schedule=partial(base.schedule, warmup=100),
    precision="bf16",
    batch=BATCH,
    steps=11_000,
    ema=0.998,
    seed=3,  # other samples than the first stage's
    start_from="esc_tiny_real",
)
