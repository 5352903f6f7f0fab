"""Access to libvips: imports the module on first use and puts its errors on one line."""

import os
from typing import Any

_pid: int | None = None


def libvips() -> Any:
    """The pyvips module, refused after a fork.

    libvips keeps idle threads, which a forked child does not have, and would wait for them forever.
    """
    global _pid
    if _pid not in (None, os.getpid()):
        raise RuntimeError(
            "pictures were read before this process was forked, and libvips cannot go on in the "
            "child; start workers with multiprocessing's 'spawn' or 'forkserver' method"
        )
    import pyvips

    _pid = os.getpid()
    return pyvips


def reason(error: Exception) -> str:
    """The reason for an error in one line; libvips' own text, mostly function names, comes last."""
    detail = getattr(error, "detail", None)
    if detail is None:  # one of ours
        return str(error)
    if "not a known file format" in detail or "source is not in a known format" in detail:
        known = "PNG, JPEG, WebP, TIFF, AVIF, GIF, BMP, PPM"
        return f"not a picture in a format that can be read ({known})"
    lines = [line.strip() for line in detail.splitlines() if line.strip()]
    said = f" ({lines[0]})" if lines else ""
    return f"a damaged or truncated picture{said}"
