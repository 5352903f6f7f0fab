"""ESC-XL x2: `classic.py` with another backbone.

Row: ESC-XL of the paper (arXiv 2503.06671).
Hardware: several GPUs of 40 GB or more; accumulate=8 on fewer.
Expected: above ESC's 38.35 on Set5 x2; no figure of it is at hand here.
Data: as for classic.py.

    accelerate launch tools/train.py recipes/classic_xl.py
    escsr evaluate --model runs/classic_xl/model.safetensors --data Set5/HR --lq Set5/LR --scale 2

x3 and x4 as published, from these weights: '*.scale=4' name=classic_xl_x4
start_from=runs/classic_xl/model.safetensors start_from_head=resample.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import escsr
from escsr.recipe import load

base = load(Path(__file__).with_name("classic.py"))
recipe = replace(base, name="classic_xl", model=partial(escsr.build, "esc_xl", scale=2))
