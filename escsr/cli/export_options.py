"""The options of ``escsr export``, one class per group."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from escsr.cli.scales import scale_option
from escsr.names import unknown_name

_KINDS = {
    "onnx": {"scale", "image_size", "fp16", "licence"},
    "ncnn": {"scale", "image_size", "fp16", "licence"},
    "pt2": {"scale", "licence"},
    "aoti": {"scale", "image_size", "licence"},
}


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """File."""

    kind: Annotated[
        str,
        typer.Option(
            "--format",
            help="onnx; ncnn; pt2, a program that PyTorch loads without escsr; or aoti, the same "
            "compiled for --image-size and this processor.",
        ),
    ] = "onnx"
    scale: Annotated[
        int | None,
        scale_option("The whole scale to export, for a network that supports any.", whole=True),
    ] = None
    image_size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Fix the input size."),
    ] = None
    fp16: Annotated[bool, typer.Option("--fp16", help="Compute in float16.")] = False
    licence: Annotated[
        str | None, typer.Option(help="Licence of the weights, stored in the file.")
    ] = None

    def checked_kind(self) -> str:
        """The format, if it exists and accepts the other options given."""
        if self.kind not in _KINDS:
            raise ValueError(unknown_name("format", self.kind, list(_KINDS)))
        wrong = [name for name in _given(self) if name not in {"kind", *_KINDS[self.kind]}]
        if wrong:
            raise ValueError(f"--format {self.kind} takes no {_as_options(wrong)}")
        if self.kind == "aoti" and self.image_size is None:
            raise ValueError(
                "--format aoti compiles for one input size: set it with --image-size WxH"
            )
        return self.kind

    def arguments(self, *names: str) -> dict[str, Any]:
        """Some of the options, as the functions of `escsr.export` take them."""
        from escsr.cli.upscale_options import parse_size

        size = parse_size(self.image_size, option="--image-size")
        values = {**vars(self), "image_size": size}
        return {name: values[name] for name in names}


@dataclass(frozen=True, kw_only=True)
class OnnxOptions:
    """ONNX."""

    target: Annotated[
        str,
        typer.Option(
            "--for",
            help="generic, chainner, vs-mlrt, tensorrt, openvino, web or darktable.",
        ),
    ] = "generic"
    parts: Annotated[
        bool,
        typer.Option(
            "--parts", help="Write two files for zooming: OUTPUT.encode.onnx, OUTPUT.at.onnx."
        ),
    ] = False
    opset: Annotated[int, typer.Option(help="ONNX operator set version.")] = 17
    simplify: Annotated[
        bool, typer.Option("--simplify", help="Simplify the graph with onnxslim.")
    ] = False
    photo: Annotated[
        Path | None,
        typer.Option(help="A photo to test the file with, in addition to synthetic pictures."),
    ] = None

    def refuse_unless(self, written: bool) -> None:
        """Refuse these options unless an ONNX file is written."""
        given = _given(self)
        if given and not written:
            raise ValueError(f"only --format onnx takes {_as_options(given)}")

    def refuse_with_parts(self, file: FileOptions) -> None:
        """Refuse the options that ``--parts`` does not take, if it is given."""
        refused = {"scale", "image_size", "simplify", "photo", "target"}
        wrong = [name for name in (*_given(file), *_given(self)) if name in refused]
        if wrong:
            raise ValueError(f"--parts writes files for any size and takes no {_as_options(wrong)}")


def _given(options: Any) -> list[str]:
    """Names of the fields that differ from their defaults."""
    fields = dataclasses.fields(options)
    return [field.name for field in fields if getattr(options, field.name) != field.default]


def _as_options(names: list[str]) -> str:
    named = {"target": "for", "kind": "format"}
    return " or ".join("--" + named.get(name, name).replace("_", "-") for name in names)
