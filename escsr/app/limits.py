"""What the page takes, and what it refuses before any work."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the page takes.

    Attributes:
        upload: Bytes of one file.
        pixels: Pixels of a picture that is uploaded.
        made: Pixels of a picture that is made.
        files: Files of a batch.
        jobs: Pictures that are computed at the same time; others wait.
        waiting: Pictures that may wait.

    Example:
        >>> Limits(pixels=10_000_000).upload >> 20
        64
    """

    upload: int = 64 << 20
    pixels: int = 40_000_000
    made: int = 160_000_000
    files: int = 100
    jobs: int = 2
    waiting: int = 64
