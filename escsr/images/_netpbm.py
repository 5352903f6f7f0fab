"""The Netpbm family, PBM, PGM, PPM and PAM, which the binary libvips of PyPI cannot read.

OpenCV reads most of it, but assumes that white is 255 or 65535, whatever the header says.
Source: https://netpbm.sourceforge.net/doc/ (pbm, pgm, ppm, pam).
"""

import re
from typing import Any, NamedTuple

import numpy as np

from escsr.images._picture import Array

_DAMAGED = "a damaged or truncated picture"
_CHANNELS = {"P1": 1, "P2": 1, "P3": 3, "P4": 1, "P5": 1, "P6": 3}
# A number or word in a header, after white space and comments.
_TOKEN = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([^\s#]+)")
_PAM_LINE = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([A-Z]+)[ \t]*([^\r\n]*)\r?\n")


class _Header(NamedTuple):
    kind: str
    width: int
    height: int
    channels: int
    maxval: int
    start: int  # offset of the samples


def is_netpbm(head: bytes) -> bool:
    """Whether these first three bytes are those of a Netpbm or PFM file."""
    return head[:1] == b"P" and head[1:2] in b"1234567Ff" and head[2:3] in b" \t\r\n\v\f#"


def netpbm_size(data: bytes) -> tuple[int, int]:
    """(H, W) from the header; `read_netpbm` lists the errors."""
    header = _header(data)
    return header.height, header.width


def read_netpbm(data: bytes) -> tuple[Array, bool]:
    """Decode the first picture of a file.

    Args:
        data: The file's contents.

    Returns:
        (H, W, C) uint8, or uint16 if white is above 255, scaled to the full range of that type,
        where C is 1 (gray), 2 (gray and alpha), 3 or 4; and whether more pictures follow.

    Raises:
        ValueError: If it is damaged or contains floating-point numbers.
    """
    header = _header(data)
    if header.kind in ("P1", "P2", "P3"):
        samples, end = _plain_samples(data, header)
    else:
        samples, end = _raw_samples(data, header)
    if samples.max() > header.maxval:
        raise ValueError(f"{_DAMAGED} (a value above the header's white, {header.maxval})")
    if header.kind in ("P1", "P4"):
        samples = 1 - samples  # 1 is black
    return _full_range(samples, header.maxval), is_netpbm(data[end:].lstrip()[:3])


def _full_range(samples: Array, maxval: int) -> Array:
    dtype = np.uint8 if maxval < 256 else np.uint16
    top = int(np.iinfo(dtype).max)
    if maxval == top:
        return samples.astype(dtype)
    scaled = (samples.astype(np.uint64) * (2 * top) + maxval) // (2 * maxval)
    return scaled.astype(dtype)


def _header(data: bytes) -> _Header:
    kind = data[:2].decode("ascii")
    if kind in ("PF", "Pf"):
        raise ValueError("a PFM of floating-point numbers; save it as PNG or TIFF with 16 bits")
    header = _pam_header(data) if kind == "P7" else _classic_header(data, kind)
    if min(header.width, header.height) < 1 or not 1 <= header.maxval <= 65535:
        raise ValueError(
            f"{_DAMAGED} (its header says {header.width}×{header.height}, white {header.maxval})"
        )
    return header


def _classic_header(data: bytes, kind: str) -> _Header:
    numbers, end = [], 2
    for _ in range(2 if kind in ("P1", "P4") else 3):
        match = _TOKEN.match(data, end)
        if match is None or not match[1].isdigit():
            raise ValueError(f"{_DAMAGED} (its header has no size)")
        numbers.append(int(match[1]))
        end = match.end()
    width, height, maxval = (*numbers, 1)[:3]
    return _Header(kind, width, height, _CHANNELS[kind], maxval, end + 1)


def _pam_header(data: bytes) -> _Header:
    facts: dict[bytes, bytes] = {}
    end = 2
    while (match := _PAM_LINE.match(data, end)) is not None:
        end = match.end()
        if match[1] == b"ENDHDR":
            break
        facts[match[1]] = match[2].strip()
    else:
        raise ValueError(f"{_DAMAGED} (its header has no end)")
    names = (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")
    if not all(facts.get(name, b"").isdigit() for name in names):
        raise ValueError(f"{_DAMAGED} (its header has no size)")
    width, height, channels, maxval = (int(facts[name]) for name in names)
    kind = facts.get(b"TUPLTYPE", b"").decode("ascii", "replace")
    expected = {"": channels, "BLACKANDWHITE": 1, "GRAYSCALE": 1, "RGB": 3}
    expected |= {"BLACKANDWHITE_ALPHA": 2, "GRAYSCALE_ALPHA": 2, "RGB_ALPHA": 4}
    if expected.get(kind) != channels or not 1 <= channels <= 4:
        raise ValueError(f"a PAM of {channels} channels {kind}; at most RGB and alpha can be read")
    return _Header("P7", width, height, channels, maxval, end)


def _raw_samples(data: bytes, header: _Header) -> tuple[Array, int]:
    if header.kind == "P4":
        line = (header.width + 7) // 8
        packed = _take(data, header.start, np.dtype(np.uint8), header.height * line)
        bits = np.unpackbits(packed.reshape(header.height, line), axis=1)
        return bits[:, : header.width, None], header.start + packed.nbytes
    kind = np.dtype(np.uint8 if header.maxval < 256 else ">u2")
    count = header.height * header.width * header.channels
    samples = _take(data, header.start, kind, count)
    shape = (header.height, header.width, header.channels)
    return samples.reshape(shape), header.start + samples.nbytes


def _take(data: bytes, start: int, kind: np.dtype[Any], count: int) -> Array:
    if len(data) - start < count * kind.itemsize:
        raise ValueError(_DAMAGED)
    return np.frombuffer(data, kind, count, start)


def _plain_samples(data: bytes, header: _Header) -> tuple[Array, int]:
    """Numbers in ASCII; in a P1 file they may follow each other without spaces."""
    shape = (header.height, header.width, header.channels)
    count = header.height * header.width * header.channels
    text = re.sub(rb"#[^\r\n]*", b"", data[header.start - 1 :])
    words = list(re.sub(rb"\s", b"", text)) if header.kind == "P1" else text.split()
    if len(words) < count:
        raise ValueError(_DAMAGED)
    try:
        numbers = np.array(words[:count], dtype=np.int64 if header.kind == "P1" else None)
        values = numbers - ord("0") if header.kind == "P1" else numbers.astype(np.int64)
    except (ValueError, OverflowError):
        raise ValueError(f"{_DAMAGED} (a word where a number should stand)") from None
    if values.min() < 0:
        raise ValueError(f"{_DAMAGED} (a negative value)")
    return values.reshape(shape), len(data)
