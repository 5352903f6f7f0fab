"""Folders of photographs as an endless, seeded stream of training pairs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

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
    mirrored,
    resized,
    to_floats,
    turned,
)
from escsr.data.photos import BadFiles, check_whole_numbers, open_pool, sample_rng
from escsr.pixels import to_tensor
from escsr.resize import imresize

_CONTEXT = 2  # LQ pixels: MATLAB's bicubic at 1/s reaches 1.5 s + 0.5 <= 2 s photo pixels outwards


class Pair(TypedDict):
    """One training pair: `lq` (3, p, p) and `gt` (3, s p, s p), float32 RGB in [0, 1]."""

    lq: Tensor
    gt: Tensor


class FolderDataset(DeviceBatches, Dataset[Pair]):
    """Random aligned pairs from folders of photographs; small pictures are made on the fly.

    Sample ``n`` of the endless stream depends only on ``(seed, n)`` and the files, not on the
    number of workers, on earlier samples, or on the cache. To resume after k samples, request
    sample k.

    For each sample, a photo is drawn with a probability proportional to its area (so that every
    pixel is about equally likely), then a crop at a position that is a multiple of ``scale``, and
    one of the eight flips and rotations. The small picture is MATLAB's bicubic, 8-bit, of the
    whole photo (cut from the top left to multiples of ``scale``). It is computed from a crop with
    enough context, so that its border pixels also equal those of the whole photo.

    Args:
        roots: Folders, searched recursively; see `escsr.data.list_images`.
        scale: Integer factor between the pair, at least 1.
        patch: Side of the small crop in pixels; the large one has ``patch * scale``.
        seed: Seed of the stream, at least 0.
        include: Glob patterns of file names to take.
        exclude: Glob patterns of file names to leave out (e.g. held-out photos).
        augment: Whether to flip and rotate.
        bad_files: What to do about files that cannot be read or are too small for the crop:
            "refuse" raises and names them, "skip" logs a warning and leaves them out.
        cache_bytes: Memory for decoded photos, in bytes; per worker process, if there are any.
            A photo of W x H needs 3 W H bytes.
        cache_folder: Folder for decoded photos, for pictures that do not fit in memory; see
            `escsr.data.PhotoCache`.
        on_device: Whether to keep the photos as one tensor on the training device and make batches
            there, for a GPU that one process could not keep busy otherwise. The samples are the
            same. The device needs 3 bytes per pixel of all photos.

    Raises:
        FileNotFoundError: If a root is missing, or no file is left to draw from.
        ValueError: If a number is out of range, or a file is bad and `bad_files` is "refuse".

    Example:
        >>> dataset = FolderDataset(roots=("datasets/train",), scale=2, patch=48, seed=0)
        >>> dataset[0]["gt"].shape
        torch.Size([3, 96, 96])
    """

    def __init__(
        self,
        *,
        roots: Sequence[str | Path],
        scale: int,
        patch: int,
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
        self.scale = int(scale)
        self.patch = int(patch)
        self.seed = int(seed)
        self.augment = augment
        self.on_device = on_device
        self._pool = open_pool(
            roots=roots,
            side=self.patch * self.scale,
            reason=f"patch {self.patch} x scale {self.scale}",
            include=include,
            exclude=exclude,
            bad_files=bad_files,
            cache_bytes=cache_bytes,
            cache_folder=cache_folder,
        )
        self.paths = [path for (path,) in self._pool.entries]

    def __getitem__(self, index: int) -> Pair:
        """Make sample ``index`` of the stream (any integer from 0 on).

        Raises:
            IndexError: If the index is negative.
            ValueError: If a photo turns out to be damaged and bad files are refused.
        """
        rng = sample_rng(self.seed, index)
        (photo,) = self._pool.draw(rng)
        top, left, variant = self._place(rng, photo.shape)
        lq, gt = crop_pair(photo, scale=self.scale, top=top, left=left, patch=self.patch)
        return {"lq": to_tensor(d4(lq, variant)), "gt": to_tensor(d4(gt, variant))}

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Make samples on the device; see `open_on`.

        Args:
            indices: Sample indices, from 0.

        Returns:
            `lq` (B, 3, p, p) and `gt` (B, 3, s p, s p).
        """
        scale, patch = self.scale, self.patch
        windows: list[Tensor] = []
        variants: list[int] = []
        for index in indices:
            rng = sample_rng(self.seed, index)
            (photo,) = self.photos.draw(rng)
            top, left, variant = self._place(rng, photo.shape)
            whole = photo[: photo.shape[0] // scale * scale, : photo.shape[1] // scale * scale]
            corner = {"top": (top - _CONTEXT) * scale, "left": (left - _CONTEXT) * scale}
            windows.append(mirrored(whole, **corner, side=(patch + 2 * _CONTEXT) * scale))
            variants.append(variant)
        window, variant_of = torch.stack(windows), as_variants(variants, windows[0].device)
        lq = resized(window, (patch + 2 * _CONTEXT,) * 2, context=_CONTEXT)
        inner = slice(_CONTEXT * scale, (_CONTEXT + patch) * scale)
        pictures = {"lq": lq, "gt": window[:, inner, inner]}
        return {name: to_floats(turned(p, variant_of)) for name, p in pictures.items()}

    def _place(self, rng: np.random.Generator, size: Sequence[int]) -> tuple[int, int, int]:
        """Draw the position of the crop, in pixels of the small photo, and its variant."""
        top = int(rng.integers(size[0] // self.scale - self.patch + 1))
        left = int(rng.integers(size[1] // self.scale - self.patch + 1))
        return top, left, int(rng.integers(D4_VARIANTS)) if self.augment else 0


def crop_pair(
    photo: Photo, *, scale: int, top: int, left: int, patch: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cut an aligned pair out of a photo, as if the whole photo had been reduced first.

    Args:
        photo: (H, W, 3) uint8.
        scale: Integer factor, at least 1.
        top: First row of the small crop, in pixels of the small picture.
        left: First column of the small crop, likewise.
        patch: Side of the small crop, in pixels.

    Returns:
        The small crop (patch, patch, 3), bit for bit that of the whole small photo, and the
        large crop (scale * patch, scale * patch, 3), a view of the photo.
    """
    rows, columns = photo.shape[0] // scale, photo.shape[1] // scale
    y0, x0 = max(top - _CONTEXT, 0), max(left - _CONTEXT, 0)
    y1, x1 = min(top + patch + _CONTEXT, rows), min(left + patch + _CONTEXT, columns)
    small = imresize(
        photo[y0 * scale : y1 * scale, x0 * scale : x1 * scale], size=(y1 - y0, x1 - x0)
    )
    lq = small[top - y0 : top - y0 + patch, left - x0 : left - x0 + patch]
    gt = photo[top * scale : (top + patch) * scale, left * scale : (left + patch) * scale]
    return lq, gt
