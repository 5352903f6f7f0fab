"""Drawing the scale of a sample, for training networks of any scale."""

import numpy as np

from escsr.data.photos import check_whole_numbers


class ScaleDraw:
    """Draws the side of the large crop, P, of every sample.

    A scale s is drawn uniformly, and P = round(s * patch), rounded to a multiple if requested. The
    true scale is P / patch.

    Args:
        patch: Side of the small picture in pixels.
        scales: Least and largest scale, at least 1.
        multiple: P is rounded to a multiple of this, at least 1.
        group: Number of consecutive samples that share one scale.
        seed: Seed of the stream, at least 0.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self, *, patch: int, scales: tuple[float, float], multiple: int, group: int, seed: int
    ) -> None:
        check_whole_numbers((("patch", patch, 1), ("multiple", multiple, 1), ("seed", seed, 0)))
        check_whole_numbers((("group", group, 1),))
        self.patch, self.multiple = int(patch), int(multiple)
        self.group, self.seed = int(group), int(seed)
        self.scales = _checked_scales(scales)

    @property
    def least(self) -> int:
        """The side of the smallest crop."""
        return self.rounded(self.scales[0])

    @property
    def largest(self) -> int:
        """The side of the largest crop."""
        return self.rounded(self.scales[1])

    def side(self, index: int) -> int:
        """Return P of a sample: a function of the seed and the sample's group."""
        # always a different stream from those of the samples
        entropy = np.random.SeedSequence(self.seed, spawn_key=(1, index // self.group))
        scale = np.random.Generator(np.random.PCG64(entropy)).uniform(*self.scales)
        return self.rounded(scale)

    def rounded(self, scale: float) -> int:
        """Return P at a scale; never less than the patch."""
        side = round(self.patch * scale / self.multiple) * self.multiple
        return side if side >= self.patch else side + self.multiple


def _checked_scales(scales: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(scale) for scale in scales)
    if not 1 <= low <= high < float("inf"):
        raise ValueError(
            f"scales must be (least, largest) with 1 <= least <= largest, got {scales!r}"
        )
    return low, high
