"""Reading the folder of a teacher's pictures."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from escsr.images import image_size
from escsr.picture_files import matches

TEACHER = "teacher.json"
"""Name of the file in a teacher's folder that records the settings and sources of its pictures."""


@dataclass(frozen=True, kw_only=True)
class TaughtPicture:
    """A small picture and a teacher's enlargement of it.

    Attributes:
        lq: The small picture.
        sr: The teacher's picture.
        source: Path of the photo when the small picture was made from it.
        photo: Its current path, if the roots were given.
        size: (h, w) of the small picture.
    """

    lq: Path
    sr: Path
    source: Path
    photo: Path | None
    size: tuple[int, int]

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of it."""
        return (self.lq, self.sr) if self.photo is None else (self.lq, self.sr, self.photo)


def read_folder(
    folder: Path,
    roots: Sequence[str | Path],
    include: Sequence[str],
    exclude: Sequence[str],
    patch: int,
) -> tuple[int, list[TaughtPicture], list[str]]:
    """Read a teacher's folder and check its pictures by their headers.

    Args:
        folder: The folder.
        roots: Folders of the photos, or none.
        include: Glob patterns of photos to take.
        exclude: Glob patterns of photos to leave out.
        patch: Smallest allowed side of a small picture.

    Returns:
        The scale, the usable pictures, and one line for each problem.

    Raises:
        FileNotFoundError: If it is not a teacher's folder.
        ValueError: If its ``teacher.json`` is damaged, or if roots are given although its small
            pictures show windows of photos.
    """
    try:
        made = json.loads((folder / TEACHER).read_text(encoding="utf-8"))
        scale, entries = int(made["settings"]["scale"]), list(made["pictures"])
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{folder} is no teacher's folder: it has no {TEACHER}; make one with "
            "tools/prepare_teacher.py"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / TEACHER} is damaged: {error}") from error
    if roots and made["settings"].get("reduce") is not None:
        raise ValueError(
            f"{folder} holds small pictures of windows of photos (reduce="
            f"{made['settings']['reduce']}): there is no photo of them; leave out roots"
        )
    pictures: list[TaughtPicture] = []
    problems: list[str] = []
    for entry in entries:
        if not matches(Path(entry["photo"]), include) or matches(Path(entry["photo"]), exclude):
            continue
        try:
            photo = _find_photo(entry, roots)
            pictures.append(_checked(folder, entry, scale, patch, photo))
        except (ValueError, OSError) as error:
            problems.append(str(error))
    return scale, pictures, problems


def _find_photo(entry: dict[str, str], roots: Sequence[str | Path]) -> Path | None:
    """Find an entry's photo; of several roots, one with the original name comes first."""
    for root in sorted(roots, key=lambda root: Path(root).resolve().name != entry["root"]):
        path = Path(root, entry["photo"])
        if path.is_file():
            return path
    if roots:
        raise ValueError(f"{entry['photo']}, of which there is a teacher's picture, is in no root")
    return None


def _checked(
    folder: Path, entry: dict[str, str], scale: int, patch: int, photo: Path | None
) -> TaughtPicture:
    """Check by their headers that an entry's pictures exist and match."""
    lq, sr = (folder / kind / f"{entry['name']}.png" for kind in ("lq", "sr"))
    if not (lq.is_file() and sr.is_file()):
        raise ValueError(f"{sr} or its small picture is not there: prepare the folder again")
    height, width = image_size(lq)
    if image_size(sr) != (height * scale, width * scale):
        raise ValueError(f"{sr} is not {scale} times as large as {lq}")
    if min(height, width) < patch:
        raise ValueError(f"{lq} is {width}x{height}, smaller than the patch of {patch}x{patch}")
    if photo is not None:
        size = image_size(photo)
        if (size[0] // scale, size[1] // scale) != (height, width):
            raise ValueError(f"{photo} is {size[1]}x{size[0]}, which {lq} was not made of")
    source = Path(entry["source"])
    return TaughtPicture(lq=lq, sr=sr, source=source, photo=photo, size=(height, width))
