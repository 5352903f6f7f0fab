"""esc_tiny for any scale, a student of a larger network: the default model, trained further.

Continues from the embedded `esc_tiny_any` on the pictures of a network for x4, reduced for smaller
scales: docs/training_choices.md says what that is worth. EFDN (NTIRE 2025's challenge on efficient
super-resolution, MIT licence) is a good teacher, and quick.
Hardware: one core of a CPU, an hour.
Data: a teacher's folder, made once of photos by tools/prepare_teacher.py; any network can teach.

    python tools/prepare_teacher.py datasets/tiles -o teachers/x4 --teacher teacher.py --scale 4
    python tools/train.py recipes/arbitrary_tiny_taught.py
    escsr evaluate --model runs/arbitrary_tiny_taught/model.safetensors --data Set5/HR --scale 2,3,4
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from escsr.data import TeacherDataset
from escsr.recipe import load
from escsr.training import cosine

base = load(Path(__file__).with_name("arbitrary_tiny.py"))
recipe = replace(
    base,
    name="arbitrary_tiny_taught",
    data=partial(
        TeacherDataset,
        folders=("teachers/x4",),
        patch=32,
        scales=(1.0, 4.0),
        multiple=8,
        group=base.batch,
    ),
    validation=None,  # the benchmarks are quick enough
    optimizer=partial(base.optimizer, lr=5e-4),
    schedule=partial(cosine, warmup=50, floor=0.01),
    steps=2_000,
    ema=0.995,
    start_from="default",
    start_from_head="same",
)
