"""ESC x4, started from x2's weights as published: `classic.py` with the head resampled.

Row: "ESC" of the paper's classic table (arXiv 2503.06671, trained on DIV2K).
Hardware: as for classic.py, which is run first.
Expected: Set5 32.68 / .9011, Set14 28.93 / .7902, Urban100 27.07 / .8144.

    accelerate launch tools/train.py recipes/classic_x4.py
    escsr evaluate --model runs/classic_x4/model.safetensors --data Set5/HR --lq Set5/LR --scale 4
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from escsr.recipe import load

SCALE = 4

base = load(Path(__file__).with_name("classic.py"))
recipe = replace(
    base,
    name="classic_x4",
    model=partial(base.model, scale=SCALE),
    data=partial(base.data, scale=SCALE),
    validation=partial(base.validation, scale=SCALE),
    start_from="runs/classic/model.safetensors",
    start_from_head="resample",
)
