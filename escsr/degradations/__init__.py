"""Degradations: damage photographs as cameras, screens and the web do.

An effect draws parameters for each picture from an explicit generator; pure functions apply them to
a batch. A draw is stored as a small JSON that replays the picture.
"""

from escsr.degradations.bounds import Bounds, Choice
from escsr.degradations.codecs import (
    FILE_FORMATS,
    SUBSAMPLINGS,
    VIDEO_CODECS,
    encode_decode,
    encode_decode_video,
)
from escsr.degradations.color import (
    quantize,
    rgb_to_ycbcr,
    subsample_chroma,
    to_gray,
    ycbcr_to_rgb,
)
from escsr.degradations.composing import InOrder, Maybe, OneOf, Shuffled
from escsr.degradations.effect import (
    EFFECTS,
    Effect,
    Frame,
    Node,
    Parameters,
    parameters_from_dict,
)
from escsr.degradations.effects import (
    Albumentations,
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
    VideoFrame,
)
from escsr.degradations.filtering import filter2d, oversharpen, usm_sharpen
from escsr.degradations.jpeg import JPEG_TABLES, jpeg_differentiable
from escsr.degradations.kernels import (
    BLUR_KINDS,
    blur_kernel,
    defocus_kernel,
    motion_kernel,
    sinc_kernel,
)
from escsr.degradations.noise import camera_noise, gaussian_noise, poisson_noise
from escsr.degradations.pipeline import Draw, Pipeline, degrade
from escsr.degradations.presets import PRESETS, list_presets, preset
from escsr.degradations.resizing import RESIZE_MODES, resize

__all__ = [
    "BLUR_KINDS",
    "EFFECTS",
    "FILE_FORMATS",
    "JPEG_TABLES",
    "PRESETS",
    "RESIZE_MODES",
    "SUBSAMPLINGS",
    "VIDEO_CODECS",
    "Albumentations",
    "Blur",
    "Bounds",
    "CameraNoise",
    "Choice",
    "ChromaSubsampling",
    "DefocusBlur",
    "Draw",
    "Effect",
    "FileCodec",
    "Frame",
    "GaussianNoise",
    "InOrder",
    "JpegDifferentiable",
    "MatlabBicubic",
    "Maybe",
    "MotionBlur",
    "Node",
    "OneOf",
    "Oversharpen",
    "Parameters",
    "Pipeline",
    "PoissonNoise",
    "Quantize",
    "Resize",
    "ResizeToLq",
    "Shuffled",
    "UsmSharpen",
    "VideoFrame",
    "blur_kernel",
    "camera_noise",
    "defocus_kernel",
    "degrade",
    "encode_decode",
    "encode_decode_video",
    "filter2d",
    "gaussian_noise",
    "jpeg_differentiable",
    "list_presets",
    "motion_kernel",
    "oversharpen",
    "parameters_from_dict",
    "poisson_noise",
    "preset",
    "quantize",
    "resize",
    "rgb_to_ycbcr",
    "sinc_kernel",
    "subsample_chroma",
    "to_gray",
    "usm_sharpen",
    "ycbcr_to_rgb",
]
