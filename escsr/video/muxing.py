"""The finished file: the enlarged video and copies of the source's other streams."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from escsr.video.encoding import EncoderOptions, Format, set_up
from escsr.video.frames import pyav
from escsr.video.reading import VideoFacts, main_stream, open_input
from escsr.video.segments import read_packets, timestamps

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

_MP4 = {".mp4", ".m4v", ".mov"}


@dataclass(frozen=True, kw_only=True)
class Muxing:
    """The parts of a finished file.

    Attributes:
        segments: Files of the encoded video.
        format_: Format of the encoded video.
        options: Resolved options of its encoder.
        source: File with the other streams, or None.
        facts: Facts of the source, or None.
        last_duration: Duration of the last frame, in units of `Format.time_base`.
    """

    segments: Sequence[Path]
    format_: Format
    options: EncoderOptions
    source: Path | None
    facts: VideoFacts | None
    last_duration: int

    def write(self, path: Path, suffix: str) -> list[str]:
        """Write the file.

        Args:
            path: The file to write.
            suffix: The file type.

        Returns:
            Notices for the user about what could not be kept.
        """
        av = pyav()
        settings = {"movflags": "+faststart"} if suffix in _MP4 else {}
        kind = {".mkv": "matroska", ".m4v": "mp4"}.get(suffix, suffix[1:])
        with ExitStack() as stack:
            out = stack.enter_context(
                av.open(str(path), "w", format=kind, container_options=settings)
            )
            video = self._add_video(out, suffix)
            copied: dict[int, Any] = {}
            notices: list[str] = []
            others: Iterator[Packet[Any]] = iter(())
            if self.source is not None:
                given = stack.enter_context(open_input(self.source))
                copied, notices = _add_others(given, out, suffix, self.source)
                _copy_facts(given, out, video, main_stream(given, self.source))
                others = _other_packets(given, copied)
            _interleave(out, self._packets(video), others)
        return notices

    def _add_video(self, out: "OutputContainer", suffix: str) -> Any:
        stream: Any = out.add_stream(
            self.options.encoder, rate=self.format_.rate, time_base=self.format_.time_base
        )
        set_up(stream.codec_context, self.format_)
        stream.codec_context.options = self.options.arguments()
        if self.options.codec == "hevc" and suffix in _MP4:
            stream.codec_context.codec_tag = "hvc1"  # the tag that Apple's players accept
        if self.facts is not None and self.facts.matrix is not None:
            stream.set_display_matrix(self._enlarged_matrix(self.facts))
        return stream

    def _enlarged_matrix(self, facts: VideoFacts) -> list[int]:
        """The display matrix, whose last row moves the picture by pixels."""
        assert facts.matrix is not None
        scale = self.format_.size[1] / facts.size[1], self.format_.size[0] / facts.size[0]
        matrix = list(facts.matrix)
        turned = facts.rotation % 180 != 0
        matrix[6] = round(matrix[6] * scale[1 if turned else 0])
        matrix[7] = round(matrix[7] * scale[0 if turned else 1])
        return matrix

    def _packets(self, stream: Any) -> "Iterator[Packet[Any]]":
        """The encoded video, with decoding times that increase across segments."""
        shown = np.concatenate([timestamps(path) for path in self.segments])
        decoding, durations = decoding_times(shown, self.last_duration)
        number = 0
        for path in self.segments:
            for encoded in read_packets(path):
                packet: Packet[Any] = pyav().Packet(encoded.data)
                packet.stream = stream
                packet.time_base = self.format_.time_base
                packet.pts, packet.dts = encoded.pts, int(decoding[number])
                packet.duration = int(durations[number])
                packet.is_keyframe = encoded.is_key
                number += 1
                yield packet


def decoding_times(
    shown: npt.NDArray[np.int64], last_duration: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Decoding times of packets, computed from their presentation times.

    Args:
        shown: (N,) distinct presentation timestamps in decoding order.
        last_duration: Duration of the frame that is shown last.

    Returns:
        (N,) increasing times, as late as possible but not after the presentation of the frame;
        and (N,) durations of the frames.
    """
    order = np.argsort(shown)
    rising = shown[order]
    rank = np.empty_like(order)
    rank[order] = np.arange(len(shown))
    delay = max(0, int((np.arange(len(shown)) - rank).max()))
    steps = np.diff(rising, append=rising[-1] + last_duration)
    before = rising[0] - int(steps[0]) * np.arange(delay, 0, -1)
    return np.concatenate([before, rising])[: len(shown)], steps[rank]


