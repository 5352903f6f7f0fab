"""Compression, drawn per picture."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from torch import Tensor

from escsr.degradations._checks import Range
from escsr.degradations.bounds import (
    CLIP_LENGTH,
    FILE_QUALITY,
    JPEG_QUALITY,
    PAN_SIZE,
    Choice,
    check_motion,
    checked_by,
    video_quality,
)
from escsr.degradations.codecs import (
    FILE_FORMATS,
    SUBSAMPLINGS,
    VIDEO_CODECS,
    FileFormat,
    Subsampling,
    VideoCodec,
    encode_decode,
    encode_decode_video,
)
from escsr.degradations.effect import EFFECTS, Effect, Frame, Parameters
from escsr.degradations.effects import _drawing as drawing
from escsr.degradations.jpeg import JPEG_TABLES, JpegTables, jpeg_differentiable

_DOWN_PAN = 2  # pixels per frame at most: pans are mostly sideways
_TABLES = Choice(JPEG_TABLES).one
_FORMAT = Choice(FILE_FORMATS).one
_SUBSAMPLING = Choice(SUBSAMPLINGS)
_CODEC = Choice(VIDEO_CODECS).one


@EFFECTS.register("jpeg_differentiable")
@dataclass(frozen=True, kw_only=True)
class JpegDifferentiableParameters(Parameters):
    """JPEG without a codec; see `escsr.degradations.jpeg_differentiable`.

    Attributes:
        quality: 0.1 to 100, as libjpeg counts.
        tables: "real-esrgan" (luma table transposed) or "standard".
    """

    effect: ClassVar[str] = "jpeg_differentiable"
    quality: float = field(metadata=JPEG_QUALITY.one)
    tables: JpegTables = field(default="standard", metadata=_TABLES)

    @classmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Compress each picture with its quality."""
        qualities = [one.quality for one in parameters]
        return jpeg_differentiable(images, qualities, tables=parameters[0].tables)

    def batch_key(self) -> str:
        """One pair of tables for a batch."""
        return self.tables

    def describe(self) -> str:
        """Name and quality."""
        return f"jpeg {self.quality:.0f}"


@dataclass(frozen=True, kw_only=True)
class JpegDifferentiable(Effect[JpegDifferentiableParameters]):
    """Draws a quality. The defaults are Real-ESRGAN's.

    Attributes:
        quality: Range, within 0.1 to 100.
        tables: "real-esrgan" (luma table transposed, as published) or "standard".
    """

    quality: Range = field(default=(30.0, 95.0), metadata=JPEG_QUALITY.range)
    tables: JpegTables = field(default="real-esrgan", metadata=_TABLES)

    def draw(self, rng: np.random.Generator, frame: Frame) -> JpegDifferentiableParameters:
        """Draw a quality."""
        quality = drawing.uniform(rng, self.quality)
        return JpegDifferentiableParameters(quality=quality, tables=self.tables)


