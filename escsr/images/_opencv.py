"""Reading BMP through OpenCV, because the binary libvips of PyPI cannot read it."""

import struct
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from escsr.images._facts import Facts
from escsr.images._picture import Array
from escsr.images._profiles import Primaries


def is_bmp(head: bytes) -> bool:
    """Whether these first bytes are those of a BMP file."""
    return head[:2] == b"BM"


def _is_misread(data: npt.NDArray[np.uint8]) -> bool:
    """Whether OpenCV would give wrong colours for a BMP, compared with Pillow.

    It turns the palettes of OS/2 headers gray, does not scale 16-bit pixels up to white, and
    ignores the masks of 32-bit pixels.
    """
    header = data[:66].tobytes()
    if len(header) < 66:
        return False
    bits = int.from_bytes(header[28:30], "little")
    masked = int.from_bytes(header[30:34], "little") in (3, 6)
    masks = [int.from_bytes(header[i : i + 4], "little") for i in (54, 58, 62)]
    os2 = int.from_bytes(header[14:18], "little") == 12
    return os2 or bits == 16 or (masked and masks != [0xFF0000, 0xFF00, 0xFF])


_SILENT = 0
"""OpenCV's logging level at which nothing is printed."""


def read_bmp(contents: bytes) -> Array:
    """Decode such a file.

    Returns:
        (H, W, C) uint8; C is 1 (gray), 3 (RGB) or 4 (RGB and alpha).

    Raises:
        ValueError: If it cannot be decoded.
    """
    import cv2

    data = np.frombuffer(contents, np.uint8)
    if _is_misread(data):
        raise ValueError("a rare kind of BMP (OS/2, 16 bits or bit masks); save it as PNG")
    log = getattr(cv2.utils, "logging", cv2)  # a module since OpenCV 5
    level = log.getLogLevel()
    log.setLogLevel(_SILENT)  # OpenCV would print the error that is raised below
    try:
        samples = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        samples = None
    finally:
        log.setLogLevel(level)
    if samples is None:
        raise ValueError("a damaged or truncated picture, or a rare kind of BMP")
    if samples.ndim == 2:
        return samples[..., None]
    rgb = samples[..., 2::-1]
    # The fourth channel of a BMP is mostly padding: it is all zero then, not transparency.
    if samples.shape[2] == 4 and samples[..., 3].any():
        return np.concatenate([rgb, samples[..., 3:]], axis=2)
    return np.ascontiguousarray(rgb)


def bmp_facts(file: BinaryIO) -> Facts:
    """Resolution and colours, from the later kinds of header.

    Source: BITMAPV4HEADER and BITMAPV5HEADER (Microsoft, Windows GDI).
    """
    facts = Facts()
    file.seek(0)
    head = file.read(138)
    size = int.from_bytes(head[14:18], "little")
    if size < 40 or len(head) < 54:
        return facts
    x, y = struct.unpack_from("<ii", head, 38)
    if x > 0 and y > 0:
        facts.dpi = (x * 0.0254, y * 0.0254)
    if size < 108 or len(head) < 122:
        return facts
    kind = head[70:74][::-1]
    if kind == bytes(4):  # calibrated: corners in XYZ and powers, as fractions of 2³⁰ and 2¹⁶
        _take_corners(facts, struct.unpack_from("<9I3I", head, 74))
    elif size >= 124 and kind == b"MBED" and len(head) >= 134:
        place, length = struct.unpack_from("<II", head, 126)
        file.seek(14 + place)
        facts.icc = file.read(length) or None
    elif size >= 124 and kind == b"LINK":
        facts.notes.append("its colour profile is a file elsewhere, left out")
    return facts


def _take_corners(facts: Facts, values: tuple[int, ...]) -> None:
    xyz = np.array(values[:9]).reshape(3, 3) / 2**30
    powers = np.array(values[9:]) / 2**16
    sums = xyz.sum(axis=1)
    if min(sums) <= 0 or min(powers) <= 0:
        return  # empty, as many programs leave it: sRGB
    white = xyz.sum(axis=0) / xyz.sum()
    red, green, blue, light = (
        (float(x), float(y)) for x, y in [*(xyz / sums[:, None])[:, :2], white[:2]]
    )
    facts.primaries = Primaries(red, green, blue, light)
    facts.curve = (float(powers.mean()),)
