"""Small folders and a small network that the tests of this room share."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import escsr
from escsr import checkpoints
from escsr.images import Picture, write_image
from escsr.resize import imresize

PHOTO = Path(__file__).parents[1] / "data" / "photo.png"


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """``Mini/HR`` with five pictures, ``Mini/LQ/X2`` and ``X3`` named as the benchmarks are."""
    photo = cv2.imread(str(PHOTO), cv2.IMREAD_COLOR_RGB)
    root = tmp_path / "Mini"
    for number in range(5):
        gt = photo[number * 3 : number * 3 + 48, number * 4 : number * 4 + 42 + 6 * number]
        (root / "HR").mkdir(parents=True, exist_ok=True)
        write_image(root / "HR" / f"p{number}.png", Picture(pixels=gt.copy()))
        for scale in (2, 3):
            small = imresize(gt, size=(48 // scale, gt.shape[1] // scale), border="clamp")
            (root / "LQ" / f"X{scale}").mkdir(parents=True, exist_ok=True)
            write_image(root / "LQ" / f"X{scale}" / f"p{number}x{scale}.png", Picture(pixels=small))
    return root


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of drawn weights at x2."""
    torch.manual_seed(0)
    model = escsr.build("esc_tiny", scale=2, backbone_args={"num_blocks": 1, "conv_blocks": 1})
    model.trained = True
    path = tmp_path_factory.mktemp("weights") / "two.safetensors"
    checkpoints.save(model, path, facts={"recipe": "none", "steps": 3})
    return path


class Shifted(torch.nn.Module):
    """Bicubic with an error of its own on each channel: a model whose figures are known."""

    def __init__(self, steps: float, stop_after: int | None = None) -> None:
        super().__init__()
        self.steps = torch.nn.Parameter(torch.tensor(float(steps)))
        self.left = stop_after
        self.calls = 0

    def forward(self, lq, scale=None, size=None):
        if self.left is not None and self.calls >= self.left:
            raise KeyboardInterrupt
        self.calls += 1
        picture = lq[0].permute(1, 2, 0).numpy().astype(np.float64)
        large = imresize(picture, size=size) + self.steps.item() / 255
        return torch.from_numpy(large).permute(2, 0, 1)[None]
