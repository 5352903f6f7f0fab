"""The effects, each in two parts: parameters for one picture, and ranges to draw them from."""

from escsr.degradations.effects.blur import (
    REAL_ESRGAN_KINDS,
    Blur,
    BlurParameters,
    DefocusBlur,
    DefocusBlurParameters,
    MotionBlur,
    MotionBlurParameters,
)
from escsr.degradations.effects.color import (
    ChromaSubsampling,
    ChromaSubsamplingParameters,
    Quantize,
    QuantizeParameters,
)
from escsr.degradations.effects.compression import (
    FileCodec,
    FileCodecParameters,
    JpegDifferentiable,
    JpegDifferentiableParameters,
    VideoCodecParameters,
    VideoFrame,
)
from escsr.degradations.effects.foreign import Albumentations, AlbumentationsParameters
from escsr.degradations.effects.noise import (
    CameraNoise,
    CameraNoiseParameters,
    GaussianNoise,
    GaussianNoiseParameters,
    PoissonNoise,
    PoissonNoiseParameters,
)
from escsr.degradations.effects.resizing import (
    MatlabBicubic,
    MatlabBicubicParameters,
    Resize,
    ResizeParameters,
    ResizeToLq,
)
from escsr.degradations.effects.sharpen import (
    Oversharpen,
    OversharpenParameters,
    UsmSharpen,
    UsmSharpenParameters,
)

__all__ = [
    "REAL_ESRGAN_KINDS",
    "Albumentations",
    "AlbumentationsParameters",
    "Blur",
    "BlurParameters",
    "CameraNoise",
    "CameraNoiseParameters",
    "ChromaSubsampling",
    "ChromaSubsamplingParameters",
    "DefocusBlur",
    "DefocusBlurParameters",
    "FileCodec",
    "FileCodecParameters",
    "GaussianNoise",
    "GaussianNoiseParameters",
    "JpegDifferentiable",
    "JpegDifferentiableParameters",
    "MatlabBicubic",
    "MatlabBicubicParameters",
    "MotionBlur",
    "MotionBlurParameters",
    "Oversharpen",
    "OversharpenParameters",
    "PoissonNoise",
    "PoissonNoiseParameters",
    "Quantize",
    "QuantizeParameters",
    "Resize",
    "ResizeParameters",
    "ResizeToLq",
    "UsmSharpen",
    "UsmSharpenParameters",
    "VideoCodecParameters",
    "VideoFrame",
]
