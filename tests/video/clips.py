"""Small clips, made and looked at by PyAV itself."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

MILLISECOND = Fraction(1, 1000)


@dataclass(kw_only=True)
class Clip:
    """What a clip is to be."""

    count: int = 10
    size: tuple[int, int] = (24, 32)
    pixel_format: str = "yuv420p"
    codec: str = "libx264"
    time_base: Fraction = Fraction(1001, 30000)
    stamps: list[int] | None = None
    tags: tuple[int, int, int, int] = (1, 1, 1, 1)  # range, matrix, primaries, transfer
    audio: bool = False
    rotation: int = 0
    subtitles: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=lambda: {"crf": "4"})

    def write(self, path: Path) -> Path:
        with av.open(str(path), "w") as out:
            stream = self._video(out)
            audio = out.add_stream("aac", rate=48000) if self.audio else None
            out.metadata["title"] = "a clip"
            chapter = {"id": 1, "start": 0, "end": 100, "time_base": MILLISECOND}
            out.set_chapters([chapter | {"metadata": {"title": "one"}}])
            for number in range(self.count):
                out.mux(self._lasting(stream.encode(self._frame(number))))
                if audio is not None:
                    out.mux(audio.encode(_sound(number)))
            out.mux(self._lasting(stream.encode(None)))
            if audio is not None:
                out.mux(audio.encode(None))
        return path

    def _video(self, out: Any) -> Any:
        stream = out.add_stream(self.codec, rate=1 / self.time_base, time_base=self.time_base)
        stream.width, stream.height = self.size[1], self.size[0]
        stream.pix_fmt = self.pixel_format
        context = stream.codec_context
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = (
            self.tags
        )
        context.options = dict(self.options)
        if self.codec == "libx265":
            context.options |= {"x265-params": "log-level=error"}
        if self.rotation:
            stream.set_display_rotation(self.rotation)
        stream.metadata["language"] = "fra"
        return stream

    def _frame(self, number: int) -> Any:
        y, x = np.mgrid[: self.size[0], : self.size[1]]
        red, green = 60 + 3 * x + 2 * number, 40 + 4 * y
        rgb = np.stack([red, green, np.full_like(x, 90 + 5 * number)], -1).clip(0, 235)
        frame = av.VideoFrame.from_ndarray(rgb.astype(np.uint8), "rgb24")
        if not self.pixel_format.startswith("rgb"):
            matrix = 5 if self.tags[1] in (5, 6) else 1
            frame = frame.reformat(
                format=self.pixel_format,
                dst_colorspace=matrix,
                dst_color_range=self.tags[0] or 1,
            )
        frame.pts = number if self.stamps is None else self.stamps[number]
        frame.time_base = self.time_base
        return frame

    def _lasting(self, packets: list[Any]) -> list[Any]:
        """Packets that say how long their frames are shown."""
        if self.stamps is not None:
            ends = dict(zip(self.stamps, [*self.stamps[1:], self.stamps[-1] + 100], strict=True))
            for packet in packets:
                packet.duration = ends[packet.pts] - packet.pts
        return packets


def _sound(number: int) -> Any:
    wave = np.sin(np.arange(1600) / 9)[None].repeat(2, 0).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(wave, "fltp")
    frame.sample_rate, frame.pts, frame.time_base = 48000, 1600 * number, Fraction(1, 48000)
    return frame


@dataclass
class Seen:
    """What a player would see of a file."""

    streams: list[tuple[str, str | None]]
    metadata: dict[str, str]
    chapters: list[str]
    size: tuple[int, int]
    pixel_format: str
    tags: tuple[int, int, int, int]
    rotation: int
    times: list[Fraction]
    duration: float
    rate: Fraction
    pictures: np.ndarray  # (N, H, W, 3), by libswscale

    @property
    def mean(self) -> np.ndarray:
        return self.pictures.mean((0, 1, 2))


def look(path: Path) -> Seen:
    with av.open(str(path)) as file:
        streams = [
            (stream.type, stream.codec_context.codec.canonical_name)
            for stream in file.streams
            if stream.codec_context is not None
        ]
        chapters = [chapter["metadata"]["title"] for chapter in file.chapters()]
        metadata, duration = dict(file.metadata), (file.duration or 0) / 1e6
        rate = file.streams.video[0].average_rate
        frames = list(file.decode(video=0))
    first = frames[0]
    matrix = int(first.colorspace)
    pictures = [
        frame.to_ndarray(format="rgb24", src_colorspace=5 if matrix == 2 else matrix)
        if "gbr" not in first.format.name and not first.format.is_rgb
        else frame.to_ndarray(format="rgb24")
        for frame in frames
    ]
    return Seen(
        streams=streams,
        metadata=metadata,
        chapters=chapters,
        size=(first.height, first.width),
        pixel_format=first.format.name,
        tags=tuple(map(int, (first.color_range, matrix, first.color_primaries, first.color_trc))),
        rotation=first.rotation,
        times=[frame.pts * frame.time_base for frame in frames],
        duration=duration,
        rate=rate,
        pictures=np.stack(pictures),
    )


def audio_packets(path: Path) -> list[tuple[Any, bytes]]:
    """Times and bytes of the first audio stream."""
    with av.open(str(path)) as file:
        packets = file.demux(audio=0)
        return [(p.pts * p.time_base, bytes(p)) for p in packets if p.size and p.pts is not None]
