"""Weight files: ours, and the published ones recognised by their content."""

from escsr.checkpoints.files import Checkpoint, read, save, write_tensors

__all__ = ["Checkpoint", "read", "save", "write_tensors"]
