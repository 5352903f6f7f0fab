"""Small pictures and a teacher's enlargements of them, as training samples of any scale."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from escsr.data.augment import D4_VARIANTS, d4
from escsr.data.on_device import (
    DeviceBatches,
    as_variants,
    resized,
    to_floats,
    turned,
)
from escsr.data.photos import BadFiles, PhotoPool, open_cache, sample_rng, tell_bad
from escsr.data.queries import checked_queries, choose_pixels, joined, pixels_at, pixels_of
from escsr.data.scales import ScaleDraw
from escsr.data.teacher_folder import TaughtPicture, read_folder
from escsr.images import image_size, read_rgb
from escsr.pixels import to_tensor
from escsr.resize import imresize


class _Cut(NamedTuple):
    """The position of a sample in its pictures, and its variant."""

    top: int
    left: int
    variant: int


class TeacherDataset(DeviceBatches, Dataset[dict[str, Tensor]]):
    """Random crops of small pictures and a teacher's enlargements of them, at any scale.

    The folders are made once, by `prepare_teacher` (``tools/prepare_teacher.py``), with any
    network: a student then learns from it without running it. A sample's scale is drawn as in
    `ArbitraryScaleDataset`; the teacher's picture comes from the folder of the smallest sufficient
    scale and is reduced with MATLAB's bicubic filter if it is too large.

    Samples hold ``lq`` (3, p, p), ``teacher`` (3, P, P), the teacher's picture for the loss
    `escsr.training.Teacher`, and ``gt`` (3, P, P): the photo, reduced likewise, if `roots` are
    given; otherwise the teacher's picture again. With `queries`, ``gt`` and ``teacher`` are
    (Q, 3), with ``coords`` and ``cells`` as in `ArbitraryScaleDataset`.

    Sample ``n`` depends only on ``(seed, n)``, the settings and the files, as in
    `escsr.data.FolderDataset`.

    Args:
        folders: Teachers' folders, one or several scales.
        patch: Side of the small picture in pixels.
        scales: Least and largest scale; the largest is at most that of a folder.
        roots: Folders of the photos that the small pictures were made from.
        multiple: See `ArbitraryScaleDataset`; likewise `queries` and `group`, which may be left
            out if there is only one scale.
        queries: Pixels drawn per sample, or None for whole pictures.
        group: Number of consecutive samples that share one scale.
        seed: Seed of the stream, at least 0.
        include: Glob patterns of the photos' file names to take.
        exclude: Glob patterns of the photos' file names to leave out.
        augment: Whether to flip and rotate.
        bad_files: What to do about pictures that cannot be read, are too small for a crop, or do
            not fit together: "refuse" or "skip".
        cache_bytes: Memory for decoded pictures, in bytes; per worker process, if there are any.
        cache_folder: Folder for decoded pictures; see `escsr.data.PhotoCache`.
        on_device: Whether batches are made on the training device; see `FolderDataset`.

    Raises:
        FileNotFoundError: If a folder or its ``teacher.json`` is missing, or no picture is left.
        ValueError: If a number is out of range, the scales reach beyond the folders', or a file is
            bad and `bad_files` is "refuse".

    Example:
        >>> data = TeacherDataset(
        ...     folders=("teachers/x2", "teachers/x4"), patch=32, scales=(1, 4), group=16
        ... )  # doctest: +SKIP

    Source: knowledge distillation, arXiv 1503.02531.
    """

    brings_teacher = True
    """Samples hold a teacher's picture, which some losses need."""

    def __init__(
        self,
        *,
        folders: Sequence[str | Path],
        patch: int,
        scales: tuple[float, float],
        roots: Sequence[str | Path] = (),
        multiple: int = 1,
        queries: int | None = None,
        group: int | None = None,
        seed: int = 0,
        include: Sequence[str] = ("*",),
        exclude: Sequence[str] = (),
        augment: bool = True,
        bad_files: BadFiles = "refuse",
        cache_bytes: int = 1_000_000_000,
        cache_folder: str | Path | None = None,
        on_device: bool = False,
    ) -> None:
        self.drawing = ScaleDraw(
            patch=patch, scales=scales, multiple=multiple, group=group or 1, seed=seed
        )
        self.patch, self.seed, self.augment = int(patch), int(seed), augment
        self.queries = checked_queries(queries, self.drawing)
        if self.drawing.least != self.drawing.largest and queries is None and group is None:
            raise ValueError("samples of one batch must have one scale: give group=BATCH_SIZE")
        self.group = None if group is None else self.drawing.group
        self.on_device = on_device
        self.scale = _the_one_scale(self.drawing)
        found: dict[int, list[TaughtPicture]] = {}
        bad: list[str] = []
        for folder in folders:
            scale, pictures, problems = read_folder(Path(folder), roots, include, exclude, patch)
            found.setdefault(scale, []).extend(pictures)
            bad += problems
        usable = sum(map(len, found.values()))
        skip = tell_bad(bad, bad_files, of=usable + len(bad))
        if not usable or not all(found.values()):
            raise FileNotFoundError(
                f"no usable picture in {', '.join(map(str, folders)) or 'no folders'} (include "
                f"{list(include)}, exclude {list(exclude)}; {len(bad)} of them left out as bad)"
            )
        if self.drawing.largest > max(found) * self.patch:
            raise ValueError(
                f"scales up to {self.drawing.largest / self.patch:g} are wanted, but the teacher's "
                f"pictures are {', '.join(f'×{scale}' for scale in sorted(found))}"
            )
        self.paths = sorted({p.photo or p.source for some in found.values() for p in some})
        self._pools = _open_pools(found, cache_bytes, cache_folder, skip=skip)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Make sample ``index`` of the stream (any integer from 0 on).

        Raises:
            IndexError: If the index is negative.
            ValueError: If a picture turns out to be damaged and bad files are refused.
        """
        rng = sample_rng(self.seed, index)
        side = self.drawing.side(index)
        scale = self._scale_for(side)
        small, *large = self._pools[scale].draw(rng)
        cut = self._place(rng, small.shape)
        chosen = choose_pixels(rng, self.queries, side)
        lq = d4(_cut_out(small, cut, self.patch, 1), cut.variant)
        pictures = [_cut_out(picture, cut, self.patch, scale) for picture in large]
        pictures = [d4(imresize(picture, size=(side, side)), cut.variant) for picture in pictures]
        return {"lq": to_tensor(lq)} | _named(
            [{"gt": to_tensor(p)} if chosen is None else pixels_at(p, chosen) for p in pictures]
        )

    def _all_pools(self) -> Sequence[PhotoPool]:
        return list(self._pools.values())

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Make samples on the device; see `ArbitraryScaleDataset.batch`."""
        by_side = [
            self._of_one_side(list(some), side)
            for side, some in itertools.groupby(indices, self.drawing.side)
        ]
        return by_side[0] if len(by_side) == 1 else joined(by_side)

    def _of_one_side(self, indices: Sequence[int], side: int) -> dict[str, Tensor]:
        scale = self._scale_for(side)
        crops: list[list[Tensor]] = []
        variants: list[int] = []
        chosen = []
        for index in indices:
            rng = sample_rng(self.seed, index)
            small, *large = self.photos.draw(rng, self._pools[scale])
            cut = self._place(rng, small.shape)
            cut_large = [_cut_out(picture, cut, self.patch, scale) for picture in large]
            crops.append([_cut_out(small, cut, self.patch, 1), *cut_large])
            variants.append(cut.variant)
            chosen.append(choose_pixels(rng, self.queries, side))
        variant_of = as_variants(variants, crops[0][0].device)
        lq, *pictures = (torch.stack(some) for some in zip(*crops, strict=True))
        pictures = [turned(resized(picture, (side, side)), variant_of) for picture in pictures]
        return {"lq": to_floats(turned(lq, variant_of))} | _named(
            [
                {"gt": to_floats(p)} if self.queries is None else pixels_of(p, chosen)
                for p in pictures
            ]
        )

    def _place(self, rng: np.random.Generator, size: Sequence[int]) -> _Cut:
        """Draw the position of the crop, in pixels of the small picture, and its variant."""
        top = int(rng.integers(size[0] - self.patch + 1))
        left = int(rng.integers(size[1] - self.patch + 1))
        return _Cut(top, left, int(rng.integers(D4_VARIANTS)) if self.augment else 0)

    def _scale_for(self, side: int) -> int:
        """The smallest scale of a folder whose pictures are large enough."""
        return min(scale for scale in self._pools if scale * self.patch >= side)


