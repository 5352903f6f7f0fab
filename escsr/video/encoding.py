"""Encoding frames into packets: encoders, their options and their pixel formats."""

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

# Codec: encoders by preference, default and greatest CRF. At the defaults the loss is hard to see.
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
        codec: "h264", "hevc", "vp9", "av1" or "ffv1" (lossless); None: that of the source if the
            file type supports it, else the first of these that it supports.
        crf: Constant quality: smaller values mean better quality and larger files; None: 17
            (h264), 19 (hevc), 22 (vp9, av1).
        preset: The encoder's speed, such as "slow"; None: its default.
        options: Further options of the encoder, by its own names.

    Raises:
        ValueError: If the codec is unknown, or the CRF out of its range.
    """

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check everything that can be checked without a file."""
        if self.codec is not None and self.codec not in _CODECS:
            raise ValueError(unknown_name("codec", self.codec, tuple(_CODECS)))
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise ValueError(f"a CRF is a number from 0 to 63, not {self.crf}")

    def resolved(self, suffix: str, source_codec: str) -> "EncoderOptions":
        """A copy with the codec and the CRF chosen.

        Raises:
            ValueError: If the file type cannot be written or does not support the codec.
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
        """The settings passed to the encoder."""
        settings: dict[str, str] = {}
        if self.crf is not None:
            settings["crf"] = str(self.crf)
        if self.codec == "hevc":
            settings["x265-params"] = "log-level=error"
        if self.codec == "vp9":
            settings |= {"row-mt": "1", "deadline": "good", "cpu-used": "3"}
        if self.preset is not None:
            settings["cpu-used" if self.codec == "vp9" else "preset"] = self.preset
        return settings | dict(self.options)


@dataclass(frozen=True, kw_only=True)
class Format:
    """The video format that an encoder writes.

    Attributes:
        size: (H, W).
        pixel_format: Pixel format with separate planes.
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
        pts: Presentation time of its frame.
        is_key: Whether decoding can start there.
    """

    data: bytes
    pts: int
    is_key: bool


def choose_pixel_format(encoder: str, wanted: str) -> str:
    """The encoder's format closest to that of the source: first by depth, then by chroma.

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
    """The size rounded to sides that half-size chroma allows."""
    kind = _kind(pixel_format)
    height, width = size
    if kind == "yuv420p":
        height = max(2, 2 * round(height / 2))
    if kind in ("yuv420p", "yuv422p"):
        width = max(2, 2 * round(width / 2))
    return height, width


def set_up(context: "VideoCodecContext", format_: Format) -> None:
    """Set the format of an encoder, or of a stream that is only muxed."""
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
    """An encoder for one segment.

    Args:
        options: Resolved options.
        format_: The format to write.
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
        """Encode a frame; return the packets that are ready."""
        frame = frame_of(self._format.planes(rgb), self._format.pixel_format)
        frame.pts, frame.time_base = pts, self._format.time_base
        tags = self._format.tags
        frame.color_range, frame.colorspace = tags.range, tags.matrix
        frame.color_primaries, frame.color_trc = tags.primaries, tags.transfer
        yield from map(_packet, self._context.encode(frame))

    def finish(self) -> Iterator[Encoded]:
        """The remaining packets."""
        yield from map(_packet, self._context.encode(None))


def _packet(packet: Any) -> Encoded:
    return Encoded(bytes(packet), int(packet.pts), bool(packet.is_keyframe))
