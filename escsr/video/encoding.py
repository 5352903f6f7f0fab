"""Frames to packets: encoders, their options, and what pixel formats they take."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from torch import Tensor

from escsr.names import unknown_name
from escsr.video.colour import ColourTags, from_rgb
from escsr.video.frames import bits_of, frame_of, pyav

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

Size = tuple[int, int]

# Codec: encoders by preference, default and greatest CRF. At these the loss is hard to see.
_CODECS: dict[str, tuple[tuple[str, ...], int | None, int]] = {
    "h264": (("libx264",), 17, 51),
    "hevc": (("libx265",), 19, 51),
    "vp9": (("libvpx-vp9",), 22, 63),
    "av1": (("libsvtav1", "libaom-av1"), 22, 63),
    "ffv1": (("ffv1",), None, 0),
}
_BY_SUFFIX = {
    ".mp4": ("h264", "hevc", "av1", "vp9"),
    ".m4v": ("h264", "hevc"),
    ".mov": ("h264", "hevc"),
    ".mkv": ("h264", "hevc", "vp9", "av1", "ffv1"),
    ".webm": ("vp9", "av1"),
}
VIDEO_OUTPUTS = tuple(_BY_SUFFIX)
"""File name endings of videos that can be written."""


@dataclass(frozen=True, kw_only=True)
class EncoderOptions:
    """How a video is encoded.

    Attributes:
        codec: "h264", "hevc", "vp9", "av1" or "ffv1" (lossless); None: that of the source where
            the file type takes it, else the first of these that it takes.
        crf: Constant quality: smaller is better and larger; None: 17 (h264), 19 (hevc), 22 (vp9,
            av1).
        preset: The encoder's speed, such as "slow"; None: its default.
        options: Further options of the encoder, by its names.

    Raises:
        ValueError: If the codec is unknown, or the CRF out of its range.
    """

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what is known without a file."""
        if self.codec is not None and self.codec not in _CODECS:
            raise ValueError(unknown_name("codec", self.codec, tuple(_CODECS)))
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise ValueError(f"a CRF is a number from 0 to 63, not {self.crf}")

    def resolved(self, suffix: str, source_codec: str) -> "EncoderOptions":
        """The same with the codec and the CRF chosen.

        Raises:
            ValueError: If the file type cannot be written or does not take the codec.
        """
        if suffix not in _BY_SUFFIX:
            raise ValueError(
                f"cannot write {suffix} videos; give a name that ends in one of "
                f"{', '.join(_BY_SUFFIX)}"
            )
        takes = _BY_SUFFIX[suffix]
        codec = self.codec or (source_codec if source_codec in takes else takes[0])
        if codec not in takes:
            raise ValueError(f"{suffix} files take {', '.join(takes)}, not {codec}")
        _, default, most = _CODECS[codec]
        crf = default if self.crf is None else self.crf
        if crf is not None and (default is None or crf > most):
            raise ValueError(
                f"{codec} is lossless and has no CRF"
                if default is None
                else f"the CRF of {codec} is 0 to {most}, not {crf}"
            )
        return replace(self, codec=codec, crf=crf)

    @property
    def encoder(self) -> str:
        """Name of the encoder.

        Raises:
            ValueError: If PyAV was built without one.
        """
        assert self.codec is not None
        names = _CODECS[self.codec][0]
        for name in names:
            if name in pyav().codecs_available:
                return name
        raise ValueError(f"this PyAV cannot write {self.codec}: it has no {' or '.join(names)}")

    def arguments(self) -> dict[str, str]:
        """What the encoder is told."""
        told: dict[str, str] = {}
        if self.crf is not None:
            told["crf"] = str(self.crf)
        if self.codec == "hevc":
            told["x265-params"] = "log-level=error"
        if self.codec == "vp9":
            told |= {"row-mt": "1", "deadline": "good", "cpu-used": "3"}
        if self.preset is not None:
            told["cpu-used" if self.codec == "vp9" else "preset"] = self.preset
        return told | dict(self.options)


@dataclass(frozen=True, kw_only=True)
class Format:
    """What an encoder is to write.

    Attributes:
        size: (H, W).
        pixel_format: Of planes.
        tags: Colour tags.
        time_base: Unit of timestamps.
        rate: Frames per second, on average.
        pixel_shape: Width of a pixel over its height.
    """

    size: Size
    pixel_format: str
    tags: ColourTags
    time_base: Fraction
    rate: Fraction
    pixel_shape: Fraction = Fraction(1)

    def planes(self, rgb: Tensor) -> list[Tensor]:
        """The planes of a frame."""
        kind = pyav().VideoFormat(self.pixel_format, self.size[1], self.size[0])
        parts = kind.components
        is_rgb = self.pixel_format.startswith("gbr")
        return from_rgb(
            rgb,
            bits=parts[0].bits,
            matrix=0 if is_rgb else self.tags.matrix_for(self.size),
            full=self.tags.is_full or is_rgb,
            shape=(parts[1].height, parts[1].width) if len(parts) > 1 else None,
        )


