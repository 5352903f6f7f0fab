"""esc_tiny x4, started from the x2 run's weights: the embedded model `esc_tiny_x4`.

Hardware: one CPU, 2 cores: half an hour where nothing else runs.
Reaches: Set5 30.71 dB / .8705, Set14 27.69 / .7597 (bicubic 28.43, 26.09).
Data: as for classic_tiny.py; run that recipe first.

    python tools/train.py recipes/classic_tiny_x4.py
    escsr evaluate --model runs/classic_tiny_x4/model.safetensors --data Set5/HR --lq Set5/LR --scale 4
"""  # noqa: E501 - a command stays on one line

from dataclasses import replace
from functools import partial
from pathlib import Path

from escsr.recipe import load

base = load(Path(__file__).with_name("classic_tiny.py"))
recipe = replace(
    base,
    name="classic_tiny_x4",
    model=partial(base.model, scale=4),
    data=partial(base.data, scale=4, patch=32),
    validation=partial(base.validation, scale=4),
    steps=5_000,
    start_from="runs/classic_tiny/model.safetensors",
    start_from_head="resample",
)
