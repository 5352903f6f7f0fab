"""esc_small for any scale, begun as a grown `esc_tiny_any`: the embedded model `esc_small_any`.

The network is twice as wide and deeper, and begins with the result of the embedded one
(`start_from_width`, `start_from_depth`), so the hours that those weights have cost are not spent
again. The embedded file was doubled first and given more layers 11 912 steps later (see its card); it
reaches Set5 37.72 dB (x2), 34.06 (x3), 31.80 (x4) and began at 37.46, 33.69 and 31.40.
Hardware: one core of a CPU, four hours.
Data: as for arbitrary_tiny_taught.py.

    python tools/train.py recipes/arbitrary_small_taught.py
    escsr evaluate --model runs/arbitrary_small_taught/model.safetensors --data Set5/HR --scale 2,3,4
"""  # noqa: E501 - a command stays on one line

from dataclasses import replace
from functools import partial
from pathlib import Path

import escsr
from escsr.recipe import load

base = load(Path(__file__).with_name("arbitrary_tiny_taught.py"))
recipe = replace(
    base,
    name="arbitrary_small_taught",
    model=partial(escsr.build, "esc_small", **base.model.keywords),
    data=partial(base.data, scales=(1.5, 4.0)),
    optimizer=partial(base.optimizer, lr=1e-3),
    steps=31_000,
    start_from="esc_tiny_any",
    start_from_width="doubled",
    start_from_depth="added",
)
