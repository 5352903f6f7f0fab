"""`upscale_video`: decode, enlarge and encode in parallel, in constant memory."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from escsr.files import remove_leftovers, replacing
from escsr.images import Picture
from escsr.inference import SizeRequest, Upscaler
from escsr.inference.judging import is_auto, suits
from escsr.inference.plans import request_of
from escsr.locking import only_run
from escsr.model import SuperResolver
from escsr.models import fetch
from escsr.pixels import from_tensor
from escsr.version import __version__
from escsr.video.encoding import (
    VIDEO_OUTPUTS,
    Encoded,
    Encoder,
    EncoderOptions,
    Format,
    choose_pixel_format,
    even_size,
)
from escsr.video.folders import FolderSink, FolderSource
from escsr.video.frames import bits_of, pyav
from escsr.video.muxing import Muxing
from escsr.video.reading import Frame, VideoFacts, VideoSource
from escsr.video.segments import FRAMES, Segments

VIDEO_SUFFIXES = frozenset(
    {
        *VIDEO_OUTPUTS,
        ".avi",
        ".mpg",
        ".mpeg",
        ".ts",
        ".m2ts",
        ".mts",
        ".wmv",
        ".flv",
        ".3gp",
        ".ogv",
        ".vob",
    }
)
"""File name endings (lower case) of videos."""

Size = tuple[int, int]
Source = VideoSource | FolderSource

# Most frames, and most pixels, that go through the network at once.
_BATCH, _BATCH_PIXELS = 8, 1 << 16


@dataclass(frozen=True, kw_only=True)
class VideoResult:
    """The result of `upscale_video`.

    Attributes:
        size: (H, W) of the frames.
        frames: Number of frames.
        resumed: Number of frames that an earlier run had finished.
        notices: Notices for the user, such as what could not be kept.
    """

    size: Size
    frames: int
    resumed: int
    notices: tuple[str, ...]


def upscale_video(
    source: str | os.PathLike[str] | Sequence[Path],
    target: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | SuperResolver = "default",
    encoder: EncoderOptions | None = None,
    rate: Fraction | None = None,
    skip_existing: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
    **options: Any,
) -> VideoResult:
    """Enlarge a video, frame by frame.

    Timestamps (including variable frame rates), colour tags, depth and rotation are kept; audio,
    subtitles, chapters and metadata are copied. Encoded segments are kept in a hidden folder
    beside the output, so the same call continues an interrupted or killed run. The file appears
    complete or not at all.

    Args:
        source: A video file, or the frames of a video as pictures, in order.
        target: A video file (.mp4, .m4v, .mov, .mkv, .webm), or a folder for frames as PNG.
        model: See `escsr.upscale`; "auto" looks at the first frame.
        encoder: How the video is encoded.
        rate: Frames per second of pictures; None uses ``timestamps.txt`` beside them, else 25.
        skip_existing: Whether to keep frames that are already in the folder.
        progress: Called with the number of finished frames and the total, or None if the total is
            unknown.
        options: Options of `escsr.upscale`: ``scale`` and the other ways to give a size, for the
            frames as players show them (sides become even if the video has half-size chroma);
            and of `escsr.Upscaler`, such as ``device`` and ``precision``.

    Raises:
        FileNotFoundError: If there is no such file or model.
        ValueError: If the source is not a video, or the target or an option is impossible.
        FileExistsError: If another process is making the same file.
        ModuleNotFoundError: If PyAV is not installed.

    Example:
        >>> upscale_video("in.mp4", "out.mp4", scale=2).size  # doctest: +SKIP
        (480, 640)
    """
    pyav()
    target = Path(target)
    if isinstance(source, str | os.PathLike):
        given: Source = VideoSource(Path(source))
    else:
        given = FolderSource(source, rate=rate)
    names = {field.name for field in fields(SizeRequest)}
    size = {name: options.pop(name) for name in names & set(options)}
    chosen: list[str] = []
    if is_auto(model):
        model = suits([_first_picture(given)], chosen.append)
    session = Upscaler(model, **options)
    request = request_of(SizeRequest(**size), session.scale)
    work = _Work(session, given.facts, _upright(request, given.facts), progress)
    work.notices += chosen
    if target.suffix.lower() not in VIDEO_SUFFIXES:
        return work.into_folder(given, target, skip_existing)
    settings = sorted(f"{name} {value}" for name, value in options.items() if name != "memory")
    made_by = [_identity(model), *settings]
    return work.into_file(given, target, encoder or EncoderOptions(), made_by)


def _first_picture(source: Source) -> Picture:
    frames = source.frames()
    rgb = next(frames).rgb
    frames.close()
    return Picture(pixels=from_tensor(rgb))


def _upright(request: SizeRequest, facts: VideoFacts) -> Size:
    """The size of stored frames for a request, which refers to frames as they are shown."""
    height, width = facts.size
    if facts.rotation % 180 == 0:
        return request.of(height, width)
    shown = request.of(width, height)
    return shown[1], shown[0]


def _identity(model: str | os.PathLike[str] | SuperResolver) -> str:
    """A text that identifies the weights of a network."""
    if isinstance(model, str | os.PathLike):
        path = fetch(model)
        return f"{path} {path.stat().st_mtime_ns}"
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()


class _Work:
    """The enlargement of one video.

    Args:
        session: The network.
        facts: Facts of the source.
        size: Target (H, W) of stored frames.
        progress: See `upscale_video`.
    """

    def __init__(
        self,
        session: Upscaler,
        facts: VideoFacts,
        size: Size,
        progress: Callable[[int, int | None], None] | None,
    ) -> None:
        self._session, self._facts, self._size = session, facts, size
        self._progress = progress
        self.notices = list(facts.notices)

    def into_file(
        self, source: Source, target: Path, encoder: EncoderOptions, made_by: list[str]
    ) -> VideoResult:
        """A video file."""
        suffix = target.suffix.lower()
        options = encoder.resolved(suffix, self._facts.codec)
        format_ = self._format(options)
        Encoder(options, format_)  # raises errors before any work is done
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target.parent)
        folder = target.parent / f".escsr-{target.name}.segments"
        with only_run(folder, advice="wait for its end, or name another file"):
            segments = Segments(folder, _job(source, options, format_, made_by))
            resumed, last = segments.frames()
            duration = self._encode(source, segments, options, format_, resumed, last)
            muxing = Muxing(
                segments=segments.files,
                format_=format_,
                options=options,
                source=source.path if isinstance(source, VideoSource) else None,
                facts=self._facts,
                last_duration=duration,
            )
            with replacing(target, suffix=suffix) as temporary:
                self.notices += muxing.write(temporary, suffix)
            frames, _ = segments.frames()
            segments.remove(keep_folder=True)
        return self._result(source, format_.size, frames, resumed)

    def into_folder(self, source: Source, folder: Path, skip_existing: bool) -> VideoResult:
        """A folder of frames."""
        sink = FolderSink(folder, depth=8 if bits_of(self._facts.pixel_format) == 8 else 16)
        remove_leftovers(folder)
        resumed = sink.done() if skip_existing else 0
        stamps: list[int] = []

        def ahead() -> Iterator[Frame]:
            for frame in source.frames():
                stamps.append(frame.pts)
                if len(stamps) > resumed:
                    yield frame

        number = resumed
        with ThreadPoolExecutor(1, "escsr-writing") as writer:
            writing: list[Future[None]] = []
            for _, rgb in self._enlarged(ahead(), self._size, resumed):
                for waiting in writing:
                    waiting.result()
                writing = [writer.submit(sink.write, number, rgb)]
                number += 1
            for waiting in writing:
                waiting.result()
        sink.finish(stamps, self._facts.time_base)
        return self._result(source, self._size, number, resumed)

    def _result(self, source: Source, size: Size, frames: int, resumed: int) -> VideoResult:
        notices = tuple(dict.fromkeys([*self.notices, *source.notices]))
        return VideoResult(size=size, frames=frames, resumed=resumed, notices=notices)

    def _format(self, options: EncoderOptions) -> Format:
        facts = self._facts
        pixel_format = choose_pixel_format(options.encoder, facts.pixel_format)
        size = even_size(self._size, pixel_format)
        if size != self._size:
            self.notices.append(
                f"the size is {size[1]}×{size[0]}, as the video's chroma needs even sides"
            )
        lost = bits_of(facts.pixel_format) - bits_of(pixel_format)
        if lost > 0:
            self.notices.append(
                f"{options.codec} keeps {bits_of(pixel_format)} of the "
                f"{bits_of(facts.pixel_format)} bits"
            )
        tags = facts.tags.enlarged(facts.size, size)
        if facts.pixel_format.startswith("gbr") and not pixel_format.startswith("gbr"):
            tags = facts.tags.as_luma()
        return Format(
            size=size,
            pixel_format=pixel_format,
            tags=tags,
            time_base=facts.time_base,
            rate=facts.rate,
            pixel_shape=facts.pixel_shape,
        )

    def _encode(
        self,
        source: Source,
        segments: Segments,
        options: EncoderOptions,
        format_: Format,
        done: int,
        last: int | None,
    ) -> int:
        """Encode the remaining frames; return the duration of the last in units of time."""
        duration = max(1, round(1 / (format_.rate * format_.time_base)))
        frames = self._enlarged(source.frames(last, done), format_.size, done)
        with ThreadPoolExecutor(1, "escsr-encoding") as writer:
            while batch := list(islice(frames, 1)):
                encoder, packets = Encoder(options, format_), list[Encoded]()
                writing: Future[None] | None = None
                for frame, rgb in _chain(batch, islice(frames, FRAMES - 1)):
                    duration = frame.duration or duration
                    if writing is not None:
                        writing.result()
                    writing = writer.submit(_encode_one, encoder, packets, rgb, frame.pts)
                assert writing is not None
                writing.result()
                packets += encoder.finish()
                segments.add(packets)
        if not segments.files:
            raise ValueError("there is no frame to enlarge")
        return duration

    def _enlarged(
        self, frames: Iterator[Frame], size: Size, done: int
    ) -> Iterator[tuple[Frame, torch.Tensor]]:
        """Frames and their enlargements; the next are decoded while these are computed."""
        height, width = self._facts.size
        together = max(1, min(_BATCH, _BATCH_PIXELS // (height * width)))
        with ThreadPoolExecutor(1, "escsr-decoding") as reader:
            ahead = reader.submit(lambda: list(islice(frames, together)))
            while batch := ahead.result():
                ahead = reader.submit(lambda: list(islice(frames, together)))
                stacked = torch.stack([frame.rgb for frame in batch])
                made = self._session(stacked, size=size, notify=self._note)
                done += len(batch)
                if self._progress is not None:
                    known = self._facts.count  # an estimate for some files
                    self._progress(done, None if known is None else max(known, done))
                yield from zip(batch, made, strict=True)

    def _note(self, text: str) -> None:
        if text not in self.notices:
            self.notices.append(text)


def _chain(
    first: list[tuple[Frame, torch.Tensor]], rest: Iterator[tuple[Frame, torch.Tensor]]
) -> Iterator[tuple[Frame, torch.Tensor]]:
    while first:
        yield first.pop()
    yield from rest


def _encode_one(encoder: Encoder, packets: list[Encoded], rgb: torch.Tensor, pts: int) -> None:
    packets += encoder.encode(rgb, pts)


def _job(
    source: Source, options: EncoderOptions, format_: Format, made_by: list[str]
) -> dict[str, Any]:
    """The job's inputs and settings: equal jobs give equal segments."""
    facts = source.path.stat()
    return {
        "source": [str(source.path.resolve()), facts.st_size, facts.st_mtime_ns],
        "frames": source.facts.count,
        "network": made_by,
        "encoder": [options.encoder, sorted(options.arguments().items())],
        "format": [str(value) for value in vars(format_).values()],
        "versions": [__version__, pyav().__version__],
    }
