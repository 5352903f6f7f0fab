"""Reading the frames of a video file in order, from any position."""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor

from escsr.video.colour import ColourTags, to_rgb
from escsr.video.frames import bits_of, planar_format, planes_of, pyav

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

Size = tuple[int, int]


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        rgb: (3, H, W) float32 in [0, 1].
        pts: Presentation time, in units of the video's `time_base`.
        duration: Duration in the same units, or 0 if unknown.
    """

    rgb: Tensor
    pts: int
    duration: int = 0


@dataclass(frozen=True, kw_only=True)
class VideoFacts:
    """The facts about a video that are known before its frames are read.

    Attributes:
        size: (H, W) of the stored frames.
        rotation: Degrees by which players turn them, counter-clockwise.
        matrix: Display matrix of the rotation, as stored, or None.
        pixel_format: Format with separate planes, see `planar_format`.
        codec: Name of its codec.
        tags: Colour tags.
        time_base: Unit of timestamps, in seconds.
        rate: Frames per second, on average.
        count: Number of frames, or None if it is unknown without reading all of them.
        pixel_shape: Width of a pixel over its height.
        notices: Notices for the user.
    """

    size: Size
    rotation: int = 0
    matrix: tuple[int, ...] | None = None
    pixel_format: str
    codec: str
    tags: ColourTags
    time_base: Fraction
    rate: Fraction
    count: int | None = None
    pixel_shape: Fraction = Fraction(1)
    notices: tuple[str, ...] = ()


@dataclass
class _Damage:
    """The damage found while decoding.

    Attributes:
        packets: Packets that could not be decoded and were skipped, as in players.
        frames: Frames with holes that the decoder filled by guessing.
        cut: Whether the file ends in the middle of a packet.
        missing: Seconds at the end that the file announces but does not contain.
    """

    packets: int = 0
    frames: int = 0
    cut: bool = False
    missing: float = 0.0

    def notices(self) -> list[str]:
        found = []
        if self.packets:
            found.append(
                f"{self.packets} damaged packets of the video could not be decoded: frames are "
                "missing"
            )
        if self.frames:
            found.append(f"{self.frames} frames are damaged, and the decoder guessed parts of them")
        if self.missing:
            found.append(f"the last {self.missing:.1f} s of the video cannot be read")
        elif self.cut:
            found.append("the video is cut off in the middle of a frame")
        return found


class VideoSource:
    """A video file.

    Args:
        path: The file.

    Attributes:
        facts: Facts about the video.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a video, or none of its frames can be read.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"there is no video {path}")
        self.path = path
        self._damage = _Damage()
        with self._open() as (_, stream, frames):
            first = next(frames, None)
            if first is None:
                raise ValueError(f"{path}: no frame of this video can be read")
            self.facts = _facts_of(stream, first)
            self._seconds = _promised_seconds(stream)
        self._centred = self.facts.codec == "mjpeg"

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    @property
    def notices(self) -> list[str]:
        """The damage in the frames that were read last."""
        return self._damage.notices()

    def frames(self, after: int | None = None, count: int = 0) -> Generator[Frame, None, None]:
        """Frames in presentation order.

        Args:
            after: Timestamp of a frame: only later frames are returned.
            count: Number of frames up to and including that one, for files that cannot seek.

        Yields:
            Frames with increasing timestamps.

        Raises:
            ValueError: If the size of the frames changes.
        """
        if after is not None and self._can_seek_to(after):
            yield from (frame for frame in self._stamped(after) if frame.pts > after)
            return
        for number, frame in enumerate(self._stamped()):
            if number >= count:
                yield frame

    def _stamped(self, start: int | None = None) -> Iterator[Frame]:
        last: int | None = None
        end = 0
        step = max(1, round(1 / (self.facts.rate * self.facts.time_base)))
        with self._open(start) as (_, _, frames):
            for frame in frames:
                if (frame.height, frame.width) != self.facts.size:
                    height, width = self.facts.size
                    raise ValueError(
                        f"{self.path}: the frames change from {width}×{height} to "
                        f"{frame.width}×{frame.height} pixels, which one video cannot hold"
                    )
                pts = frame.pts
                if pts is None:
                    pts = 0 if last is None else last + step
                elif last is not None and pts <= last:  # damaged timestamps
                    pts = last + 1
                last, end = pts, pts + (frame.duration or step)
                yield Frame(self._rgb(frame), pts, frame.duration or 0)
        self._damage.missing = self._missing_after(end)

    def _missing_after(self, end: int) -> float:
        """Seconds from the end of the last frame to that of the video, if that is a large gap."""
        if self._seconds is None:
            return 0.0
        missing = self._seconds - float(end * self.facts.time_base)
        return missing if missing > max(0.25, 0.02 * self._seconds) else 0.0  # containers round

    def _can_seek_to(self, pts: int) -> bool:
        """Whether decoding can start at or before a timestamp other than the beginning."""
        with self._open(pts) as (_, _, frames):
            first = next(frames, None)
            return first is not None and first.pts is not None and first.pts <= pts

    def _rgb(self, frame: "VideoFrame") -> Tensor:
        planes, bits = planes_of(frame)
        tags = self.facts.tags
        is_rgb = self.facts.pixel_format.startswith("gbr")
        matrix = 0 if is_rgb else tags.matrix_for(self.facts.size)
        full = tags.is_full or is_rgb
        return to_rgb(planes, bits=bits, matrix=matrix, full=full, centred=self._centred)

    def _open(self, start: int | None = None) -> "_Opened":
        self._damage = _Damage()
        return _Opened(self.path, start, self._damage)