@dataclass(frozen=True)
class Encoded:
    """One packet of an encoder.

    Attributes:
        data: Its bytes.
        pts: When its frame is shown.
        is_key: Whether decoding can begin there.
    """

    data: bytes
    pts: int
    is_key: bool


def choose_pixel_format(encoder: str, wanted: str) -> str:
    """The format nearest to the source's that an encoder takes: first depth, then chroma.

    Args:
        encoder: Its name.
        wanted: Format of the source, see `planar_format`.
    """
    wanted = wanted.replace("yuvj", "yuv")
    formats = [f.name for f in pyav().Codec(encoder, "w").video_formats or ()]
    kinds = ("yuv420p", "yuv422p", "yuv444p", "gbrp", "gray")
    known = [name for name in formats if _kind(name) in kinds]
    if wanted in known:
        return wanted
    order = {
        "gray": ("yuv420p", "yuv422p", "yuv444p"),
        "yuv420p": ("yuv420p", "yuv422p", "yuv444p"),
        "yuv422p": ("yuv422p", "yuv444p", "yuv420p"),
        "yuv444p": ("yuv444p", "yuv422p", "yuv420p"),
        "gbrp": ("gbrp", "yuv444p", "yuv422p", "yuv420p"),
    }[_kind(wanted)]
    bits = bits_of(wanted)

    def distance(name: str) -> tuple[bool, int, int]:
        return bits_of(name) < bits, abs(bits_of(name) - bits), order.index(_kind(name))

    nearest: str = min((name for name in known if _kind(name) in order), key=distance)
    return nearest


def _kind(name: str) -> str:
    """The shape without the depth: "yuv420p" of "yuv420p10le"."""
    for end in ("9le", "10le", "12le", "14le", "16le"):
        if name.endswith(end):
            return name.removesuffix(end)
    return name


def even_size(size: Size, pixel_format: str) -> Size:
    """The size with sides that half-size chroma can have."""
    kind = _kind(pixel_format)
    height, width = size
    if kind == "yuv420p":
        height = max(2, 2 * round(height / 2))
    if kind in ("yuv420p", "yuv422p"):
        width = max(2, 2 * round(width / 2))
    return height, width


def set_up(context: "VideoCodecContext", format_: Format) -> None:
    """Give an encoder its format; also the encoder of a stream that only muxes."""
    context.width, context.height = format_.size[1], format_.size[0]
    context.pix_fmt = format_.pixel_format
    context.time_base = format_.time_base
    context.framerate = format_.rate
    context.sample_aspect_ratio = format_.pixel_shape
    context.color_range = format_.tags.range
    context.colorspace = format_.tags.matrix
    context.color_primaries = format_.tags.primaries
    context.color_trc = format_.tags.transfer


class Encoder:
    """An encoder of one segment.

    Args:
        options: Resolved.
        format_: What it writes.
    """

    def __init__(self, options: EncoderOptions, format_: Format) -> None:
        av = pyav()
        self._format = format_
        self._context: Any = av.CodecContext.create(options.encoder, "w")
        set_up(self._context, format_)
        self._context.options = options.arguments()
        self._context.flags |= av.codec.context.Flags.global_header.value
        try:
            self._context.open()
        except av.FFmpegError as error:
            raise ValueError(
                f"{options.encoder} does not take these options ({options.arguments()}) for "
                f"{format_.size[1]}×{format_.size[0]} {format_.pixel_format}: {error.strerror}"
            ) from None

    def encode(self, rgb: Tensor, pts: int) -> Iterator[Encoded]:
        """Take a frame; give the packets that are ready."""
        frame = frame_of(self._format.planes(rgb), self._format.pixel_format)
        frame.pts, frame.time_base = pts, self._format.time_base
        tags = self._format.tags
        frame.color_range, frame.colorspace = tags.range, tags.matrix
        frame.color_primaries, frame.color_trc = tags.primaries, tags.transfer
        yield from map(_packet, self._context.encode(frame))

    def finish(self) -> Iterator[Encoded]:
        """The packets that are left."""
        yield from map(_packet, self._context.encode(None))


def _packet(packet: Any) -> Encoded:
    return Encoded(bytes(packet), int(packet.pts), bool(packet.is_keyframe))
