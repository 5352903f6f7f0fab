"""The photos of a dataset: finding usable files, and drawing them by area."""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from escsr.data.cache import Photo, PhotoCache
from escsr.images import image_size, read_rgb
from escsr.picture_files import list_images

_LOG = logging.getLogger(__name__)
_TRIES = 100  # redraws of one sample before giving up on a folder of unreadable photos

_Picture = TypeVar("_Picture")

BadFiles = Literal["refuse", "skip"]
"""How to treat unusable files: raise and name them, or warn and leave them out."""


class PhotoPool:
    """Pictures to draw from, each with a probability proportional to its area.

    So every pixel of all photos is about equally likely to be in a crop.

    Args:
        entries: The files of each entry: one photo, or a photo and its small picture.
        areas: Area of each entry in pixels.
        photo: Reads a file, or finds it in memory.
        skip: Whether a damaged file is skipped with a warning (another entry is drawn) or
            refused.
    """

    def __init__(
        self,
        entries: Sequence[tuple[Path, ...]],
        areas: Sequence[int],
        *,
        photo: PhotoCache,
        skip: bool,
    ) -> None:
        self.entries = list(entries)
        self.photo = photo
        self.skips_damaged = skip
        self._cumulated = np.cumsum(areas, dtype=np.float64)

    def draw(self, rng: np.random.Generator) -> tuple[Photo, ...]:
        """Draw an entry by area and return its pictures.

        Raises:
            ValueError: If a file is damaged and such files are refused, or if too many are.
        """
        return self.draw_from(lambda number: tuple(map(self.read, self.entries[number])), rng)

    def draw_from(
        self, read: Callable[[int], tuple[_Picture, ...]], rng: np.random.Generator
    ) -> tuple[_Picture, ...]:
        """Draw an entry by area and return its pictures, obtained from `read`.

        Args:
            read: Returns the pictures of an entry by its number; raises `ValueError` for damaged
                ones.
            rng: Generator of the sample.

        Raises:
            ValueError: As in `draw`.
        """
        for _ in range(_TRIES):
            place = rng.random() * self._cumulated[-1]
            number = int(np.searchsorted(self._cumulated, place, side="right"))
            try:
                return read(number)
            except ValueError as error:
                if not self.skips_damaged:
                    raise ValueError(f'{error}; remove the file or set bad_files="skip"') from error
                _LOG.warning("%s; another photo is used", error)
        raise ValueError(f"{_TRIES} photos drawn in a row could not be decoded")

    def read(self, path: Path, *, keep: bool = True) -> Photo:
        """Return one picture.

        Args:
            path: The file.
            keep: Whether the cache may keep it in memory.

        Raises:
            ValueError: If it cannot be decoded.
        """
        try:
            return self.photo(path, keep=keep)
        except Exception as error:  # decoders raise many kinds; none may pass unnamed
            raise ValueError(f"{path} cannot be decoded: {error}") from error


