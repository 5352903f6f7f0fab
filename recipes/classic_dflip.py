"""ESC x2 on four collections (DFLIP): `classic.py` with several dataset roots.

Row: networks trained on DIV2K, Flickr2K, LSDIR and DiverSeg-IP (the paper's "DFLIP").
Hardware: as for classic.py, and 400 GB of disk for the decoded photos.
Expected: a few tenths of a dB above classic.py on Urban100 and Manga109.
Data: the four collections below `datasets/`; any of them can be left out: data.roots=A,B.

    accelerate launch tools/train.py recipes/classic_dflip.py
    escsr evaluate --model runs/classic_dflip/model.safetensors --data Set5/HR --lq Set5/LR --scale 2
"""  # noqa: E501 - a command stays on one line

from dataclasses import replace
from functools import partial
from pathlib import Path

from escsr.recipe import load

ROOTS = (
    "datasets/DIV2K/train",
    "datasets/Flickr2K",
    "datasets/LSDIR/train",
    "datasets/DiverSeg-IP",
)

base = load(Path(__file__).with_name("classic.py"))
recipe = replace(
    base,
    name="classic_dflip",
    # decoded once, so that large PNG files do not starve the loop
    data=partial(base.data, roots=ROOTS, cache_folder="datasets/decoded", bad_files="skip"),
)