class _Opened:
    """An open video: container, stream, and frames from a timestamp onwards."""

    def __init__(self, path: Path, start: int | None, damage: _Damage) -> None:
        self._path, self._start, self._damage = path, start, damage

    def __enter__(self) -> "tuple[InputContainer, VideoStream, Iterator[VideoFrame]]":
        self._container = open_input(self._path)
        try:
            stream = main_stream(self._container, self._path)
            stream.codec_context.thread_type = "AUTO"
            if self._start is not None:
                self._container.seek(self._start, stream=stream, backward=True)
        except BaseException:
            self._container.close()
            raise
        return self._container, stream, _decoded(self._container, stream, self._damage)

    def __exit__(self, *_: object) -> None:
        self._container.close()


def open_input(path: Path) -> "InputContainer":
    """Open a file for reading.

    Raises:
        ValueError: If it is neither audio nor video.
    """
    av = pyav()
    try:
        return cast("InputContainer", av.open(str(path), metadata_errors="replace"))
    except av.FFmpegError as error:
        raise ValueError(f"{path}: not a video that can be read: {error.strerror}") from None


def main_stream(container: "InputContainer", path: Path) -> "VideoStream":
    """The stream to enlarge: the first that is not a cover picture."""
    for stream in container.streams.video:
        if not stream.disposition & stream.disposition.__class__.attached_pic:
            if stream.codec_context is None:
                raise ValueError(f"{path}: its video is of a kind that cannot be decoded")
            return stream
    raise ValueError(f"{path}: there is no video in it")


def _decoded(
    container: "InputContainer", stream: "VideoStream", damage: _Damage
) -> "Iterator[VideoFrame]":
    """All frames; damaged packets are skipped and counted."""
    av = pyav()
    try:
        for packet in container.demux(stream):
            try:
                for frame in packet.decode():
                    damage.frames += frame.is_corrupt
                    yield frame
            except av.InvalidDataError:
                damage.packets += 1
    except av.InvalidDataError:
        damage.cut = True


def _facts_of(stream: "VideoStream", first: "VideoFrame") -> VideoFacts:
    context = stream.codec_context
    tags = ColourTags(
        matrix=int(first.colorspace),
        range=2 if first.format.name.startswith("yuvj") else int(first.color_range),
        primaries=int(first.color_primaries),
        transfer=int(first.color_trc),
    )
    time_base = first.time_base or stream.time_base or Fraction(1, 1000)
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    count = stream.frames or None
    if count is None and (seconds := _seconds_of(stream)):
        count = max(1, round(seconds * rate))
    return VideoFacts(
        size=(first.height, first.width),
        rotation=int(first.rotation),
        matrix=_display_matrix(first),
        pixel_format=planar_format(first.format.name),
        codec=context.codec.canonical_name,
        tags=tags,
        time_base=time_base,
        rate=rate,
        count=count,
        pixel_shape=stream.sample_aspect_ratio or Fraction(1),
        notices=tuple(_notices(first)),
    )


def _seconds_of(stream: "VideoStream") -> Fraction | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    whole: int | None = getattr(stream.container, "duration", None)
    return Fraction(whole, 1_000_000) if whole else None


def _promised_seconds(stream: "VideoStream") -> float | None:
    """Duration of the frames, if the file gives it for the video and not for its sound."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    stated = re.fullmatch(r"(\d+):(\d+):(\d+\.\d+)", stream.metadata.get("DURATION", ""))
    if stated is None:
        return None
    hours, minutes, seconds = map(float, stated.groups())
    return 3600 * hours + 60 * minutes + seconds


def _display_matrix(frame: "VideoFrame") -> tuple[int, ...] | None:
    import numpy as np

    side_data: Any = frame.side_data.get("DISPLAYMATRIX")
    return None if side_data is None else tuple(np.frombuffer(side_data, "=i4").tolist())


def _notices(frame: "VideoFrame") -> Iterator[str]:
    if frame.interlaced_frame:
        yield "the video is interlaced and is enlarged as it is; deinterlace it first"
    if any(part.is_alpha for part in frame.format.components):
        yield "its transparency is left out"
    side_data: list[Any] = list(iter(frame.side_data))
    kinds = {data.type.name for data in side_data}
    lost = {
        "DOVI_METADATA": "Dolby Vision",
        "DOVI_RPU_BUFFER": "Dolby Vision",
        "DYNAMIC_HDR_PLUS": "HDR10+",
        "MASTERING_DISPLAY_METADATA": "mastering display",
        "CONTENT_LIGHT_LEVEL": "content light level",
    }
    for name in sorted({lost[kind] for kind in kinds if kind in lost}):
        yield f"its {name} metadata is left out; the colour tags stay"
    if bits_of(frame.format.name) > 12:
        yield f"its {bits_of(frame.format.name)} bits are more than video encoders write"
