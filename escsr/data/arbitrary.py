"""Training samples of any scale, for networks that enlarge by any factor."""

import inspect
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from escsr.data.augment import D4_VARIANTS, d4
from escsr.data.cache import Photo
from escsr.data.on_device import (
    DeviceBatches,
    as_variants,
    resized,
    to_floats,
    turned,
)
from escsr.data.photos import BadFiles, open_pool, sample_rng
from escsr.data.queries import checked_queries, choose_pixels, joined, pixels_at, pixels_of
from escsr.data.scales import ScaleDraw
from escsr.degradations import PRESETS, Pipeline, preset, usm_sharpen
from escsr.pixels import from_tensor, to_levels_tensor, to_tensor
from escsr.resize import imresize

LqFrom = Callable[[Photo, tuple[int, int], np.random.Generator], NDArray[np.uint8]]
"""Makes a small picture: (gt (H, W, 3) uint8, size (h, w), generator) -> (h, w, 3) uint8."""


def degraded(name: str, *, sharpened: bool = False, **options: Any) -> LqFrom:
    """Make small pictures by a preset of `escsr.degradations`.

    Args:
        name: Name of the preset, e.g. "real_light".
        sharpened: Whether the large pictures are already sharpened; a preset that begins with
            sharpening, such as "real", then skips it.
        options: The preset's keyword arguments.

    Returns:
        A function for the ``lq_from`` of `ArbitraryScaleDataset`.

    Raises:
        ValueError: If there is no such preset.
    """
    if sharpened and "sharpen" in inspect.signature(PRESETS.get(name)).parameters:
        options = {"sharpen": False} | options
    return _Degraded(preset(name, **options))


