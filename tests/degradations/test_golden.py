"""The published pipeline's own results. Oracle: the golden file, kernels within 1e-6, rest 1e-4.

The repository holds part of it; ESCSR_SHARED names the folder of the whole.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from escsr.degradations import (
    blur_kernel,
    filter2d,
    jpeg_differentiable,
    sinc_kernel,
    usm_sharpen,
)
from tests.conftest import shared_folder

FOLDERS = [Path(__file__).parents[1] / "data" / "golden", shared_folder("golden")]
FILES = [file for folder in FOLDERS if folder for file in folder.glob("degradations.npz")]


def cases():
    for file in FILES:
        with np.load(file) as data:
            for case in json.loads(str(data["meta"])):
                name = f"{'shared' if file != FILES[0] else 'own'}-{case['key']}-{case['kind']}"
                yield pytest.param(case, data[case["key"]], data["image"], id=name)


def computed(kind, image, values):
    if kind == "jpeg":
        return jpeg_differentiable(image, [values["quality"]], tables="real-esrgan")
    if kind == "usm_sharpen":
        return usm_sharpen(image, **values)
    if kind == "filter2d_aniso21":
        return filter2d(image, [blur_kernel("gaussian_aniso", **values)])
    if kind == "sinc_padded":
        return sinc_kernel(values["size"], values["cutoff"], pad_to=values["pad_to"])
    return blur_kernel(kind, **values)


@pytest.mark.parametrize(("case", "expected", "image"), list(cases()))
def test_published_results(case, expected, image):
    values = {key: value for key, value in case.items() if key not in ("key", "kind")}
    planes = torch.from_numpy(image).permute(2, 0, 1)[None]
    found = computed(case["kind"], planes, values)
    if isinstance(found, torch.Tensor):
        assert np.abs(found[0].permute(1, 2, 0).numpy() - expected).max() < 1e-4
    else:
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 1e-6
