"""ESC-RIB x2 on four collections: `classic_dflip.py` with another backbone.

Row: "ESC-RIB" (arXiv 2603.06738), trained on DIV2K, Flickr2K, LSDIR and DiverSeg-IP.
Hardware: as for classic_dflip.py, about a tenth more time on a GPU; windows of 64 as published, so
patches of 64 are one window each.
Expected: Set5 38.40 / .9621, Set14 34.45 / .9236, Urban100 34.09 / .9440 (x2).
Data: as for classic_dflip.py.

    accelerate launch tools/train.py recipes/classic_rib.py
    escsr evaluate --model runs/classic_rib/model.safetensors --data Set5/HR --lq Set5/LR --scale 2

x3 and x4 as published, from these weights: '*.scale=4' name=classic_rib_x4
start_from=runs/classic_rib/model.safetensors start_from_head=resample.
"""  # noqa: E501 - a command stays on one line

from dataclasses import replace
from functools import partial
from pathlib import Path

import escsr
from escsr.recipe import load

base = load(Path(__file__).with_name("classic_dflip.py"))
recipe = replace(base, name="classic_rib", model=partial(escsr.build, "esc_rib", scale=2))
