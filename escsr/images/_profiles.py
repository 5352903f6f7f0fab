"""Colour profiles from numbers in files: primaries, white point and a transfer curve.

Source: ICC.1:2010 (profile version 4.3); ITU-T H.273 for the code points of cICP and AVIF.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

XY = tuple[float, float]


class Primaries(NamedTuple):
    """Chromaticities (x, y) of red, green, blue and white."""

    red: XY
    green: XY
    blue: XY
    white: XY


_D65, _C, _DCI, _E = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351), (1 / 3, 1 / 3)
SRGB = Primaries((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65)
_OF_CODE = {
    1: SRGB,
    4: Primaries((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: Primaries((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    8: Primaries((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: Primaries((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    10: Primaries((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), _E),
    11: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    12: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: Primaries((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}

Curve = tuple[float, ...]
"""An ICC parametric curve: (g) for Yᵍ, or (g, a, b, c, d)."""

SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709_CURVE: Curve = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_CURVE_OF_CODE: dict[int, Curve] = {
    **dict.fromkeys((1, 6, 14, 15), _BT709_CURVE),
    4: (2.2,),
    5: (2.8,),
    8: (1.0,),
    13: SRGB_CURVE,
}
HDR_CODES = {16: "PQ", 18: "HLG"}
"""Transfer curves of H.273 that no profile can express."""


def is_srgb(primaries: Primaries, curve: Curve) -> bool:
    """Whether colours cannot be distinguished from sRGB.

    Editors that mean sRGB often write a plain power of 2.2.
    """
    near = np.allclose(primaries, SRGB, atol=0.002)
    return near and (curve == SRGB_CURVE or (len(curve) == 1 and abs(curve[0] - 2.2) < 0.01))


def profile_of_codes(primaries: int, transfer: int, *, gray: bool) -> bytes | None:
    """A profile for code points of H.273; None if they mean sRGB.

    Raises:
        ValueError: If no profile can express them.
    """
    if primaries not in _OF_CODE or transfer not in _CURVE_OF_CODE:
        what = HDR_CODES.get(transfer, f"primaries {primaries}, transfer {transfer}")
        raise ValueError(f"no colour profile can say {what}")
    return make_profile(_OF_CODE[primaries], _CURVE_OF_CODE[transfer], gray=gray)


def make_profile(primaries: Primaries, curve: Curve, *, gray: bool) -> bytes | None:
    """A profile for displays with these colours; None if they are sRGB.

    Raises:
        ValueError: If the primaries are not real colours.
    """
    if is_srgb(primaries, curve):
        return None
    colorants, adaptation = _colorants(primaries)
    parametric = struct.pack(">4sIHH", b"para", 0, 0 if len(curve) == 1 else 3, 0)
    parametric += _fixed(curve)
    tags = [(b"desc", _text("RGB of the file")), (b"cprt", _text("CC0"))]
    tags += [
        (b"wtpt", _xyz(_D50)),
        (b"chad", struct.pack(">4sI", b"sf32", 0) + _fixed(adaptation.ravel())),
    ]
    if gray:
        tags.append((b"kTRC", parametric))
    else:
        for letter, colorant in zip((b"r", b"g", b"b"), colorants.T, strict=True):
            tags += [(letter + b"XYZ", _xyz(colorant)), (letter + b"TRC", parametric)]
    return _assembled(tags, b"GRAY" if gray else b"RGB ")


_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def _colorants(primaries: Primaries) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Columns of red, green, blue in XYZ under D50, and the adaptation from their white."""
    xyz = np.array([(x, y, 1 - x - y) for x, y in primaries]).T
    if min(primaries.white) <= 0 or abs(np.linalg.det(xyz[:, :3])) < 1e-6:
        raise ValueError("its primaries are no colours")
    white = xyz[:, 3] / xyz[1, 3]
    colours = xyz[:, :3] * np.linalg.solve(xyz[:, :3], white)
    cones = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adaptation = np.linalg.inv(_BRADFORD) @ (cones[:, None] * _BRADFORD)
    return adaptation @ colours, adaptation


def _fixed(values: Iterable[float]) -> bytes:
    """Fixed-point numbers with 16 integer and 16 fractional bits."""
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def _xyz(values: Iterable[float]) -> bytes:
    return struct.pack(">4sI", b"XYZ ", 0) + _fixed(values)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    head = struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", len(encoded), 28)
    return head + encoded


def _assembled(tags: Sequence[tuple[bytes, bytes]], space: bytes) -> bytes:
    at = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags:
        table += struct.pack(">4sII", name, at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"", 0x04300000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += _fixed(_D50)
    return head.ljust(128, b"\0") + table + body
