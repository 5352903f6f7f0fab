"""Inspecting a collection of photographs: faults, duplicates, statistics."""

import hashlib
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from escsr.images import read_image

_SAMPLED = 4  # colours are averaged over every fourth row and column: 0.01 s in place of 0.2 s


@dataclass(frozen=True, kw_only=True)
class PhotoFacts:
    """The findings about one file.

    Attributes:
        path: The file.
        target: Path of its sub-images below the output folder, without number and ending.
        problem: Why it is left out, or None.
        size: (H, W), or None if it cannot be read.
        gray: Whether it has no colours.
        digest: Hash of its pixels, the same for identical pictures.
        mean: Mean of R, G, B in [0, 1].
        squares: Mean of their squares.
    """

    path: Path
    target: str
    problem: str | None = None
    size: tuple[int, int] | None = None
    gray: bool = False
    digest: str = ""
    mean: tuple[float, ...] = ()
    squares: tuple[float, ...] = ()


def inspect_photo(path: Path, target: str, *, least: int, gray: bool) -> PhotoFacts:
    """Decode and examine one photo; the result says why it is left out, if it is.

    Args:
        path: The file.
        target: Passed on to the result.
        least: Photos with a shorter side are left out.
        gray: Whether photos without colours are kept.
    """
    try:
        picture = read_image(path)
    except Exception as error:  # decoders raise many kinds; none may stop the whole collection
        return PhotoFacts(path=path, target=target, problem=f"unreadable: {error}")
    pixels = picture.pixels
    colourless = picture.gray or all(np.array_equal(pixels[..., 0], pixels[..., c]) for c in (1, 2))
    problem = None
    if min(picture.size) < least:
        problem = f"small: {picture.size[1]}x{picture.size[0]}, a side is below {least}"
    elif picture.alpha is not None and picture.alpha.min() < np.iinfo(pixels.dtype).max:
        problem = "transparent: what it shows depends on what it is laid on"
    elif colourless and not gray:
        problem = "gray"
    samples = pixels[::_SAMPLED, ::_SAMPLED].reshape(-1, 3) / float(np.iinfo(pixels.dtype).max)
    digest = hashlib.sha256(f"{pixels.shape}{pixels.dtype}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return PhotoFacts(
        path=path,
        target=target,
        problem=problem,
        size=picture.size,
        gray=colourless,
        digest=digest.hexdigest(),
        mean=tuple(samples.mean(axis=0).tolist()),
        squares=tuple((samples**2).mean(axis=0).tolist()),
    )


def mark_duplicates(facts: Iterable[PhotoFacts]) -> list[PhotoFacts]:
    """Mark every photo with the same pixels as an earlier one as a problem."""
    first: dict[str, Path] = {}
    marked = []
    for photo in facts:
        if photo.problem is None:
            same = first.setdefault(photo.digest, photo.path)
            if same != photo.path:
                photo = replace(photo, problem=f"duplicate: the same as {same}")
        marked.append(photo)
    return marked


def summarise(used: Sequence[PhotoFacts]) -> dict[str, Any]:
    """Return the statistics of a collection: counts, sizes in pixels, colours in [0, 1].

    Args:
        used: Photos that could be read, at least one.
    """
    sizes = [photo.size for photo in used if photo.size is not None]
    areas = [height * width for height, width in sizes]
    mean = np.average([photo.mean for photo in used], axis=0, weights=areas)
    squares = np.average([photo.squares for photo in used], axis=0, weights=areas)

    return {
        "photos": len(used),
        "megapixels": sum(areas) / 1e6,
        "height": _spread([height for height, _ in sizes]),
        "width": _spread([width for _, width in sizes]),
        "gray": sum(photo.gray for photo in used),
        "mean_rgb": mean.tolist(),
        "std_rgb": np.sqrt(np.maximum(squares - mean**2, 0)).tolist(),
    }


def _spread(values: Sequence[int]) -> dict[str, float]:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}
