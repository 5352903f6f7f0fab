"""ESC-light + LM-LTE for any scale: `arbitrary.py` with a lighter network and a cheap head.

Hardware: one GPU of 12 GB or more, about a day.
Expected: no published row; a few hundredths of a dB below ESC-light's at x2 to x4.
Data: as for arbitrary.py.

    accelerate launch tools/train.py recipes/arbitrary_light.py
    escsr evaluate --model runs/arbitrary_light/model.safetensors --data Set5/HR --scale 2,3,4,6,8
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import escsr
from escsr.recipe import load

base = load(Path(__file__).with_name("arbitrary.py"))
recipe = replace(
    base, name="arbitrary_light", model=partial(escsr.build, "esc_light", head="lmf_lte")
)
