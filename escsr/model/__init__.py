"""Whole networks: a backbone and a head."""

from escsr.model._requests import MAX_SCALE
from escsr.model.config import ModelConfig
from escsr.model.features import Features
from escsr.model.network import SuperResolver, unwrapped

__all__ = ["MAX_SCALE", "Features", "ModelConfig", "SuperResolver", "unwrapped"]
