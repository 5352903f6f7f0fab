"""esc_tiny for any scale, a student of a larger network: the embedded model `esc_tiny_any`, second stage.

Continues from the embedded file on the pictures of a network for x4, reduced for smaller scales. The first
stage is arbitrary_tiny.py; from its result: start_from=runs/arbitrary_tiny/model.safetensors.
EFDN (NTIRE 2025's challenge on efficient super-resolution, MIT licence) is a good teacher, and quick.
docs/training_choices.md says what the teacher, the optimiser and the batch are worth.
Reaches: Set5 37.46 dB (x2), 33.69 (x3), 31.40 (x4); it begins at 37.08, 33.09 and 30.75. Three warm
restarts (see the card of `esc_tiny_any`) added 0.05, 0.04 and 0.04 in an hour.
Hardware: one core of a CPU, 85 minutes.
Data: teachers' folders, made once of photos by tools/prepare_teacher.py; any network can teach.

    python tools/prepare_teacher.py datasets/tiles -o teachers/x4 --teacher teacher.py --scale 4
    python tools/prepare_teacher.py datasets/tiles -o teachers/x4_fine --teacher teacher.py --scale 4 --reduce 2
    python tools/train.py recipes/arbitrary_tiny_taught.py
    escsr evaluate --model runs/arbitrary_tiny_taught/model.safetensors --data Set5/HR --scale 2,3,4
"""  # noqa: E501 - a command stays on one line

from dataclasses import replace
from functools import partial
from pathlib import Path

from timm.optim import Muon

from escsr.data import TeacherDataset
from escsr.recipe import load
from escsr.training import cosine

BATCH = 8

base = load(Path(__file__).with_name("arbitrary_tiny.py"))
recipe = replace(
    base,
    name="arbitrary_tiny_taught",
    data=partial(
        TeacherDataset,
        folders=("teachers/x4", "teachers/x4_fine"),
        patch=32,
        scales=(1.0, 4.0),
        multiple=8,
        group=BATCH,
    ),
    validation=None,  # the benchmarks are quick enough
    # Per step worth twice AdamW's; a step takes a tenth longer.
    optimizer=partial(Muon, lr=1.2e-3, momentum=0.95, nesterov=True, betas=(0.9, 0.99)),
    schedule=partial(cosine, warmup=200, floor=0.01),
    precision="bf16",
    batch=BATCH,
    steps=23_000,
    ema=0.998,
    start_from="default",
    start_from_head="same",
)
