"""A sheet of sample draws: a pipeline's numbers tell little about its effect on a picture."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from escsr.degradations.bounds import Bounds

Pixels = npt.NDArray[np.uint8]

_LINE = 13  # pixels from line to line of a caption
_MARGIN = 6
_FONT = 0.36  # OpenCV's unit; characters are then at most 8 pixels wide
_CHARACTER = 7


def contact_sheet(
    pictures: Sequence[Pixels], captions: Sequence[str], *, cell: int = 256, columns: int = 4
) -> Pixels:
    """Lay pictures out in rows, each enlarged without smoothing and with its caption below.

    Args:
        pictures: (H, W, 3) RGB uint8, any sizes. Each is enlarged by the largest whole factor that
            fits the cell; larger ones are cropped to their middle.
        captions: One per picture; wrapped at " · ", and shortened if it does not fit.
        cell: Side of a cell in pixels, at least 32.
        columns: Pictures per row.

    Returns:
        (H, W, 3) uint8 on white.

    Raises:
        ValueError: No pictures, another number of captions, or a size below its least.

    Example:
        >>> contact_sheet([np.zeros((64, 64, 3), np.uint8)], ["noise 12"]).shape
        (281, 268, 3)
    """
    if not pictures or len(pictures) != len(captions):
        raise ValueError(
            f"a sheet needs pictures and as many captions, got {len(pictures)} and {len(captions)}"
        )
    Bounds(32, 4096, "pixels", whole=True).check("cell", cell)
    Bounds(1, 64, whole=True).check("columns", columns)
    texts = [_wrapped(caption, cell // _CHARACTER) for caption in captions]
    lines = max(len(text) for text in texts)
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    height, width = cell + lines * _LINE + 2 * _MARGIN, cell + 2 * _MARGIN
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
        top = index // columns * height + _MARGIN
        left = index % columns * width + _MARGIN
        shown = _fitted(picture, cell)
        sheet[top : top + len(shown), left : left + shown.shape[1]] = shown
        _write(sheet, text, top + cell, left)
    return sheet


def _fitted(picture: Pixels, cell: int) -> Pixels:
    """Enlarged by a whole factor, or the middle cut out."""
    height, width = picture.shape[:2]
    factor = max(1, cell // max(height, width))
    top, left = max(0, height - cell) // 2, max(0, width - cell) // 2
    middle = picture[top : top + cell, left : left + cell]
    return middle.repeat(factor, axis=0).repeat(factor, axis=1)


def _wrapped(caption: str, width: int) -> list[str]:
    """Lines of at most ``width`` characters, broken between steps."""
    lines = [""]
    for part in caption.replace("·", ",").split(" , "):
        joined = f"{lines[-1]}, {part}" if lines[-1] else part
        if len(joined) <= width or not lines[-1]:
            lines[-1] = joined[:width]
        else:
            lines.append(part[:width])
    return lines


def _write(sheet: Pixels, lines: Sequence[str], top: int, left: int) -> None:
    import cv2

    for number, line in enumerate(lines, 1):
        at = (left, top + number * _LINE)
        cv2.putText(sheet, line, at, cv2.FONT_HERSHEY_SIMPLEX, _FONT, (0, 0, 0), 1, cv2.LINE_AA)
