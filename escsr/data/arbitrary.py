"""Training samples of any scale, for networks that enlarge by any factor."""

import inspect
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
from escsr.data.photos import BadFiles, check_whole_numbers, open_pool, sample_rng
from escsr.degradations import PRESETS, preset, usm_sharpen
from escsr.pixels import from_tensor, to_tensor
from escsr.resize import imresize

LqFrom = Callable[[Photo, tuple[int, int], np.random.Generator], NDArray[np.uint8]]
"""Makes a small picture: (gt (H, W, 3) uint8, size (h, w), generator) -> (h, w, 3) uint8."""


def degraded(name: str, *, sharpened: bool = False, **options: Any) -> LqFrom:
    """Make small pictures by a preset of `escsr.degradations`.

    Args:
        name: Name of the preset, e.g. "real_light".
        sharpened: Whether the large pictures are sharpened already; a preset that begins with it,
            as "real" does, then leaves it out.
        options: The preset's keyword arguments.

    Returns:
        A function for the ``lq_from`` of `ArbitraryScaleDataset`.

    Raises:
        ValueError: If there is no such preset.
    """
    if sharpened and "sharpen" in inspect.signature(PRESETS.get(name)).parameters:
        options = {"sharpen": False} | options
    pipeline = preset(name, **options)

    def make(gt: Photo, size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
        height, width = gt.shape[:2]
        draw = pipeline.draw(rng, size=(height, width), lq_size=size)
        (lq,) = pipeline.apply(to_tensor(gt)[None], [draw])
        return from_tensor(lq)

    return make


def sharpened(gt: Photo) -> Photo:
    """Sharpen as Real-ESRGAN does its truth; see `escsr.degradations.usm_sharpen`.

    Args:
        gt: (H, W, 3) uint8.

    Returns:
        (H, W, 3) uint8.
    """
    return from_tensor(usm_sharpen(to_tensor(gt)[None])[0])


class ArbitraryScaleDataset(Dataset[dict[str, Tensor]]):
    """Random pairs whose scale is drawn too, from folders of photographs.

    A scale s is drawn evenly from `scales`; a square of P = round(s * patch) pixels is cut out
    of a photo at any position, flipped or rotated, and made into ``patch`` x ``patch`` pixels.
    The true scale is P / patch, which is what coordinates and cells follow. The small picture is
    MATLAB's bicubic, 8-bit, of the crop by itself, mirrored at its edges: P / patch is no whole
    number, so the crop of a small photo would lie on another grid for each photo.

    Samples come in one of two forms:

    - With a number of `queries` as pixels drawn from the large crop, all samples of one shape:
      ``lq`` (3, p, p), ``gt`` (Q, 3), ``coords`` (Q, 2) and ``cells`` (Q, 2).
    - With ``queries=None`` as whole pictures: ``lq`` (3, p, p) and ``gt`` (3, P, P). Samples
      that are stacked must then share P, so each `group` of samples in a row has one scale.

    Pictures are float32 RGB in [0, 1]. Coordinates are pixel centres, (y, x), -1 + (2 i + 1) / P;
    a cell is the size of a pixel, (2 / P, 2 / P).

    Sample ``n`` depends on ``(seed, n)``, the settings and the files alone, as in
    `escsr.data.FolderDataset`.

    Args:
        roots: Folders, searched recursively; see `escsr.data.list_images`.
        patch: Side of the small picture in pixels.
        scales: Least and largest scale, at least 1.
        multiple: The side of the large crop is rounded to a multiple of this, at least 1. With a
            quarter of the patch, scales come in quarters, and whole pictures have few distinct
            places inside a pixel of the small one, which makes some heads much faster.
        queries: Pixels drawn per sample, without repetition; None for whole pictures.
        group: How many samples in a row have the same scale: the batch size, or that of one
            process or accumulation step. Only with ``queries=None``, where it must be said.
        seed: Seed of the stream, at least 0.
        include: Glob patterns of file names to take.
        exclude: Glob patterns of file names to leave out.
        augment: Whether to flip and rotate.
        bad_files: What to do about files that cannot be read or are too small for the largest
            crop: "refuse" raises and names them, "skip" logs a warning and leaves them out.
        cache_bytes: Memory for decoded photos, in bytes; per worker process, if there are any.
        cache_folder: Folder for decoded photos; see `escsr.data.PhotoCache`.
        sharpen: Whether to sharpen the large crop first, as ESC-Real's training does; what is
            sharpened is then both the truth and what the small picture is made of.
        keep_photo: Whether samples also hold ``photo`` (3, P, P), the large crop as it was before
            it was sharpened: what an adversary should take for a photograph, as in Real-ESRGAN.
        lq_from: Makes the small picture in place of bicubic: the name of a preset of
            `escsr.degradations` such as "real_light", or a function. It gets the large crop
            (P, P, 3) uint8, the size (p, p) and the sample's own generator, draws all its numbers
            from that, and returns (p, p, 3) uint8.

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
    ) -> None:
        check_whole_numbers((("patch", patch, 1), ("multiple", multiple, 1), ("seed", seed, 0)))
        self.patch = int(patch)
        self.scales = _checked_scales(scales)
        self.multiple = int(multiple)
        self.seed = int(seed)
        self.augment = augment
        self.queries, self.group = self._checked_form(queries, group)
        self.sharpen = sharpen
        if isinstance(lq_from, str):
            lq_from = degraded(lq_from, sharpened=sharpen)
        self.lq_from = lq_from
        self.keep_photo = self._checked_keep_photo(keep_photo)
        self._pool = open_pool(
            roots=roots,
            side=self._rounded(self.scales[1]),
            reason=f"patch {self.patch} x largest scale {self.scales[1]:g}",
            include=include,
            exclude=exclude,
            bad_files=bad_files,
            cache_bytes=cache_bytes,
            cache_folder=cache_folder,
        )
        self.paths = [path for (path,) in self._pool.entries]

    def _checked_keep_photo(self, keep_photo: bool) -> bool:
        """See that there is a difference, and somebody who looks at whole pictures."""
        if keep_photo and not (self.sharpen and self.queries is None):
            raise ValueError(
                "keep_photo is for sharpen=True and queries=None: only then is the photo another "
                "picture than the truth, and whole"
            )
        return keep_photo

    def _checked_form(self, queries: int | None, group: int | None) -> tuple[int | None, int]:
        """Check what says how samples look; samples with queries are groups of one."""
        if queries is None:
            if group is None:
                raise ValueError(
                    "with queries=None samples are whole pictures, and those of one batch must "
                    "have the same scale: give group=BATCH_SIZE, or a number of queries"
                )
            check_whole_numbers((("group", group, 1),))
            return None, int(group)
        if group is not None:
            raise ValueError(f"group={group} is for queries=None; with queries leave it out")
        check_whole_numbers((("queries", queries, 1),))
        least = self._rounded(self.scales[0])
        if queries > least**2:
            raise ValueError(
                f"queries must be at most {least**2}, the pixels of the smallest crop (patch "
                f"{self.patch} x scale {self.scales[0]:g}, squared), got {queries}"
            )
        return int(queries), 1

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Make sample ``index`` of the stream (any integer from 0 on).

        Raises:
            IndexError: If the index is negative.
            ValueError: If a photo turns out to be damaged and bad files are refused, or `lq_from`
                returns something other than it should.
        """
        rng = sample_rng(self.seed, index)
        side = self._side(index)
        (photo,) = self._pool.draw(rng)
        top = int(rng.integers(photo.shape[0] - side + 1))
        left = int(rng.integers(photo.shape[1] - side + 1))
        gt = photo[top : top + side, left : left + side]
        if self.augment:
            gt = d4(gt, int(rng.integers(D4_VARIANTS)))
        photo = gt
        if self.sharpen:
            gt = sharpened(gt)
        chosen = None
        if self.queries is not None:  # drawn before lq_from, which may draw any number of times
            chosen = rng.choice(side * side, self.queries, replace=False)
        lq = to_tensor(self._small(gt, rng))
        if chosen is None:
            kept = {"photo": to_tensor(photo)} if self.keep_photo else {}
            return {"lq": lq, "gt": to_tensor(gt)} | kept
        return {"lq": lq} | pixels_at(gt, chosen)

    def _side(self, index: int) -> int:
        """Side of the large crop of a sample: a function of the seed and the sample's group."""
        # another stream than those of the samples, whatever the numbers
        entropy = np.random.SeedSequence(self.seed, spawn_key=(1, index // self.group))
        scale = np.random.Generator(np.random.PCG64(entropy)).uniform(*self.scales)
        return self._rounded(scale)

    def _rounded(self, scale: float) -> int:
        """The side of the large crop at a scale; never less than the small one's."""
        side = round(self.patch * scale / self.multiple) * self.multiple
        return side if side >= self.patch else side + self.multiple

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


def pixels_at(image: NDArray[np.uint8], chosen: NDArray[np.integer]) -> dict[str, Tensor]:
    """Take single pixels out of a picture, with their coordinates.

    Args:
        image: (H, W, 3) uint8.
        chosen: (Q,) numbers of pixels, counted row by row.

    Returns:
        ``gt`` (Q, 3) in [0, 1], ``coords`` (Q, 2), pixel centres (y, x) in [-1, 1], and ``cells``
        (Q, 2), the pixel's height and width in the same unit; all float32.
    """
    height, width = image.shape[:2]
    rows, columns = np.divmod(chosen, width)
    gt = torch.from_numpy(image[rows, columns]).to(torch.float32).div_(255)
    coords = np.stack(
        [(2 * rows + 1) / height - 1, (2 * columns + 1) / width - 1], axis=1, dtype=np.float32
    )
    cells = torch.tensor([2 / height, 2 / width], dtype=torch.float32).repeat(len(chosen), 1)
    return {"gt": gt, "coords": torch.from_numpy(coords), "cells": cells}


def _checked_scales(scales: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(scale) for scale in scales)
    if not 1 <= low <= high < float("inf"):
        raise ValueError(
            f"scales must be (least, largest) with 1 <= least <= largest, got {scales!r}"
        )
    return low, high
