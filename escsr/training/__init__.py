"""Training: losses, schedules, averaged weights, validation, checkpoints and the loop."""

from escsr.training.ema import WeightAverage
from escsr.training.losses import L1, Charbonnier
from escsr.training.schedules import constant, cosine, multistep
from escsr.training.trainer import Summary, TrainingError, train
from escsr.training.validation import CropValidation

__all__ = [
    "L1",
    "Charbonnier",
    "CropValidation",
    "Summary",
    "TrainingError",
    "WeightAverage",
    "constant",
    "cosine",
    "multistep",
    "train",
]
