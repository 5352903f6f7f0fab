"""Checks of requests to networks."""

from torch import Tensor

MAX_SCALE = 30
"""Largest enlargement: far beyond what networks are trained for, so more is a mistake."""


def check_picture(lq: Tensor) -> None:
    if not isinstance(lq, Tensor) or not lq.is_floating_point():
        kind = lq.dtype if isinstance(lq, Tensor) else type(lq).__name__
        raise TypeError(f"lq must be a floating-point tensor in [0, 1], not {kind}")
    if lq.ndim != 4 or lq.shape[1] != 3 or 0 in lq.shape:
        raise ValueError(f"lq must have the shape (B, 3, H, W), not {tuple(lq.shape)}")


def check_rows(rows: tuple[int, int], height: int) -> tuple[int, int]:
    first, last = int(rows[0]), int(rows[1])
    if (first, last) != tuple(rows) or not 0 <= first < last <= height:
        raise ValueError(
            "rows must be two whole numbers, the first row to make and the one after the last, "
            f"from 0 to {height}, not {rows}"
        )
    return first, last


def scaled(height: int, width: int, scale: float | None) -> tuple[int, int]:
    assert scale is not None
    # Whole scales without rounding: sizes may be symbolic during export.
    if isinstance(scale, int):
        return height * scale, width * scale
    return round(height * scale), round(width * scale)


def check_enlargement(size: tuple[int, int], own: tuple[int, int], scale: float | None) -> None:
    """Check the range for networks of any scale: 1 to `MAX_SCALE` along both sides."""
    if (
        size[0] >= own[0]
        and size[1] >= own[1]
        and (
            scale <= MAX_SCALE
            if scale is not None
            else max(size[0] / own[0], size[1] / own[1]) <= MAX_SCALE
        )
    ):
        return
    request = f"scale {scale}" if scale is not None else f"size {size[0]}×{size[1]}"
    raise ValueError(
        f"{request} is impossible for a picture of {own[0]}×{own[1]}: this network enlarges "
        f"each side by 1 to {MAX_SCALE}; resize its result for other sizes"
    )


def check_size(size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    if int(height) != height or int(width) != width or height < 1 or width < 1:
        raise ValueError(f"size must be two whole numbers (H, W) from 1, not {size}")
    return int(height), int(width)