@EFFECTS.register("file_codec")
@dataclass(frozen=True, kw_only=True)
class FileCodecParameters(Parameters):
    """A file written and read; see `escsr.degradations.encode_decode`.

    Attributes:
        file_format: "jpeg", "webp" or "avif".
        quality: 1 to 100.
        subsampling: Resolution of chroma, for "jpeg": "4:2:0", "4:2:2" or "4:4:4".
    """

    effect: ClassVar[str] = "file_codec"
    file_format: FileFormat = field(metadata=_FORMAT)
    quality: int = field(metadata=FILE_QUALITY.one)
    subsampling: Subsampling = field(default="4:2:0", metadata=_SUBSAMPLING.one)

    @classmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Write and read each picture with its quality."""
        first = parameters[0]
        qualities = [one.quality for one in parameters]
        return encode_decode(images, first.file_format, qualities, subsampling=first.subsampling)

    def batch_key(self) -> Hashable:
        """One format for a batch."""
        return self.file_format, self.subsampling

    def describe(self) -> str:
        """Format and quality."""
        return f"{self.file_format} file {self.quality}"


@dataclass(frozen=True, kw_only=True)
class FileCodec(Effect[FileCodecParameters]):
    """Draws the quality of a file.

    Attributes:
        file_format: "jpeg", "webp" or "avif".
        quality: Range, both ends included, within 1 to 100.
        subsamplings: Resolutions of chroma to choose from, for "jpeg".
    """

    file_format: FileFormat = field(default="jpeg", metadata=_FORMAT)
    quality: tuple[int, int] = field(default=(30, 95), metadata=FILE_QUALITY.range)
    subsamplings: tuple[Subsampling, ...] = field(default=("4:2:0",), metadata=_SUBSAMPLING.several)

    def draw(self, rng: np.random.Generator, frame: Frame) -> FileCodecParameters:
        """Draw a quality, and a resolution of chroma if there is a choice."""
        quality = drawing.whole(rng, self.quality)
        subsampling = drawing.pick(rng, self.subsamplings)
        return FileCodecParameters(
            file_format=self.file_format, quality=quality, subsampling=subsampling
        )


@EFFECTS.register("video_codec")
@dataclass(frozen=True, kw_only=True)
class VideoCodecParameters(Parameters):
    """A frame of a video; see `escsr.degradations.encode_decode_video`. Needs PyAV.

    Attributes:
        codec: "h264", "hevc", "mpeg4" or "vp9".
        quality: CRF, or the quantizer for "mpeg4": 1 (best) to 51.
        frames: Length of the clip, 1 to 30.
        motion: Pixels (down, right) from frame to frame, -32 to 32.
    """

    effect: ClassVar[str] = "video_codec"
    codec: VideoCodec = field(metadata=_CODEC)
    quality: int
    frames: int = field(default=3, metadata=CLIP_LENGTH.one)
    motion: tuple[int, int] = field(default=(1, 2), metadata=checked_by(check_motion))

    def __post_init__(self) -> None:
        """Check the quality, too, whose bounds depend on the codec."""
        super().__post_init__()
        video_quality(self.codec).check("quality", self.quality)

    @classmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Pass each picture through the codec with its quality."""
        first = parameters[0]
        return encode_decode_video(
            images,
            first.codec,
            [one.quality for one in parameters],
            frames=first.frames,
            motion=first.motion,
        )

    def batch_key(self) -> Hashable:
        """One codec and one pan for a batch."""
        return self.codec, self.frames, self.motion

    def describe(self) -> str:
        """Codec and quality."""
        return f"{self.codec} {self.quality}"


@dataclass(frozen=True, kw_only=True)
class VideoFrame(Effect[VideoCodecParameters]):
    """Draws the quality and the movement of a short clip. Needs PyAV.

    Attributes:
        codec: "h264", "hevc", "mpeg4" or "vp9".
        quality: Range of the CRF, both ends included, within 1 to 51 (of the quantizer within 1 to
            31 for "mpeg4"). None: 20 to 38, for "mpeg4" 4 to 20.
        frames: Length of the clip, 1 to 30.
        motion: Largest movement sideways from frame to frame, 0 to 32 pixels.
    """

    codec: VideoCodec = field(default="h264", metadata=_CODEC)
    quality: tuple[int, int] | None = None
    frames: int = field(default=3, metadata=CLIP_LENGTH.one)
    motion: int = field(default=4, metadata=PAN_SIZE.one)

    def __post_init__(self) -> None:
        """Check the quality, too, whose bounds depend on the codec."""
        super().__post_init__()
        video_quality(self.codec).check_range("quality", self._quality)

    @property
    def _quality(self) -> tuple[int, int]:
        if self.quality is not None:
            return self.quality
        return (4, 20) if self.codec == "mpeg4" else (20, 38)

    def draw(self, rng: np.random.Generator, frame: Frame) -> VideoCodecParameters:
        """Draw a quality and a movement."""
        down, right = min(_DOWN_PAN, self.motion), self.motion
        return VideoCodecParameters(
            codec=self.codec,
            quality=drawing.whole(rng, self._quality),
            frames=self.frames,
            motion=(drawing.whole(rng, (-down, down)), drawing.whole(rng, (-right, right))),
        )