class _Degraded:
    """Small pictures by a pipeline; a class, so that it can be sent to other processes."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def __call__(
        self, gt: Photo, size: tuple[int, int], rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        height, width = gt.shape[:2]
        draw = self._pipeline.draw(rng, size=(height, width), lq_size=size)
        (lq,) = self._pipeline.apply(to_tensor(gt)[None], [draw])
        return from_tensor(lq)


def sharpened(gt: Photo) -> Photo:
    """Sharpen like the ground truth of Real-ESRGAN; see `escsr.degradations.usm_sharpen`.

    Args:
        gt: (H, W, 3) uint8.

    Returns:
        (H, W, 3) uint8.
    """
    return from_tensor(usm_sharpen(to_tensor(gt)[None])[0])


class ArbitraryScaleDataset(DeviceBatches, Dataset[dict[str, Tensor]]):
    """Random pairs of random scale, from folders of photographs.

    A scale s is drawn uniformly from `scales`; a square of P = round(s * patch) pixels is cut out
    of a photo at any position, flipped or rotated, and reduced to ``patch`` x ``patch`` pixels.
    The true scale is P / patch, which coordinates and cells follow. The small picture is MATLAB's
    bicubic, 8-bit, of the crop alone, mirrored at its edges: P / patch is not a whole number, so
    the crop of a reduced photo would lie on a different grid for each photo.

    Samples come in one of two forms:

    - With `queries`: pixels drawn from the large crop, so that all samples have one shape:
      ``lq`` (3, p, p), ``gt`` (Q, 3), ``coords`` (Q, 2) and ``cells`` (Q, 2).
    - With ``queries=None``: whole pictures, ``lq`` (3, p, p) and ``gt`` (3, P, P). Stacked
      samples must then share P, so each `group` of consecutive samples has one scale.

    Pictures are float32 RGB in [0, 1]. Coordinates are pixel centres, (y, x), -1 + (2 i + 1) / P;
    a cell is the size of a pixel, (2 / P, 2 / P).

    Sample ``n`` depends only on ``(seed, n)``, the settings and the files, as in
    `escsr.data.FolderDataset`.

    Args:
        roots: Folders, searched recursively; see `escsr.data.list_images`.
        patch: Side of the small picture in pixels.
        scales: Least and largest scale, at least 1.
        multiple: The side of the large crop is rounded to a multiple of this, at least 1. With a
            quarter of the patch, scales are multiples of 1/4, and pixels of whole pictures have few
            distinct positions within a pixel of the small one, which makes some heads much faster.
        queries: Pixels drawn per sample, without repetition; None for whole pictures.
        group: Number of consecutive samples with the same scale: the batch size, or that of one
            process or accumulation step. Required with ``queries=None``, not allowed otherwise.
        seed: Seed of the stream, at least 0.
        include: Glob patterns of file names to take.
        exclude: Glob patterns of file names to leave out.
        augment: Whether to flip and rotate.
        bad_files: What to do about files that cannot be read or are too small for the largest
            crop: "refuse" raises and names them, "skip" logs a warning and leaves them out.
        cache_bytes: Memory for decoded photos, in bytes; per worker process, if there are any.
        cache_folder: Folder for decoded photos; see `escsr.data.PhotoCache`.
        sharpen: Whether to sharpen the large crop first, as in the training of ESC-Real; the
            sharpened crop is then the ground truth and the source of the small picture.
        keep_photo: Whether samples also hold ``photo`` (3, P, P), the large crop before
            sharpening: the real picture for a discriminator, as in Real-ESRGAN.
        lq_from: Makes the small picture instead of bicubic: the name of a preset of
            `escsr.degradations` such as "real_light", or a function. It gets the large crop
            (P, P, 3) uint8, the size (p, p) and the sample's own generator, which must be its only
            source of random numbers, and returns (p, p, 3) uint8.
        on_device: Whether batches are made on the training device; see `FolderDataset`. Not with
            `lq_from`, which makes one picture at a time on the CPU.

    Raises:
        FileNotFoundError: If a root is missing, or no file is left to draw from.
        ValueError: If a number is out of range, or a file is bad and `bad_files` is "refuse".

    Example:
        >>> dataset = ArbitraryScaleDataset(roots=("datasets/train",), patch=48, queries=2304)
        >>> {name: tuple(values.shape) for name, values in dataset[0].items()}
        {'lq': (3, 48, 48), 'gt': (2304, 3), 'coords': (2304, 2), 'cells': (2304, 2)}

    Source: the sampling of LIIF, arXiv 2012.09161.
    """

    def __init__(
        self,
        *,
        roots: Sequence[str | Path],
        patch: int,
        scales: tuple[float, float] = (1.0, 4.0),
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
        sharpen: bool = False,
        keep_photo: bool = False,
        lq_from: LqFrom | str | None = None,
        on_device: bool = False,
    ) -> None:
        if queries is not None and group is not None:
            raise ValueError(f"group={group} is for queries=None; with queries leave it out")
        if queries is None and group is None:
            raise ValueError(
                "with queries=None samples are whole pictures, and those of one batch must "
                "have the same scale: give group=BATCH_SIZE, or a number of queries"
            )
        self.drawing = ScaleDraw(
            patch=patch,
            scales=scales,
            multiple=multiple,
            group=1 if group is None else group,
            seed=seed,
        )
        self.patch, self.seed, self.group = int(patch), int(seed), self.drawing.group
        self.queries = checked_queries(queries, self.drawing)
        self.augment = augment
        self.on_device = on_device
        self.sharpen = sharpen
        if isinstance(lq_from, str):
            lq_from = degraded(lq_from, sharpened=sharpen)
        if lq_from is not None and on_device:
            raise ValueError(
                "lq_from makes one picture at a time on the CPU, and on_device none there: leave "
                "out one of them, or prepare the small pictures as files (PairedDataset, "
                "TeacherDataset)"
            )
        self.lq_from = lq_from
        self.keep_photo = self._checked_keep_photo(keep_photo)
        self._pool = open_pool(
            roots=roots,
            side=self.drawing.largest,
            reason=f"patch {self.patch} x largest scale {self.drawing.scales[1]:g}",
            include=include,
            exclude=exclude,
            bad_files=bad_files,
            cache_bytes=cache_bytes,
            cache_folder=cache_folder,
        )
        self.paths = [path for (path,) in self._pool.entries]

    def _checked_keep_photo(self, keep_photo: bool) -> bool:
        """Check that the photo differs from the ground truth and samples are whole pictures."""
        if keep_photo and not (self.sharpen and self.queries is None):
            raise ValueError(
                "keep_photo is for sharpen=True and queries=None: only then is the photo another "
                "picture than the truth, and whole"
            )
        return keep_photo

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Make sample ``index`` of the stream (any integer from 0 on).

        Raises:
            IndexError: If the index is negative.
            ValueError: If a photo turns out to be damaged and bad files are refused, or `lq_from`
                returns a wrong shape or type.
        """
        rng = sample_rng(self.seed, index)
        side = self.drawing.side(index)
        (whole,) = self._pool.draw(rng)
        top, left, variant = self._place(rng, whole.shape, side)
        photo = gt = d4(whole[top : top + side, left : left + side], variant)
        if self.sharpen:
            gt = sharpened(gt)
        # drawn before lq_from, which may draw any number of times
        chosen = choose_pixels(rng, self.queries, side)
        lq = to_tensor(self._small(gt, rng))
        if chosen is None:
            kept = {"photo": to_tensor(photo)} if self.keep_photo else {}
            return {"lq": lq, "gt": to_tensor(gt)} | kept
        return {"lq": lq} | pixels_at(gt, chosen)

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Make samples on the device; see `open_on`.

        Args:
            indices: Sample indices, from 0; without queries all of one group, which shares a
                scale.

        Returns:
            The tensors of single samples, with a leading batch dimension.
        """
        by_side = [
            self._of_one_side(list(some), side)
            for side, some in itertools.groupby(indices, self.drawing.side)
        ]
        return by_side[0] if len(by_side) == 1 else joined(by_side)

    def _of_one_side(self, indices: Sequence[int], side: int) -> dict[str, Tensor]:
        crops: list[Tensor] = []
        variants: list[int] = []
        chosen = []
        for index in indices:
            rng = sample_rng(self.seed, index)
            (whole,) = self.photos.draw(rng)
            top, left, variant = self._place(rng, whole.shape, side)
            crops.append(whole[top : top + side, left : left + side])
            variants.append(variant)
            chosen.append(choose_pixels(rng, self.queries, side))
        photo = gt = turned(torch.stack(crops), as_variants(variants, crops[0].device))
        if self.sharpen:
            gt = to_levels_tensor(usm_sharpen(to_floats(gt))).permute(0, 2, 3, 1)
        made = {"lq": to_floats(resized(gt, (self.patch,) * 2))}
        if self.queries is not None:
            return made | pixels_of(gt, chosen)
        kept = {"photo": to_floats(photo)} if self.keep_photo else {}
        return made | {"gt": to_floats(gt)} | kept

    def _place(
        self, rng: np.random.Generator, size: Sequence[int], side: int
    ) -> tuple[int, int, int]:
        """Draw the position of the crop in the photo, and its variant."""
        top = int(rng.integers(size[0] - side + 1))
        left = int(rng.integers(size[1] - side + 1))
        return top, left, int(rng.integers(D4_VARIANTS)) if self.augment else 0

    def _small(self, gt: Photo, rng: np.random.Generator) -> NDArray[np.uint8]:
        size = (self.patch, self.patch)
        if self.lq_from is None:
            return imresize(gt, size=size)
        lq = self.lq_from(np.ascontiguousarray(gt), size, rng)
        if lq.shape != (*size, 3) or lq.dtype != np.uint8:
            raise ValueError(
                f"lq_from must return {(*size, 3)} uint8, got {lq.shape} {lq.dtype} from "
                f"{self.lq_from!r}"
            )
        return lq
