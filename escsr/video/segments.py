"""Encoded video kept in segments, so that a killed run can be resumed."""

import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from escsr.files import remove_leftovers, replacing, write_json
from escsr.video.encoding import Encoded

FRAMES = 250
"""Frames per segment: x264 and x265 start a new group of pictures there anyway."""

_HEAD = struct.Struct("<qI?")  # timestamp, length, key frame


class Segments:
    """The folder beside an output that holds its encoded segments.

    Args:
        folder: Created if missing; files of other jobs in it are removed.
        job: Plain values that identify the input, the network and the settings: segments of an
            equal job are reused.
    """

    def __init__(self, folder: Path, job: dict[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        about = folder / "job.json"
        if not _is_equal(about, job):
            self.remove(keep_folder=True)
            write_json(about, job)

    @property
    def files(self) -> list[Path]:
        """The segments in order, up to the first missing one."""
        found: list[Path] = []
        while (path := self._path(len(found))).exists():
            found.append(path)
        return found

    def frames(self) -> tuple[int, int | None]:
        """The number of finished frames, and the timestamp of the last."""
        counts = [timestamps(path) for path in self.files]
        if not counts:
            return 0, None
        return sum(map(len, counts)), max(int(stamps.max()) for stamps in counts)

    def add(self, packets: Sequence[Encoded]) -> None:
        """Write the next segment, complete or not at all."""
        with replacing(self._path(len(self.files))) as temporary, temporary.open("wb") as file:
            for packet in packets:
                file.write(_HEAD.pack(packet.pts, len(packet.data), packet.is_key))
                file.write(packet.data)

    def remove(self, *, keep_folder: bool = False) -> None:
        """Remove what is there."""
        for path in [*self.folder.glob("*.packets"), self.folder / "job.json"]:
            path.unlink(missing_ok=True)
        if not keep_folder and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06}.packets"


def _is_equal(about: Path, job: dict[str, Any]) -> bool:
    try:
        return bool(json.loads(about.read_text("utf-8")) == json.loads(json.dumps(job)))
    except (OSError, ValueError):
        return False


def read_packets(path: Path) -> Iterator[Encoded]:
    """The packets of a segment."""
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            pts, length, is_key = _HEAD.unpack(head)
            yield Encoded(file.read(length), pts, is_key)


def timestamps(path: Path) -> npt.NDArray[np.int64]:
    """The timestamps of a segment's packets in file order, without their data."""
    found = []
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            pts, length, _ = _HEAD.unpack(head)
            found.append(pts)
            file.seek(length, 1)
    return np.array(found, np.int64)
