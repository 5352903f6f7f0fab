"""Reading and writing folders of frames."""

from collections.abc import Generator, Sequence
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from escsr.files import write_text
from escsr.images import Picture, image_size, read_image, write_image
from escsr.pixels import from_tensor, to_tensor
from escsr.video.colour import ColourTags
from escsr.video.reading import Frame, VideoFacts

TIMESTAMPS = "timestamps.txt"
"""File beside the frames with their times in milliseconds (Matroska's timestamp format v2)."""

_HEADING = "# timestamp format v2"
_MILLISECOND_PARTS = 1_000_000  # timestamps have nanosecond precision


class FolderSource:
    """Pictures of one size as the frames of a video, in the order of their names.

    Args:
        files: The pictures.
        rate: Frames per second; None uses the folder's `TIMESTAMPS`, or 25 if there are none.

    Raises:
        ValueError: If the timestamps cannot be read or their number differs from the pictures'.
    """

    notices: tuple[str, ...] = ()
    """Always empty: an unreadable picture ends the work."""

    def __init__(self, files: Sequence[Path], *, rate: Fraction | None = None) -> None:
        self.path = files[0].parent
        self._files = list(files)
        stamps = None if rate is not None else _read_timestamps(self.path, len(files))
        rate = rate or Fraction(25)
        self._stamps = stamps or list(range(len(files)))
        if stamps is not None and len(stamps) > 1:
            seconds = Fraction(stamps[-1] - stamps[0], 1000 * _MILLISECOND_PARTS)
            rate = (len(stamps) - 1) / seconds
            rate = rate.limit_denominator(1001)
        first = read_image(files[0])
        deep = first.depth == 16
        self.facts = VideoFacts(
            size=first.size,
            pixel_format="yuv420p10le" if deep else "yuv420p",
            codec="pictures",
            tags=ColourTags(matrix=1, range=1, primaries=1, transfer=1),
            time_base=1 / rate if stamps is None else Fraction(1, 1000 * _MILLISECOND_PARTS),
            rate=rate,
            count=len(files),
        )

    def frames(self, after: int | None = None, count: int = 0) -> Generator[Frame, None, None]:
        """The frames after the first ``count``; see `VideoSource.frames`.

        Raises:
            ValueError: If a picture has another size.
        """
        for path, pts in list(zip(self._files, self._stamps, strict=True))[count:]:
            if image_size(path) != self.facts.size:
                height, width = self.facts.size
                raise ValueError(
                    f"{path} is of another size than the first frame, {width}×{height}"
                )
            yield Frame(to_tensor(read_image(path).pixels), pts)


def _read_timestamps(folder: Path, count: int) -> list[int] | None:
    path = folder / TIMESTAMPS
    if not path.is_file():
        return None
    lines = path.read_text("utf-8").split("\n")
    try:
        if lines[0].strip() != _HEADING:
            raise ValueError
        parts = [Fraction(line.strip()) for line in lines[1:] if line.strip()]
    except (ValueError, ZeroDivisionError):
        raise ValueError(
            f"{path}: the first line is '{_HEADING}', each further one a number of milliseconds"
        ) from None
    stamps = [round(part * _MILLISECOND_PARTS) for part in parts]
    if len(stamps) != count or any(b <= a for a, b in zip(stamps, stamps[1:], strict=False)):
        raise ValueError(
            f"{path}: {count} frames need as many rising timestamps, not {len(stamps)}; without "
            "the file, give the frames per second"
        )
    return stamps


class FolderSink:
    """Frames as numbered PNG files, 000001.png and so on, and their timestamps.

    Args:
        folder: Folder to write to; created if missing.
        depth: 8 or 16 bits.
        suffix: File type.
    """

    def __init__(self, folder: Path, *, depth: int, suffix: str = ".png") -> None:
        self.folder, self._depth, self._suffix = folder, depth, suffix
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, number: int) -> Path:
        """Path of a frame, counted from 0."""
        return self.folder / f"{number + 1:06}{self._suffix}"

    def done(self) -> int:
        """Number of consecutive frames that exist, from the first."""
        count = 0
        while self.path(count).exists():
            count += 1
        return count

    def write(self, number: int, rgb: Tensor) -> None:
        """Write a frame."""
        write_image(self.path(number), Picture(pixels=from_tensor(rgb, depth=self._depth)))

    def finish(self, stamps: Sequence[int], time_base: Fraction) -> None:
        """Write the time of each frame."""
        times = [f"{float(1000 * stamp * time_base):.6f}" for stamp in stamps]
        write_text(self.folder / TIMESTAMPS, "\n".join([_HEADING, *times]) + "\n")
