"""Plans for pictures of a given size."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

from escsr.inference.sizes import SizeRequest
from escsr.inference.ways import Way


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan of a session for pictures of one size.

    Attributes:
        image_size: (H, W) of the picture.
        size: (H_out, W_out) of the result.
        network_size: (H, W) of the network's own result; None if a filter alone reduces the
            picture.
        batch: Number of pictures that go through the network together.
        passes: Number of times that the network runs.
        notices: Notices for the user in advance.

    Example:
        >>> plan = escsr.Upscaler().plan((3000, 4000), scale=2)
        >>> plan.size
        (6000, 8000)
    """

    image_size: tuple[int, int]
    size: tuple[int, int]
    network_size: tuple[int, int] | None
    batch: int = 1
    passes: int = 1
    notices: tuple[str, ...] = ()
    _way: Callable[["Plan"], Way] = field(repr=False, compare=False)
    _seconds: Callable[["Plan"], float | None] = field(repr=False, compare=False)

    @functools.cached_property
    def way(self) -> Way:
        """How the picture goes through the network, by the memory free at the first request.

        Raises:
            MemoryError: If no way fits; the message has the figures.
        """
        return self._way(self)

    def found_anew(self) -> Way:
        """The way by the memory that is free now.

        Raises:
            MemoryError: See `way`.
        """
        return self._way(self)

    @property
    def memory(self) -> int:
        """Peak bytes of the work, including the picture and the result.

        Estimated at the first request, in a fraction of a second.

        Raises:
            MemoryError: See `way`.
        """
        return self.way.memory

    @property
    def seconds(self) -> float | None:
        """Forecast of the seconds from this session's earlier pictures; None before the first."""
        return self._seconds(self)

    @property
    def pixels(self) -> int:
        """Pixels that go into the network."""
        return self.image_size[0] * self.image_size[1] * self.batch * self.passes


def network_size(
    scale: float | None, image_size: tuple[int, int], size: tuple[int, int]
) -> tuple[int, int] | None:
    """The size of the network's own result on the way to ``size``.

    Args:
        scale: The fixed scale of the network, or None if it supports any.
        image_size: (H, W) of the picture.
        size: Requested (H_out, W_out).

    Returns:
        (H, W), or None if nothing needs to be enlarged.
    """
    height, width = image_size
    smaller = size[0] <= height and size[1] <= width and size != image_size
    if smaller:
        return None
    if scale is None:
        return max(size[0], height), max(size[1], width)
    return round(scale * height), round(scale * width)


def notices_of(
    *,
    name: str,
    trained: bool,
    scale: float | None,
    image_size: tuple[int, int],
    size: tuple[int, int],
    made: tuple[int, int] | None,
) -> tuple[str, ...]:
    """Notices for the user about an enlargement.

    Args:
        name: Name of the network.
        trained: Whether its weights are trained.
        scale: Its fixed scale, or None.
        image_size: (H, W) of the picture.
        size: Requested (H_out, W_out).
        made: Size of the network's own result, see `network_size`.
    """
    (height, width), asked = image_size, f"{size[1]}×{size[0]}"
    found = []
    if not trained and made is not None:
        found.append(
            f"the network ({name}) is untrained: its weights are random, so the result is "
            "not a picture; load weights with escsr.load or build(weights=…)"
        )
    vertical, horizontal = size[0] / height, size[1] / width
    if abs(vertical - horizontal) * min(height, width) > 1:  # more than rounding
        found.append(
            f"the size asked stretches the picture: {vertical:.3g} times in height, "
            f"{horizontal:.3g} times in width"
        )
    if made is None:
        found.append(
            f"the size asked, {asked} pixels, is smaller than the picture, {width}×{height}: "
            "it is made by an antialiasing filter, without the network"
        )
    elif made != size:
        why = f"makes ×{scale} only" if scale is not None else "enlarges, and one side is to shrink"
        found.append(
            f"the network ({name}) {why}: its result of {made[1]}×{made[0]} pixels is resized "
            f"to {asked}"
        )
    return tuple(found)


def request_of(request: SizeRequest, scale: float | None) -> SizeRequest:
    """The request, or if it is empty the network's own scale (×4 if it supports any)."""
    return SizeRequest(scale=scale or 4) if request.is_open else request
