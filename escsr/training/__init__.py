"""Training: losses, schedules, averaged weights, validation, checkpoints and the loop."""

from escsr.training.adversarial import Adversary
from escsr.training.discriminator import UNetDiscriminator
from escsr.training.ema import WeightAverage
from escsr.training.engine import TrainingError
from escsr.training.losses import L1, Charbonnier, PSNRLoss, WeightedSum
from escsr.training.perceptual import Perceptual
from escsr.training.run import Summary
from escsr.training.schedules import constant, cosine, multistep
from escsr.training.teacher import Teacher
from escsr.training.trainer import train
from escsr.training.validation import CropValidation, ScalesValidation

__all__ = [
    "L1",
    "Adversary",
    "Charbonnier",
    "CropValidation",
    "PSNRLoss",
    "Perceptual",
    "ScalesValidation",
    "Summary",
    "Teacher",
    "TrainingError",
    "UNetDiscriminator",
    "WeightAverage",
    "WeightedSum",
    "constant",
    "cosine",
    "multistep",
    "train",
]
