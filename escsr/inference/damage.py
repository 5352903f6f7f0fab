"""Measuring damage of a picture, JPEG quality and noise, from its file and its pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from escsr.images import Picture
from escsr.images.jpeg_tables import luma_table

# Where the embedded networks of `models.ALIASES` swap ranks, in PSNR-Y on small pictures of
# Set14: below this JPEG quality, or from this noise upwards, "real" is closer to the ground truth
# than "default" (tools/measure_auto.py).
_QUALITY = 83
_NOISE = 6.0

_TILE, _TILES = 64, 4
_TRACED = 78
"""Up to this quality a JPEG leaves traces that can be told from chance."""

_QUALITIES = range(10, _TRACED, 2)
_LARGE = 1 << 14
"""Number of pixels from which a picture can be expected to have parts with little texture."""

_TRACES = 0.3
"""A mean cosine of `_trace` above this indicates a JPEG; clean pictures stay below 0.2."""


@dataclass(frozen=True)
class Damage:
    """The damage found in a picture.

    Attributes:
        jpeg_quality: The worst JPEG quality of the picture, 1 to 100 on libjpeg's scale, from the
            tables of its file and, below 78, from traces in its pixels; None without any.
        noise: Standard deviation of noise, in 8-bit steps.
    """

    jpeg_quality: float | None
    noise: float

    @property
    def reasons(self) -> list[str]:
        """Descriptions of damage that a network for clean pictures would enlarge; may be empty."""
        found = []
        if self.jpeg_quality is not None and self.jpeg_quality < _QUALITY:
            found.append(f"JPEG of quality {self.jpeg_quality:.0f}")
        if self.noise >= _NOISE:
            found.append(f"noise of {self.noise:.0f} of 255 steps")
        return found


def measure_damage(picture: Picture) -> Damage:
    """Find damage in a picture, in a few milliseconds for any size.

    A JPEG that was saved again in another format at the same size is recognised by its
    coefficients, which lie at multiples of the steps of its table. Noise is measured where there is
    least texture. Other damage (blur, video codecs, WebP) is not detected.

    Args:
        picture: Any picture. Of large ones, sixteen parts are examined.
    """
    tiles = [tile.astype(np.float32) for tile in _tiles(picture.pixels)]
    if picture.depth == 16:
        tiles = [tile / np.float32(257) for tile in tiles]
    traces = _quality_by_traces(tiles) if picture.depth == 8 else None
    known = [q for q in (picture.jpeg_quality, traces) if q is not None]
    return Damage(jpeg_quality=min(known, default=None), noise=_noise(tiles))


def _tiles(pixels: NDArray[Any]) -> list[NDArray[Any]]:
    """Parts whose corners lie on the block grid of a JPEG."""
    height, width = pixels.shape[:2]
    if max(height, width) <= _TILE * _TILES:
        return [pixels]
    tops, lefts = (
        sorted({int(at) // 8 * 8 for at in np.linspace(0, max(side - _TILE, 0), _TILES)})
        for side in (height, width)
    )
    return [pixels[y : y + _TILE, x : x + _TILE] for y in tops for x in lefts]


_K = np.arange(8)
_DCT = np.cos((2 * _K[None] + 1) * _K[:, None] * np.pi / 16) / 2
_DCT[0] /= np.sqrt(2)
_ROWS, _COLUMNS = np.array([(i, j) for i in range(5) for j in range(5) if 0 < i + j <= 4]).T
"""Frequencies with large enough coefficients and coarse enough steps to leave traces."""


def _quality_by_traces(tiles: Sequence[NDArray[np.float32]]) -> float | None:
    """The quality of the JPEG that the pixels came from, if it left traces."""
    coefficients = np.concatenate([_coefficients(tile) for tile in tiles])
    traces = np.array([_trace(coefficients, luma_table(quality)) for quality in _QUALITIES])
    best = traces.max()
    if best < _TRACES:
        return None
    # Multiples of a step are also multiples of half of it, so the coarsest matching table counts.
    return float(_QUALITIES[int(np.argmax(traces > 0.85 * best))])


def _coefficients(tile: NDArray[np.float32]) -> NDArray[np.float64]:
    """Low coefficients of luma in the whole blocks of a tile, (blocks, frequencies)."""
    height, width = (side // 8 * 8 for side in tile.shape[:2])
    luma = tile[:height, :width] @ np.array([0.299, 0.587, 0.114])
    blocks = luma.reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    coefficients: NDArray[np.float64] = (_DCT @ blocks @ _DCT.T)[:, _ROWS, _COLUMNS]
    return coefficients


def _trace(coefficients: NDArray[np.float64], table: NDArray[np.int64]) -> float:
    """How well coefficients match multiples of a table's steps: 1 exactly, about 0 by chance."""
    steps = table[_ROWS, _COLUMNS]
    phases = coefficients / steps
    counted = np.abs(phases) > 0.3  # around 0 all tables match
    counts = counted.sum(axis=0)
    enough = counts >= 8
    if enough.sum() < 5:
        return 0.0
    cosines = (np.cos(2 * np.pi * phases) * counted).sum(axis=0)
    return float((cosines[enough] / counts[enough]).mean())


_SECOND = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
"""Filter that removes slopes and edges along the axes. Source: J. Immerkær, "Fast noise variance
estimation", 1996."""


def _noise(tiles: Sequence[NDArray[np.float32]]) -> float:
    """Standard deviation of noise where there is least texture; 0 if it cannot be estimated."""
    found = _least(tiles)
    if sum(tile.shape[0] * tile.shape[1] for tile in tiles) >= _LARGE:
        return found
    # A small picture may have no part without texture. Texture is mostly the same in all
    # channels, and noise is not, so their differences decide.
    between = [(tile[..., (0, 2)] - tile[..., 1:2]) / np.float32(np.sqrt(2)) for tile in tiles]
    return min(found, _least(between, clipped_like=tiles))


def _least(
    tiles: Sequence[NDArray[np.float32]],
    *,
    clipped_like: Sequence[NDArray[np.float32]] | None = None,
) -> float:
    pairs = zip(tiles, clipped_like or tiles, strict=True)
    found = np.concatenate([_deviations(tile, levels) for tile, levels in pairs])
    # The least of many estimates is too low, by a tenth for white noise.
    return float(np.percentile(found, 2) / 0.9) if len(found) >= 16 else 0.0


def _deviations(tile: NDArray[np.float32], levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Estimates in overlapping squares, except where the noise is clipped at black or white."""
    import cv2

    side = 8
    if min(tile.shape[:2]) < 2 * side:
        return np.empty(0, np.float32)
    residual = cv2.filter2D(tile, -1, _SECOND, borderType=cv2.BORDER_REFLECT_101)
    inside = slice(side // 2, -side // 2, 2)
    squares: Any = residual * residual
    variance: Any = cv2.blur(squares, (side, side))[inside, inside].mean(axis=2)
    clipped: Any = ((levels < 3) | (levels > 252)).any(axis=2).astype(np.float32)
    visible = cv2.blur(clipped, (side, side))[inside, inside] < 0.05
    # Running sums along the rows may end slightly below 0.
    deviations: NDArray[np.float32] = np.sqrt(np.maximum(variance[visible], 0)) / 6
    return deviations
