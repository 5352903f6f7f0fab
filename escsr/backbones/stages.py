"""Computing a backbone stage by stage, on a whole picture or on bands of its rows.

A stage reads maps, which all have as many rows as the features, and makes others. A row that it
makes depends on a few rows around it, and on one number per channel that summarises the whole
output of the previous stage. So a picture of any size can be made in bands, each stage in turn,
with the same result as for the whole picture.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from escsr.layers.bands import WHOLE, Overlap

PICTURE = "picture"
"""The map that the first stages read: (B, 3, H, W), with ``stride`` rows per row of others."""
FEATURES = "features"
"""The map that the last stage makes: (B, out_channels, h, w)."""

Maps = dict[str, Tensor]
"""Maps, or bands of them, by name."""


class Made(NamedTuple):
    """The output of a stage.

    Attributes:
        maps: The requested rows of every map that the stage declares.
        statistic: For the next stage: the mean over these rows of a quantity that it needs from the
            whole picture; (B, …), of any precision.
    """

    maps: Maps
    statistic: Tensor | None = None


class Stage(NamedTuple):
    """One step of a backbone.

    Attributes:
        name: Name for people.
        reads: Names of the maps that it reads.
        makes: Names of the maps that it makes.
        apply: The step: the maps that it reads, which it may take out of the dictionary but not
            write to; the rows among theirs that are only context; and the statistic of the previous
            stage.
        halo: How many rows beyond those to make are read on either side, if the picture has them.
            The borders of the rows given are treated as those of the picture.
        align: Bands begin at multiples of this. The last one has at least this many rows, unless it
            is the only one.

    Example:
        >>> def smooth(maps, overlap, statistic):
        ...     return Made({"features": overlap.cut(conv(maps.pop("picture")))})
        >>> stage = Stage("smooth", ("picture",), ("features",), smooth, halo=1)
    """

    name: str
    reads: tuple[str, ...]
    makes: tuple[str, ...]
    apply: Callable[[Maps, Overlap, Tensor | None], Made]
    halo: int = 0
    align: int = 1


def dying(stages: Sequence[Stage]) -> list[set[str]]:
    """For each stage, the maps that no later one reads before they are replaced."""
    needed, found = {FEATURES}, []
    for stage in reversed(stages):
        found.append((set(stage.reads) | set(stage.makes)) - needed)
        needed = (needed - set(stage.makes)) | set(stage.reads)
    # A map is freed by the last stage that reads it or, if none does, immediately.
    return found[::-1]


def run_whole(stages: Sequence[Stage], picture: Tensor) -> Tensor:
    """Compute the features of whole pictures.

    Args:
        stages: The stages of a backbone.
        picture: (B, 3, H, W).

    Returns:
        (B, out_channels, h, w).
    """
    maps: Maps = {PICTURE: picture}
    statistic = None
    for stage, last_read in zip(stages, dying(stages), strict=True):
        # Taken out here, so that nothing keeps a map in memory that its stage has released.
        given = {name: maps.pop(name) if name in last_read else maps[name] for name in stage.reads}
        made, statistic = stage.apply(given, WHOLE, statistic)
        maps.update((name, made[name]) for name in stage.makes if name not in last_read)
    return maps[FEATURES]
