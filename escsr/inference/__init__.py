"""Applying networks to whole pictures."""

from escsr.devices import pick_device
from escsr.inference.memory import MemoryBudget, estimate_memory, free_memory, parse_memory
from escsr.inference.networks import choose_model
from escsr.inference.plans import Plan
from escsr.inference.session import UpscaleNotice, Upscaler
from escsr.inference.sizes import SizeRequest
from escsr.inference.upscaling import upscale
from escsr.inference.watching import Cancelled

__all__ = [
    "Cancelled",
    "MemoryBudget",
    "Plan",
    "SizeRequest",
    "UpscaleNotice",
    "Upscaler",
    "choose_model",
    "estimate_memory",
    "free_memory",
    "parse_memory",
    "pick_device",
    "upscale",
]