def open_pool(
    *,
    roots: Sequence[str | Path],
    side: int,
    reason: str,
    include: Sequence[str],
    exclude: Sequence[str],
    bad_files: BadFiles,
    cache_bytes: int,
    cache_folder: str | Path | None,
) -> PhotoPool:
    """Find the photos below some folders and check them by their headers.

    Args:
        roots: Folders, searched recursively; see `escsr.data.list_images`.
        side: Least height and width in pixels.
        reason: Where `side` comes from, for errors.
        include: Glob patterns of file names to take.
        exclude: Glob patterns of file names to leave out.
        bad_files: What to do about files that cannot be read or are too small.
        cache_bytes: Memory for decoded photos; see `escsr.data.PhotoCache`.
        cache_folder: Folder for decoded photos, likewise.

    Returns:
        The pool; each entry is one photo.

    Raises:
        FileNotFoundError: If a root is missing, or no file is left to draw from.
        ValueError: If a file is bad and `bad_files` is "refuse".
    """
    paths = list_images(roots, include=include, exclude=exclude)
    good: list[Path] = []
    areas: list[int] = []
    bad: list[str] = []
    for path in paths:
        try:
            height, width = image_size(path)
        except (ValueError, OSError) as error:
            bad.append(str(error))
            continue
        if min(height, width) < side:
            bad.append(
                f"{path} is {width}x{height}, smaller than the crop of {side}x{side} ({reason})"
            )
            continue
        good.append(path)
        areas.append(height * width)
    skip = tell_bad(bad, bad_files, of=len(paths))
    if not good:
        where = ", ".join(str(root) for root in roots)
        raise FileNotFoundError(
            f"no usable picture in {where} (include {list(include)}, exclude {list(exclude)}; "
            f"{len(paths)} of them left out as bad)"
        )
    photo = open_cache(
        read_rgb, needed=3 * sum(areas), cache_bytes=cache_bytes, cache_folder=cache_folder
    )
    return PhotoPool([(path,) for path in good], areas, photo=photo, skip=skip)


def damaged_files(paths: Iterable[Path]) -> list[str]:
    """Decode picture files and report failures, one line each; headers alone do not show damage.

    Args:
        paths: The files, of sizes that fit in memory.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:  # decoders release Python's lock
        return [line for line in threads.map(_damage, paths) if line is not None]


def _damage(path: Path) -> str | None:
    try:
        read_rgb(path)
    except Exception as error:  # decoders raise many kinds; none may pass unnamed
        return str(error) if str(path) in str(error) else f"{path} cannot be decoded: {error}"
    return None


def tell_bad(bad: Sequence[str], bad_files: BadFiles, *, of: int) -> bool:
    """Refuse files, or warn that they are left out.

    Args:
        bad: One line on the problem of each bad file.
        bad_files: "refuse" or "skip".
        of: Number of files examined.

    Returns:
        Whether bad files are skipped.

    Raises:
        ValueError: If there are bad files and they are refused, or `bad_files` is neither word.
    """
    if bad_files not in ("refuse", "skip"):
        raise ValueError(f'bad_files must be "refuse" or "skip", got {bad_files!r}')
    if bad and bad_files == "refuse":
        raise ValueError(
            f"{len(bad)} of {of} pictures cannot be used; remove them, use a smaller patch, or "
            'set bad_files="skip":\n  ' + "\n  ".join(bad)
        )
    for line in bad:
        _LOG.warning("left out: %s", line)
    return bad_files == "skip"


def open_cache(
    decode: Callable[[Path], Photo],
    *,
    needed: int,
    cache_bytes: int,
    cache_folder: str | Path | None,
) -> PhotoCache:
    """Make the cache of a dataset, with a warning if it is too small to help.

    Args:
        decode: Reads one file.
        needed: Bytes of all decoded photos.
        cache_bytes: Bytes of memory allowed.
        cache_folder: Folder for decoded photos, or None.
    """
    cache = PhotoCache(decode, budget=cache_bytes, folder=cache_folder)
    if cache_folder is None and needed > cache_bytes:
        _LOG.warning(
            "the decoded photos need %.2f GB and cache_bytes allows %.2f GB: photos will be "
            "decoded again and again; allow more, or name a cache_folder on a fast disk",
            needed / 1e9,
            cache_bytes / 1e9,
        )
    return cache


def sample_rng(seed: int, index: int) -> np.random.Generator:
    """Return the generator of one sample: a function of the dataset's seed and the index.

    Raises:
        IndexError: If the index is negative.
    """
    if index < 0:
        raise IndexError(f"samples are counted from 0, got {index}")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index])))


def check_whole_numbers(limits: Iterable[tuple[str, Any, int]]) -> None:
    """Refuse numbers that are not whole or too small; ``limits`` holds (name, value, least).

    Raises:
        ValueError: For the first such number.
    """
    for name, value, least in limits:
        if int(value) != value or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}, got {value}")
