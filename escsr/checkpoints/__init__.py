"""Weight files: ours, and the published ones recognised by their content."""

import escsr.checkpoints.published  # noqa: F401 - registers its layouts
from escsr.checkpoints.files import read, save, write_tensors
from escsr.checkpoints.headers import Checkpoint
from escsr.checkpoints.layouts import LAYOUTS, Layout, Translation

__all__ = [
    "LAYOUTS",
    "Checkpoint",
    "Layout",
    "Translation",
    "read",
    "save",
    "write_tensors",
]
