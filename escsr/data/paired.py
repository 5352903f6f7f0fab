"""Folders of matching small and large pictures, as training pairs."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from escsr.data.augment import D4_VARIANTS, d4
from escsr.data.cache import Photo
from escsr.data.folder import Pair
from escsr.data.on_device import DeviceBatches, as_variants, to_floats, turned
from escsr.data.pairing import PATTERNS, PairedFiles, pair_folders
from escsr.data.photos import (
    BadFiles,
    PhotoPool,
    check_whole_numbers,
    open_cache,
    sample_rng,
    tell_bad,
)
from escsr.images import read_rgb
from escsr.pixels import to_tensor

_LOG = logging.getLogger(__name__)
_Picture = TypeVar("_Picture", Photo, Tensor)


class PairedDataset(DeviceBatches, Dataset[Pair]):
    """Random aligned crops from pairs of picture files.

    Files are paired by name and checked by their headers; pictures are decoded only when drawn.
    Sample ``n`` depends only on ``(seed, n)`` and the files, as in `escsr.data.FolderDataset`: a
    pair is drawn by area, then a position and one of the eight flips and rotations.

    Args:
        roots_gt: Folders of large pictures, searched recursively.
        roots_lq: Folders of small pictures, one for each of `roots_gt`, in the same order.
        scale: Integer factor between the pictures, at least 1.
        patch: Side of the small crop in pixels; the large one has ``patch * scale``.
        patterns: Names that the small picture of ``name.png`` may have, without the ending, tried
            in order; ``X{scale}/{name}x{scale}`` finds ``X4/0001x4.png``.
        seed: Seed of the stream, at least 0.
        include: Glob patterns of large pictures to take.
        exclude: Glob patterns of large pictures to leave out.
        augment: Whether to flip and rotate.
        bad_files: What to do about pictures without a partner, of a wrong size, too small for the
            crop, unreadable, or gray where the partner has colours: "refuse" raises and names
            each, "skip" logs a warning for each and leaves them out.
        cache_bytes: Memory for decoded photos, in bytes; per worker process, if there are any.
        cache_folder: Folder for decoded photos; see `escsr.data.PhotoCache`.
        on_device: Whether batches are made on the training device; see `FolderDataset`.

    Raises:
        FileNotFoundError: If a root is missing, or no pair is left to draw from.
        ValueError: If a number is out of range, the roots do not match, a pattern is invalid, or
            a file is bad and `bad_files` is "refuse".

    Example:
        >>> dataset = PairedDataset(
        ...     roots_gt=("DIV2K/HR",), roots_lq=("DIV2K/LR_bicubic/X4",), scale=4, patch=64
        ... )  # doctest: +SKIP
        >>> dataset[0]["gt"].shape  # doctest: +SKIP
        torch.Size([3, 256, 256])
    """

    def __init__(
        self,
        *,
        roots_gt: Sequence[str | Path],
        roots_lq: Sequence[str | Path],
        scale: int,
        patch: int,
        patterns: Sequence[str] = PATTERNS,
        seed: int = 0,
        include: Sequence[str] = ("*",),
        exclude: Sequence[str] = (),
        augment: bool = True,
        bad_files: BadFiles = "refuse",
        cache_bytes: int = 1_000_000_000,
        cache_folder: str | Path | None = None,
        on_device: bool = False,
    ) -> None:
        check_whole_numbers((("scale", scale, 1), ("patch", patch, 1), ("seed", seed, 0)))
        if len(roots_gt) != len(roots_lq):
            raise ValueError(
                f"roots_gt and roots_lq belong together one by one, got {len(roots_gt)} and "
                f"{len(roots_lq)} folders"
            )
        self.scale = int(scale)
        self.patch = int(patch)
        self.seed = int(seed)
        self.augment = augment
        self.on_device = on_device
        found: list[PairedFiles] = []
        bad: list[str] = []
        for root_gt, root_lq in zip(roots_gt, roots_lq, strict=True):
            pairs, problems, orphans = pair_folders(
                root_gt,
                root_lq,
                scale=self.scale,
                patterns=patterns,
                include=include,
                exclude=exclude,
            )
            found += pairs
            bad += problems
            _tell_orphans(orphans, root_gt)
        self.pairs = [pair for pair in found if min(pair.lq_size) >= self.patch]
        bad += [
            f"{pair.lq} is {pair.lq_size[1]}x{pair.lq_size[0]}, smaller than the patch of "
            f"{self.patch}x{self.patch}"
            for pair in found
            if min(pair.lq_size) < self.patch
        ]
        skip = tell_bad(bad, bad_files, of=len(self.pairs) + len(bad))
        if not self.pairs:
            where = ", ".join(f"{gt} with {lq}" for gt, lq in zip(roots_gt, roots_lq, strict=True))
            raise FileNotFoundError(f"no usable pair of pictures in {where or 'no folders'}")
        self.paths = [pair.gt for pair in self.pairs]
        self._pool = self._open_pool(cache_bytes, cache_folder, skip=skip)

    def _open_pool(
        self, cache_bytes: int, cache_folder: str | Path | None, *, skip: bool
    ) -> PhotoPool:
        areas = [pair.gt_size[0] * pair.gt_size[1] for pair in self.pairs]
        small = [pair.lq_size[0] * pair.lq_size[1] for pair in self.pairs]
        photo = open_cache(
            read_rgb,
            needed=3 * (sum(areas) + sum(small)),
            cache_bytes=cache_bytes,
            cache_folder=cache_folder,
        )
        entries = [(pair.lq, pair.gt) for pair in self.pairs]
        return PhotoPool(entries, areas, photo=photo, skip=skip)

    def __getitem__(self, index: int) -> Pair:
        """Make sample ``index`` of the stream (any integer from 0 on).

        Raises:
            IndexError: If the index is negative.
            ValueError: If a picture turns out to be damaged and bad files are refused.
        """
        rng = sample_rng(self.seed, index)
        small, large = self._pool.draw(rng)
        lq, gt, variant = self._cut(rng, small, large)
        return {"lq": to_tensor(d4(lq, variant)), "gt": to_tensor(d4(gt, variant))}

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Make samples on the device; see `open_on` and `FolderDataset.batch`."""
        drawn = []
        for index in indices:
            rng = sample_rng(self.seed, index)
            small, large = self.photos.draw(rng)
            drawn.append(self._cut(rng, small, large))
        lq, gt, variants = zip(*drawn, strict=True)
        variant_of = as_variants(variants, lq[0].device)
        pictures = {"lq": torch.stack(lq), "gt": torch.stack(gt)}
        return {name: to_floats(turned(p, variant_of)) for name, p in pictures.items()}

    def _cut(
        self, rng: np.random.Generator, small: _Picture, large: _Picture
    ) -> tuple[_Picture, _Picture, int]:
        """Draw a position and a variant, and cut out the pair there, not flipped yet."""
        patch, scale = self.patch, self.scale
        top = int(rng.integers(small.shape[0] - patch + 1))
        left = int(rng.integers(small.shape[1] - patch + 1))
        lq = small[top : top + patch, left : left + patch]
        gt = large[top * scale : (top + patch) * scale, left * scale : (left + patch) * scale]
        return lq, gt, int(rng.integers(D4_VARIANTS)) if self.augment else 0


def _tell_orphans(orphans: Sequence[Path], root_gt: str | Path) -> None:
    if orphans:
        _LOG.warning(
            "%d small pictures belong to no picture in %s and are not used, %s first",
            len(orphans),
            root_gt,
            orphans[0],
        )