def _cut_out(picture: Any, cut: _Cut, patch: int, scale: int) -> Any:
    rows = slice(cut.top * scale, (cut.top + patch) * scale)
    return picture[rows, cut.left * scale : (cut.left + patch) * scale]


def _named(made: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Combine the values from the teacher's picture with those from the photo, if there is one."""
    teachers, truth = made[0], made[-1]
    return {**truth, "teacher": teachers["gt"]}


def _the_one_scale(drawing: ScaleDraw) -> float | None:
    scale = drawing.largest / drawing.patch
    if drawing.least != drawing.largest:
        return None
    return int(scale) if scale == int(scale) else scale


def _open_pools(
    found: dict[int, list[TaughtPicture]],
    cache_bytes: int,
    cache_folder: str | Path | None,
    *,
    skip: bool,
) -> dict[int, PhotoPool]:
    """One pool per scale, all sharing one cache."""
    areas = {s: [p.size[0] * p.size[1] for p in pictures] for s, pictures in found.items()}
    photos = {p.photo for pictures in found.values() for p in pictures if p.photo}
    needed = 3 * sum(sum(some) * (1 + scale**2) for scale, some in areas.items())
    needed += 3 * sum(height * width for height, width in map(image_size, photos))
    photo = open_cache(read_rgb, needed=needed, cache_bytes=cache_bytes, cache_folder=cache_folder)
    return {
        scale: PhotoPool([p.files for p in pictures], areas[scale], photo=photo, skip=skip)
        for scale, pictures in found.items()
    }
