"""Pictures to try the page with: a photo, an aerial photo, and the first one damaged."""

import shutil
from pathlib import Path

import numpy as np

import escsr

_PHOTO, _AERIAL = "examples/photo.jpg", "tests/data/photo.png"  # where a checkout has them


def make_examples(folder: Path) -> dict[str, Path]:
    """Write the examples to a folder, which is made.

    Their sources and licences are in examples/README.md and tests/data/README.md.

    Returns:
        The files, by what they show.
    """
    folder.mkdir()
    photo, aerial = folder / "street.jpg", folder / "aerial.png"
    shutil.copyfile(_found(_PHOTO), photo)
    shutil.copyfile(_found(_AERIAL), aerial)
    damaged = folder / "damaged.jpg"
    damaged.write_bytes(_damaged(photo))
    return {"Photo": photo, "Damaged photo": damaged, "Aerial photo": aerial}


def _found(name: str) -> Path:
    package = Path(escsr.__file__).parent
    return next(path for root in (package, package.parent) if (path := root / name).is_file())


def _damaged(path: Path) -> bytes:
    """As a picture looks that was sent around: noise, and JPEG at quality 30."""
    from escsr.images import Picture, encode_image, from_float, read_image, to_float

    planes = to_float(read_image(path).pixels)
    noise = np.random.default_rng(0).normal(0, 0.03, planes.shape)
    picture = Picture(pixels=from_float((planes + noise).clip(0, 1)))
    return encode_image(picture, ".jpg", quality=30, chroma="420")
