"""Weight files: ours, and the published ones recognised by their content."""

from escsr.checkpoints.files import Checkpoint, read, save

__all__ = ["Checkpoint", "read", "save"]
