"""The options of ``escsr upscale``, one class per group; each field is an option."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from escsr.cli.scales import scale_option

if TYPE_CHECKING:
    from escsr.video import EncoderOptions


@dataclass(frozen=True, kw_only=True)
class SizeOptions:
    """Size of the result."""

    scale: Annotated[
        float | None,
        scale_option("Factor of both sides, up to 30: 4, 4x or 2.5. Default: the model's."),
    ] = None
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Exact width x height, e.g. 3840x2160.")
    ] = None
    width: Annotated[int | None, typer.Option(help="Width in pixels; the height follows.")] = None
    height: Annotated[int | None, typer.Option(help="Height in pixels; the width follows.")] = None
    min_side: Annotated[
        int | None, typer.Option(help="Length of the shorter side; the other follows.")
    ] = None
    max_side: Annotated[
        int | None, typer.Option(help="Length of the longer side; the other follows.")
    ] = None

    def wanted(self) -> dict[str, Any]:
        """The one option that sets the size, by its name in Python, checked."""
        from escsr.inference import SizeRequest

        asked = {**vars(self), "size": parse_size(self.size)}
        given = {name: value for name, value in asked.items() if value is not None}
        if len(given) > 1:
            options, every = (
                ["--" + name.replace("_", "-") for name in names] for names in (given, asked)
            )
            raise ValueError(
                f"give one of {', '.join(every[:-1])} and {every[-1]}, not {' and '.join(options)}"
            )
        SizeRequest(**given)  # report what is wrong for every picture once, before any work
        return given


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Network."""

    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="A name of 'escsr list [--published]', a weight file, or auto: chosen for each "
            "picture.",
        ),
    ] = "default"
    device: Annotated[
        str,
        typer.Option(
            help="auto, cpu, cuda, cuda:1, mps, xpu. Several share the files: cuda:0,cuda:1; "
            "auto then means all GPUs."
        ),
    ] = "auto"
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16 or auto.")] = "fp32"
    engine: Annotated[
        str, typer.Option(help="torch, onnx (ONNX Runtime), or ray (many machines).")
    ] = "torch"
    providers: Annotated[
        list[str] | None,
        typer.Option(
            "--provider", help="For ONNX Runtime: cuda, directml, coreml, openvino, tensorrt, cpu."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class WorkOptions:
    """Memory and speed."""

    memory: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="Memory limit, e.g. 2GB. Default: the free memory."),
    ] = None
    tiles: Annotated[
        str,
        typer.Option(help="For large pictures: exact (bands, the same result) or fast (tiles)."),
    ] = "exact"
    ensemble: Annotated[
        bool,
        typer.Option("--ensemble", help="Average over eight flips and rotations: 8 times as long."),
    ] = False
    plan: Annotated[
        bool, typer.Option("--plan", help="Print what would be done, without doing it.")
    ] = False

    def checked(self) -> dict[str, Any]:
        """Arguments of `escsr.upscale`, all within their ranges."""
        from escsr.inference.memory import ProcessMemory, parse_memory
        from escsr.inference.ways import check_tiles

        check_tiles(self.tiles)
        memory = None if self.memory is None else ProcessMemory(parse_memory(self.memory))
        return {"memory": memory, "tiles": self.tiles, "ensemble": self.ensemble}


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Many machines (--engine ray)."""

    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Number of processes. Default: one per GPU, or per two CPUs."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """Files."""

    suffix: Annotated[
        str | None,
        typer.Option("--format", help="File type in a folder, e.g. png. Default: the input's."),
    ] = None
    name: Annotated[
        str,
        typer.Option(
            metavar="TEMPLATE",
            help="File names in a folder, from {stem}, {suffix}, {type} (the input's), {scale}, "
            "{width}, {height} (as requested), {model}.",
        ),
    ] = "{stem}{suffix}"
    existing: Annotated[str, typer.Option(help="If outputs exist: overwrite, skip or refuse.")] = (
        "overwrite"
    )
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="The same as --existing skip.")
    ] = False

    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a JSON report with the outcome for each file."),
    ] = None

    def suffix_of(self, writable: tuple[str, ...]) -> str | None:
        """The requested ending, with its dot, checked."""
        if self.suffix is None:
            return None
        suffix = "." + self.suffix.lower().lstrip(".")
        if suffix not in writable:
            raise ValueError(f"--format must be one of {', '.join(writable)}, not {suffix}")
        return suffix

    def if_existing(self) -> str:
        """How to treat existing outputs; checked when the work is planned."""
        if self.skip_existing and self.existing == "refuse":
            raise ValueError("give either --skip-existing or --existing refuse")
        return "skip" if self.skip_existing else self.existing


@dataclass(frozen=True, kw_only=True)
class SavingOptions:
    """How files are written."""

    quality: Annotated[
        int, typer.Option(min=1, max=100, help="For JPEG, WebP and AVIF, 1 to 100.")
    ] = 95
    lossless: Annotated[bool, typer.Option("--lossless", help="Lossless WebP and AVIF.")] = False
    chroma: Annotated[
        str, typer.Option(help="For JPEG and AVIF: 444, or 420 for colours at half resolution.")
    ] = "444"
    compression: Annotated[
        int, typer.Option(min=0, max=9, help="For PNG and TIFF, 0 to 9: smaller files, slower.")
    ] = 6
    strip_metadata: Annotated[
        bool, typer.Option("--strip-metadata", help="Leave out EXIF, XMP and IPTC.")
    ] = False

    pyramid: Annotated[
        bool, typer.Option("--pyramid", help="Tiled TIFF with reduced versions for viewers.")
    ] = False

    def checked(self) -> dict[str, Any]:
        """Arguments of `escsr.images.write_image`, all within their ranges."""
        from escsr.images.saving import SaveOptions

        return vars(SaveOptions(**vars(self)))


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """Videos."""

    codec: Annotated[
        str | None,
        typer.Option(help="h264, hevc, vp9, av1 or ffv1. Default: the source's, else h264."),
    ] = None
    crf: Annotated[
        int | None,
        typer.Option(help="Constant quality; lower is better. Default: 17 for h264, 19 for hevc."),
    ] = None
    preset: Annotated[str | None, typer.Option(help="Encoder speed preset, e.g. slow.")] = None
    encoder_option: Annotated[
        list[str],
        typer.Option(metavar="NAME=VALUE", help="Other encoder option; repeatable."),
    ] = field(default_factory=list)
    fps: Annotated[
        str | None,
        typer.Option(help="Frame rate for a folder of frames, e.g. 30000/1001. Default: 25."),
    ] = None

    def encoder(self) -> "EncoderOptions":
        """How videos are encoded, checked."""
        from escsr.video import EncoderOptions

        pairs = [text.partition("=") for text in self.encoder_option]
        for text, (name, equals, value) in zip(self.encoder_option, pairs, strict=True):
            if not (name and equals and value):
                raise ValueError(f"--encoder-option is NAME=VALUE, such as tune=film, not {text!r}")
        options = {name: value for name, _, value in pairs}
        return EncoderOptions(codec=self.codec, crf=self.crf, preset=self.preset, options=options)

    def rate(self) -> Fraction | None:
        """Frames per second, checked."""
        if self.fps is None:
            return None
        try:
            rate = Fraction(self.fps)
        except (ValueError, ZeroDivisionError):
            rate = Fraction(0)
        if not 0 < rate <= 1000:
            raise ValueError(
                f"--fps is a number up to 1000 or a ratio such as 24000/1001, not {self.fps!r}"
            )
        # 29.97 and 23.976 stand for exactly 30000/1001 and 24000/1001
        exact = Fraction(round(rate * Fraction(1001, 1000)) * 1000, 1001)
        return exact if abs(exact - rate) < Fraction(1, 1000) else rate


def parse_size(text: str | None, *, option: str = "--size") -> tuple[int, int] | None:
    """'3840x2160' (width × height) to (H, W)."""
    if text is None:
        return None
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
        raise ValueError(f"{option} is WIDTHxHEIGHT in pixels, e.g. 3840x2160, not {text!r}")
    return int(parts[1]), int(parts[0])
