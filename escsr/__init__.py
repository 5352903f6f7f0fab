"""Image super-resolution with the ESC family of networks.

Example:
    >>> import escsr
    >>> picture = escsr.upscale("photo.jpg", scale=4)
    >>> model = escsr.build("esc_light", scale=2)
"""

import escsr.pretrained  # noqa: F401 - gives networks save_pretrained and its like
from escsr.build import (
    build,
    initialise_from,
    list_backbones,
    list_heads,
    list_models,
    load,
    with_low_rank_bias,
)
from escsr.inference import Cancelled, Upscaler, upscale
from escsr.model import ModelConfig, SuperResolver
from escsr.version import __version__

__all__ = [
    "Cancelled",
    "ModelConfig",
    "SuperResolver",
    "Upscaler",
    "__version__",
    "build",
    "initialise_from",
    "list_backbones",
    "list_heads",
    "list_models",
    "load",
    "upscale",
    "with_low_rank_bias",
]