def _add_others(
    given: "InputContainer", out: "OutputContainer", suffix: str, path: Path
) -> tuple[dict[int, Any], list[str]]:
    """Add the streams to copy; return them by index, and notices about those left out."""
    av = pyav()
    main = main_stream(given, path)
    copied, notices = {}, []
    for stream in given.streams:
        if stream.index == main.index:
            continue
        name = f"{stream.type} stream {stream.index}"
        context = stream.codec_context
        codec = "unknown" if context is None else context.codec.canonical_name
        if stream.type == "attachment" and suffix == ".mkv":
            _attach(stream, out)
            continue
        try:
            if stream.type not in ("video", "audio", "subtitle"):
                raise ValueError("not a kind that is copied")
            added = out.add_stream_from_template(stream, opaque=True)
        except (ValueError, av.FFmpegError):
            if stream.type != "data" or codec not in ("unknown", "bin_data"):  # chapters, timecode
                advice = "" if suffix == ".mkv" else "; .mkv files hold most kinds"
                notices.append(f"{name} ({codec}) is left out: {suffix} holds none{advice}")
            continue
        added.metadata.update(stream.metadata)
        added.disposition = stream.disposition
        copied[stream.index] = added
    return copied, notices


def _attach(stream: Any, out: "OutputContainer") -> None:
    name = stream.metadata.get("filename", f"attachment{stream.index}")
    mimetype = stream.metadata.get("mimetype", "application/octet-stream")
    out.add_attachment(name, mimetype, bytes(stream.data))


def _copy_facts(
    given: "InputContainer", out: "OutputContainer", video: Any, source_video: Any
) -> None:
    """Metadata and chapters."""
    own = ("encoder", "major_brand", "minor_version", "compatible_brands")  # of the old file
    out.metadata.update({k: v for k, v in given.metadata.items() if k.lower() not in own})
    written = ("encoder", "duration", "bps", "number_of_frames", "number_of_bytes", "rotate")
    for name, value in source_video.metadata.items():
        if name.split("-")[0].lower() not in written and not name.startswith("_STATISTICS"):
            video.metadata[name] = value
    video.disposition = source_video.disposition
    if chapters := given.chapters():
        out.set_chapters(chapters)


def _other_packets(given: "InputContainer", copied: dict[int, Any]) -> "Iterator[Packet[Any]]":
    if not copied:
        return
    for packet in given.demux([given.streams[index] for index in copied]):
        if packet.size == 0:  # the end of a stream
            continue
        if packet.dts is None:
            packet.dts = packet.pts
        packet.stream = copied[packet.stream_index]
        yield packet


def _interleave(
    out: "OutputContainer", video: "Iterator[Packet[Any]]", others: "Iterator[Packet[Any]]"
) -> None:
    """Mux two sequences of packets by time, because the muxer buffers packets that come early."""
    waiting = next(others, None)
    for packet in video:
        while waiting is not None and _time(waiting) <= _time(packet):
            out.mux(waiting)
            waiting = next(others, None)
        out.mux(packet)
    while waiting is not None:
        out.mux(waiting)
        waiting = next(others, None)


def _time(packet: "Packet[Any]") -> Fraction:
    return Fraction(packet.dts or 0) * packet.time_base
