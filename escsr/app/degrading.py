"""The tab of degradations: a good picture to a bad one, as `escsr degrade` makes it."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from escsr.app.desk import Desk, View
from escsr.app.uploads import Upload
from escsr.app.words import RefusedError, megapixels
from escsr.degradations import Draw, Pipeline, list_presets, preset
from escsr.degradations.pictures import apply_draw, draw_for, sheet_of_draws, stream_of
from escsr.files import write_text
from escsr.images import Picture, write_image
from escsr.pixels import from_float, to_float

MOST_DRAWS = 24
_MOST = 4_000_000  # pixels; the strongest preset takes ten seconds for these


@dataclass(frozen=True, kw_only=True)
class Degraded:
    """A picture made worse.

    Attributes:
        view: The good one and the bad one, which is enlarged without smoothing.
        files: The bad picture, and the draw that makes it again.
        text: What was done.
    """

    view: View
    files: tuple[str, str]
    text: str


def degrade_one(
    desk: Desk, owner: str, path: str, name: str | None, scale: float, seed: float | None
) -> Degraded:
    """Draw once, and do it.

    Raises:
        RefusedError: If the picture is too large, or there is no such preset.
        ValueError: If the scale or the seed is out of its range.
    """
    upload = _small(desk.uploads.read(path))
    pixels, pipeline = _rgb(upload), _pipeline(name)
    seeds = _whole(seed), stream_of(os.fsencode(upload.name))
    draw = draw_for(pipeline, pixels.shape[:2], float(scale), seeds)
    lq = apply_draw(pixels, draw)
    files = _written(desk, owner, upload, draw, lq, {"preset": name, "scale": scale, "seed": seed})
    good = pixels[: draw.size[0], : draw.size[1]]
    view = desk.view(
        owner, Picture(pixels=np.ascontiguousarray(good)), _spread(lq, draw.size), "png"
    )
    return Degraded(view=view, files=files, text=f"{lq.shape[1]}×{lq.shape[0]}: {draw.describe()}")


def make_sheet(
    desk: Desk,
    owner: str,
    path: str,
    name: str | None,
    scale: float,
    seed: float | None,
    count: float,
) -> str:
    """Several draws beside each other; see `degrade_one`.

    Returns:
        A PNG.
    """
    upload = _small(desk.uploads.read(path))
    if not 1 <= count <= MOST_DRAWS:
        raise RefusedError(f"A sheet shows 1 to {MOST_DRAWS} samples.")
    pixels = _rgb(upload)
    sheet = sheet_of_draws(
        _pipeline(name), lambda _: pixels, scale=float(scale), seed=_whole(seed), count=int(count)
    )
    file = desk.folder.new(owner) / f"{Path(upload.name).stem}_sheet.png"
    write_image(file, Picture(pixels=sheet))
    return str(file)


def _small(upload: Upload) -> Upload:
    height, width = upload.picture.size
    if height * width > _MOST:
        raise RefusedError(
            f"{upload.name}: at most {megapixels(_MOST)} are degraded here; 'escsr degrade' has no "
            "such limit"
        )
    return upload


def _rgb(upload: Upload) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    pixels = upload.picture.pixels
    return from_float(to_float(pixels)) if pixels.dtype != np.uint8 else pixels


def _pipeline(name: str | None) -> Pipeline:
    if name not in list_presets():
        raise RefusedError(f"The degradation is one of: {', '.join(list_presets())}.")
    return preset(name)


def _whole(seed: float | None) -> int:
    if seed is None or seed != int(seed) or not 0 <= seed < 1 << 53:
        raise RefusedError("The seed is a whole number from 0.")
    return int(seed)


def _written(
    desk: Desk,
    owner: str,
    upload: Upload,
    draw: Draw,
    lq: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    about: dict[str, object],
) -> tuple[str, str]:
    folder, stem = desk.folder.new(owner), Path(upload.name).stem
    picture, record = folder / f"{stem}_degraded.png", folder / f"{stem}_degraded.json"
    write_image(picture, Picture(pixels=lq))
    write_text(record, draw.to_json(about={"picture": upload.name, **about}))
    return str(picture), str(record)


def _spread(lq: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], size: tuple[int, int]) -> Picture:
    """Each pixel as a square."""
    rows = np.arange(size[0]) * lq.shape[0] // size[0]
    columns = np.arange(size[1]) * lq.shape[1] // size[1]
    return Picture(pixels=lq[rows][:, columns])
