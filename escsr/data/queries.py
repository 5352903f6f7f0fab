"""Single pixels with their coordinates, for networks that support queries."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from escsr.data.photos import check_whole_numbers
from escsr.data.scales import ScaleDraw


def checked_queries(queries: int | None, drawing: ScaleDraw) -> int | None:
    """Refuse more queries than the smallest crop has pixels.

    Raises:
        ValueError: If it has fewer, or the number is invalid.
    """
    if queries is None:
        return None
    check_whole_numbers((("queries", queries, 1),))
    if queries > drawing.least**2:
        raise ValueError(
            f"queries must be at most {drawing.least**2}, the pixels of the smallest crop (patch "
            f"{drawing.patch} x scale {drawing.scales[0]:g}, squared), got {queries}"
        )
    return int(queries)


def choose_pixels(
    rng: np.random.Generator, queries: int | None, side: int
) -> NDArray[np.int64] | None:
    """Draw distinct pixel numbers of a square; None for no queries."""
    return None if queries is None else rng.choice(side * side, queries, replace=False)


def pixels_at(image: NDArray[np.uint8], chosen: NDArray[np.integer]) -> dict[str, Tensor]:
    """Take single pixels out of a picture, with their coordinates.

    Args:
        image: (H, W, 3) uint8.
        chosen: (Q,) pixel numbers, counted row by row.

    Returns:
        ``gt`` (Q, 3) in [0, 1], ``coords`` (Q, 2), pixel centres (y, x) in [-1, 1], and ``cells``
        (Q, 2), the pixel's height and width in the same units; all float32.
    """
    height, width = image.shape[:2]
    rows, columns = np.divmod(chosen, width)
    gt = torch.from_numpy(image[rows, columns]).to(torch.float32).div_(255)
    coords = np.stack(
        [(2 * rows + 1) / height - 1, (2 * columns + 1) / width - 1], axis=1, dtype=np.float32
    )
    cells = torch.tensor([2 / height, 2 / width], dtype=torch.float32).repeat(len(chosen), 1)
    return {"gt": gt, "coords": torch.from_numpy(coords), "cells": cells}


def pixels_of(pictures: Tensor, chosen: Sequence[NDArray[np.integer] | None]) -> dict[str, Tensor]:
    """Like `pixels_at` for a batch, on its device.

    Args:
        pictures: (B, P, P, 3) uint8.
        chosen: (Q,) pixel numbers for each picture.
    """
    count, side = pictures.shape[:2]
    numbers = torch.from_numpy(np.stack([c for c in chosen if c is not None]))
    numbers = numbers.to(pictures.device)
    rows = torch.div(numbers, side, rounding_mode="floor")
    places = numbers[..., None].expand(-1, -1, 3)
    gt = pictures.reshape(count, side * side, 3).gather(1, places)
    # in float64 until the end, as in pixels_at
    wide = torch.float32 if pictures.device.type == "mps" else torch.float64
    coords = (2 * torch.stack([rows, numbers % side], dim=-1) + 1).to(wide) / side - 1
    cells = torch.full(coords.shape, 2 / side, device=pictures.device)
    return {"gt": gt.to(torch.float32).div_(255), "coords": coords.float(), "cells": cells}


def joined(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Concatenate parts of a batch.

    Raises:
        ValueError: If their samples differ in shape.
    """
    for name in parts[0]:
        check_one_shape(name, [tuple(part[name].shape[1:]) for part in parts])
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def check_one_shape(name: str, shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse samples of different shapes in one batch.

    Raises:
        ValueError: If shapes differ.
    """
    different = sorted(set(shapes))
    if len(different) > 1:
        raise ValueError(
            f"samples of one batch must have one shape, got {name} of shapes "
            f"{', '.join(map(str, different))}; where the scale is drawn, give the dataset "
            "group=BATCH_SIZE"
        )
