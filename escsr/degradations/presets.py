"""Named pipelines."""

from collections.abc import Callable
from typing import Any

from escsr.degradations.composing import InOrder, Maybe, OneOf, Shuffled
from escsr.degradations.effect import Node
from escsr.degradations.effects import (
    Blur,
    CameraNoise,
    ChromaSubsampling,
    DefocusBlur,
    FileCodec,
    GaussianNoise,
    JpegDifferentiable,
    MatlabBicubic,
    MotionBlur,
    Oversharpen,
    PoissonNoise,
    Quantize,
    Resize,
    ResizeToLq,
    UsmSharpen,
)
from escsr.degradations.pipeline import Pipeline
from escsr.registry import Registry

PRESETS: Registry[Callable[..., Pipeline]] = Registry(
    "degradation", entry_point_group="escsr.degradations"
)
"""Factories of pipelines by name."""


def preset(name: str, **options: Any) -> Pipeline:
    """Make a pipeline by its name.

    Args:
        name: One of `list_presets`.
        options: Keyword arguments of the preset, e.g. ``sharpen=False`` for "real".

    Returns:
        The pipeline.

    Raises:
        ValueError: There is no such preset; the message gives the nearest name.
        TypeError: It has no such option.

    Example:
        >>> pipeline = preset("real_light")
    """
    return PRESETS.get(name)(**options)


def list_presets() -> list[str]:
    """Names that `preset` takes."""
    return list(PRESETS)


@PRESETS.register("bicubic")
def bicubic() -> Pipeline:
    """MATLAB's bicubic in 8 bits: the small pictures of the classic benchmarks."""
    return Pipeline((MatlabBicubic(),))


@PRESETS.register("real")
def real(*, sharpen: bool = True) -> Pipeline:
    """The second-order degradation of Real-ESRGAN, with the paper's numbers.

    Blur, resize, noise and JPEG, twice, the second time relative to the LQ size; then the LQ
    size, a sinc and JPEG in either order. Resizing is without antialiasing and JPEG has the
    published, transposed table.

    Args:
        sharpen: Start with `usm_sharpen`, as published. Pass False if the pictures are already
            sharpened because the network should learn sharpened ones.

    Source: arXiv 2107.10833, section 4.1.
    """
    jpeg = JpegDifferentiable(quality=(30, 95))
    finish: tuple[Node, ...] = (
        ResizeToLq(),
        Maybe(0.8, Blur(sinc=1.0, wide_cutoff=Blur.cutoff)),
    )
    nodes: tuple[Node, ...] = (
        Blur(sigma=(0.2, 3.0)),
        Resize(up=0.2, down=0.7, keep=0.1, scale=(0.15, 1.5)),
        _noise(sigma=30, scale=3),
        jpeg,
        Maybe(0.8, Blur(sigma=(0.2, 1.5))),
        Resize(up=0.3, down=0.4, keep=0.3, scale=(0.3, 1.2), of="lq"),
        _noise(sigma=25, scale=2.5),
        OneOf(((0.5, InOrder((*finish, jpeg))), (0.5, InOrder((jpeg, *finish))))),
        Quantize(),
    )
    return Pipeline((UsmSharpen(), *nodes) if sharpen else nodes)


def _noise(*, sigma: float, scale: float) -> Node:
    """Half Gaussian, half Poisson noise, 40 % gray, up to these strengths."""
    gaussian = GaussianNoise(sigma=(1, sigma), gray=0.4)
    return OneOf(((0.5, gaussian), (0.5, PoissonNoise(scale=(0.05, scale), gray=0.4))))


@PRESETS.register("bsrgan_like")
def bsrgan_like() -> Pipeline:
    """Blurs, shrinking, noise, a camera and JPEG in random order, and a final JPEG.

    After BSRGAN, with our camera noise in place of its camera model.

    Source: K. Zhang et al., "Designing a practical degradation model for deep blind image
        super-resolution", ICCV 2021, arXiv 2103.14006.
    """
    isotropic = Blur(kinds=(("gaussian_iso", 1.0),), sinc=0.0, sigma=(0.1, 2.8))
    # The paper's axes of [0.5, 8] are eigenvalues of the covariance: these are their roots.
    anisotropic = Blur(kinds=(("gaussian_aniso", 1.0),), sinc=0.0, sigma=(0.7, 2.8))
    jpeg = FileCodec(file_format="jpeg", quality=(30, 95))
    return Pipeline(
        (
            Shuffled(
                (
                    isotropic,
                    anisotropic,
                    Maybe(0.75, Resize(up=0, down=1, keep=0, scale=(0.5, 1))),
                    ResizeToLq(),
                    GaussianNoise(sigma=(2, 25), gray=0.4),
                    Maybe(0.9, jpeg),
                    Maybe(0.25, CameraNoise()),
                ),
                ordered=(2, 3),
            ),
            jpeg,
        )
    )


@PRESETS.register("real_light")
def real_light() -> Pipeline:
    """One round of mild damage, as in photos from phones and the web; fast on a CPU.

    Blur of one kind or none, the LQ size, noise of one kind or none, occasionally coarse chroma,
    oversharpening or bands, and usually one file format.
    """
    blur = OneOf(
        (
            (0.8, Blur(sizes=(7, 9, 11, 13), sigma=(0.2, 2.0), sinc=0.05)),
            (0.1, DefocusBlur(radius=(0.6, 2.5))),
            (0.1, MotionBlur(length=(1.5, 6))),
        )
    )
    noise = OneOf(
        (
            (0.45, GaussianNoise(sigma=(1, 12), gray=0.4)),
            (0.2, PoissonNoise(scale=(0.05, 1.0), gray=0.4)),
            (0.35, CameraNoise(shot=(0.01, 0.06), read=(0.001, 0.01))),
        )
    )
    file = OneOf(
        (
            (
                0.85,
                FileCodec(file_format="jpeg", quality=(45, 95), subsamplings=("4:2:0", "4:4:4")),
            ),
            (0.15, FileCodec(file_format="webp", quality=(45, 95))),
        )
    )
    return Pipeline(
        (
            Maybe(0.7, blur),
            ResizeToLq(),
            Maybe(0.7, noise),
            Maybe(0.05, ChromaSubsampling(factors=(2,))),
            Maybe(0.1, Oversharpen()),
            Maybe(0.03, Quantize(levels=(24, 96))),
            Maybe(0.75, file),
            Quantize(),
        )
    )
