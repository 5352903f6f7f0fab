"""ESC-FP x2: `classic.py` with another backbone.

Row: "ESC-FP" of the paper's classic table.
Hardware: as for classic.py.
Expected: Set5 38.27 / .9617, Set14 34.09 / .9219, Urban100 33.22 / .9375 (x2).
Data: as for classic.py.

    accelerate launch tools/train.py recipes/classic_fp.py
    escsr evaluate --model runs/classic_fp/model.safetensors --data Set5/HR --lq Set5/LR --scale 2

x3 and x4 as published, from these weights: '*.scale=4' name=classic_fp_x4
start_from=runs/classic_fp/model.safetensors start_from_head=resample.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import escsr
from escsr.recipe import load

base = load(Path(__file__).with_name("classic.py"))
recipe = replace(base, name="classic_fp", model=partial(escsr.build, "esc_fp", scale=2))
