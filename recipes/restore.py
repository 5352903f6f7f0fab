"""esc_tiny, a student of a restoring network at any scale: the embedded model `restore`.

The teacher is Real-ESRGAN's general-x4v3 (BSD-3-Clause), which was trained with an adversary and makes
clean, crisp lines of damaged photographs. Its picture of a small picture is a function of that one, and so
L1 alone teaches it. Smaller scales learn from its pictures, reduced.
Reaches: 28.3 dB (RGB, x4) against the teacher, on photos held out; `real` 26.0.
Hardware: one core of a CPU, ten minutes, and a few minutes for each teacher's folder.
Data: a folder of photos, best cut to 512 x 512 by tools/prepare_data.py, and of each of them a draw of
`real_light` and one of `real`, enlarged by a network of your choice.

    python tools/prepare_teacher.py datasets/tiles -o teachers/real_light --teacher teacher.py --scale 4 --preset real_light --seed 1
    python tools/prepare_teacher.py datasets/tiles -o teachers/real --teacher teacher.py --scale 4 --preset real --seed 1
    python tools/train.py recipes/restore.py
    escsr upscale --model runs/restore/model.safetensors --scale 2.7 photo.jpg
"""  # noqa: E501 - a command stays on one line

from dataclasses import replace
from functools import partial
from pathlib import Path

from timm.optim import Muon

from escsr.data import TeacherDataset
from escsr.recipe import load
from escsr.training import cosine

BATCH = 8

base = load(Path(__file__).with_name("real_arbitrary_tiny.py"))
recipe = replace(
    base,
    name="restore",
    data=partial(
        TeacherDataset,
        folders=("teachers/real_light", "teachers/real"),
        patch=32,
        scales=(1.0, 4.0),
        multiple=8,
        group=BATCH,
    ),
    validation=None,  # PSNR against the photo is not what a restoring network is good at
    precision="bf16",
    # as in arbitrary_tiny_taught.py
    optimizer=partial(Muon, lr=1e-3, momentum=0.95, nesterov=True, betas=(0.9, 0.99)),
    schedule=partial(cosine, warmup=100, floor=0.01),
    batch=BATCH,
    steps=2_700,
    ema=0.998,
    log_every=20,
    start_from="real",
    save_every=200,
)
