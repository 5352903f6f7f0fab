"""Networks applied to whole pictures."""

from escsr.devices import pick_device
from escsr.inference.memory import estimate_memory, free_memory
from escsr.inference.sizes import SizeRequest
from escsr.inference.upscaling import UpscaleNotice, choose_model, upscale

__all__ = [
    "SizeRequest",
    "UpscaleNotice",
    "choose_model",
    "estimate_memory",
    "free_memory",
    "pick_device",
    "upscale",
]
