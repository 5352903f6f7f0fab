"""What the tests of the room share."""

import math

import numpy as np
import pytest
import torch

from escsr.degradations.effects import (
    AlbumentationsParameters,
    BlurParameters,
    CameraNoiseParameters,
    ChromaSubsamplingParameters,
    DefocusBlurParameters,
    FileCodecParameters,
    GaussianNoiseParameters,
    JpegDifferentiableParameters,
    MatlabBicubicParameters,
    MotionBlurParameters,
    OversharpenParameters,
    PoissonNoiseParameters,
    QuantizeParameters,
    ResizeParameters,
    UsmSharpenParameters,
    VideoCodecParameters,
)

ISO_NOISE = (
    '{"transform": {"__class_fullname__": "ISONoise", "p": 1.0, '
    '"intensity": [0.1, 0.5], "color_shift": [0.01, 0.05]}}'
)

# Eight pictures' parameters for every effect; those with equal batch keys go together.
EIGHT = {
    "blur": [
        BlurParameters(
            kind=kind,
            size=7 + 2 * index,
            sigma_x=0.5 + index / 3,
            sigma_y=1.5,
            theta=index / 2,
            beta=0.7 + index / 4,
            cutoff=1 + index / 4,
        )
        for index, kind in enumerate(
            [
                "gaussian_iso",
                "gaussian_aniso",
                "generalized_iso",
                "generalized_aniso",
                "plateau_iso",
                "plateau_aniso",
                "sinc",
                "sinc",
            ]
        )
    ],
    "motion_blur": [MotionBlurParameters(length=1.5 * i, angle=0.4 * i) for i in range(8)],
    "defocus_blur": [DefocusBlurParameters(radius=0.3 + 0.5 * i) for i in range(8)],
    "usm_sharpen": [UsmSharpenParameters(weight=0.2 * i) for i in range(8)],
    "oversharpen": [OversharpenParameters(amount=0.3 * i, sigma=0.4 + 0.2 * i) for i in range(8)],
    "resize": [
        ResizeParameters(size=(20, 31), mode=("area", "bilinear", "bicubic")[i % 3])
        for i in range(6)
    ]
    + [ResizeParameters(size=(20, 31), mode="bicubic", antialias=True)] * 2,
    "matlab_bicubic": [MatlabBicubicParameters(size=(20, 31))] * 8,
    "gaussian_noise": [
        GaussianNoiseParameters(sigma=4.0 * i, gray=i % 2 == 0, seed=i) for i in range(8)
    ],
    "poisson_noise": [
        PoissonNoiseParameters(scale=0.3 * i, gray=i % 2 == 0, seed=i) for i in range(8)
    ],
    "camera_noise": [
        CameraNoiseParameters(shot=0.02 * i, read=0.01, grain=0.2 * i, seed=i) for i in range(8)
    ],
    "jpeg_differentiable": [
        JpegDifferentiableParameters(
            quality=20 + 9.7 * i, tables=("standard", "real-esrgan")[i % 2]
        )
        for i in range(8)
    ],
    "file_codec": [
        FileCodecParameters(file_format=name, quality=40 + 5 * i)
        for i, name in enumerate(["jpeg", "webp", "jpeg", "jpeg", "webp", "avif", "jpeg", "avif"])
    ],
    "chroma_subsampling": [
        ChromaSubsamplingParameters(factor=(2, 4)[i % 2], smooth=i < 4) for i in range(8)
    ],
    "quantize": [QuantizeParameters(levels=2**i + 1) for i in range(8)],
    "albumentations": [AlbumentationsParameters(transform=ISO_NOISE, seed=i) for i in range(8)],
    "video_codec": [VideoCodecParameters(codec="h264", quality=20 + i) for i in range(8)],
}


def pictures(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Waves, edges and some noise, in 8-bit steps."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    made = []
    for _ in range(3 * count):
        a, b, c, d = rng.uniform(0.05, 0.9, 4)
        plane = 0.5 + 0.3 * np.sin(a * x + b * y + 6 * c)
        plane += 0.3 * (x * math.cos(7 * d) + y * math.sin(7 * d) > 0.3 * width)
        made.append(plane + rng.normal(0, 0.03, plane.shape))
    stacked = np.stack(made).reshape(count, 3, height, width)
    return torch.from_numpy((np.clip(stacked, 0, 1) * 255).round() / 255).float()


@pytest.fixture(autouse=True)
def one_thread():
    """Small pictures are slower with two, and results do not depend on it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def image() -> torch.Tensor:
    return pictures(1, 51, 64)
