"""ESC-light x2: `classic.py` with another backbone.

Row: "ESC-light" of the paper's classic table.
Hardware: as for classic.py, about two thirds of the time.
Expected: Set5 38.24 / .9615, Set14 33.98 / .9211, Urban100 33.05 / .9363 (x2).
Data: as for classic.py.

    accelerate launch tools/train.py recipes/classic_light.py
    escsr evaluate --model runs/classic_light/model.safetensors --data Set5/HR --lq Set5/LR --scale 2

x3 and x4 as published, from these weights: '*.scale=4' name=classic_light_x4
start_from=runs/classic_light/model.safetensors start_from_head=resample.
"""  # noqa: E501 - a command stays on one line

from dataclasses import replace
from functools import partial
from pathlib import Path

import escsr
from escsr.recipe import load

base = load(Path(__file__).with_name("classic.py"))
recipe = replace(base, name="classic_light", model=partial(escsr.build, "esc_light", scale=2))
