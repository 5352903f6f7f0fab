"""``escsr export``: a network as a file for another program."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from escsr.cli.console import make_console
from escsr.cli.export_options import FileOptions, OnnxOptions
from escsr.cli.groups import in_groups

if TYPE_CHECKING:
    from escsr.export import Exported


@in_groups
def export(
    model: Annotated[str, typer.Argument(help="Model name (see 'escsr list') or weight file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Output file.")],
    file: FileOptions,
    onnx: OnnxOptions,
) -> None:
    """Export a network for another program, and verify that it computes the same.

    The file is compared with the network, at ten sizes if it takes any; the differences are printed
    and kept in OUTPUT.json. A file that differs too much is not written.
    """
    onnx.refuse_unless(file.checked_kind() == "onnx")
    paths = [output]
    if onnx.parts:
        paths, written = _parts(model, output, file, onnx)
    elif file.kind == "onnx":
        written = _onnx(model, output, file, onnx)
    else:
        written = _other(model, output, file)
    _show(paths, written)


def _onnx(model: str, output: Path, file: FileOptions, onnx: OnnxOptions) -> "Exported":
    from escsr.export import to_onnx
    from escsr.export.proving import photo_sample

    return to_onnx(
        model,
        output,
        target=onnx.target,
        opset=onnx.opset,
        simplify=onnx.simplify,
        pictures=[] if onnx.photo is None else [photo_sample(onnx.photo)],
        **file.arguments("scale", "image_size", "fp16", "licence"),
    )


def _parts(
    model: str, output: Path, file: FileOptions, onnx: OnnxOptions
) -> tuple[list[Path], "Exported"]:
    from escsr.export import to_onnx_parts

    onnx.refuse_with_parts(file)
    stem = output.with_suffix("") if output.suffix == ".onnx" else output
    paths = [stem.with_name(f"{stem.name}.{part}.onnx") for part in ("encode", "at")]
    arguments = file.arguments("fp16", "licence")
    return paths, to_onnx_parts(model, *paths, opset=onnx.opset, **arguments)[0]


def _other(model: str, output: Path, file: FileOptions) -> "Exported":
    from escsr.export import to_ncnn, to_pt2

    given = file.arguments("scale", "image_size", "fp16", "licence")
    if file.kind == "ncnn":
        return to_ncnn(model, output, **given)
    return to_pt2(
        model,
        output,
        scale=given["scale"],
        compiled_for=given["image_size"],
        licence=given["licence"],
    )


def _show(paths: list[Path], written: "Exported") -> None:
    """Print the differences and the files written."""
    console = make_console()
    console.print(written.proof.table(), soft_wrap=True)
    scale = "any scale" if written.facts["scale"] == "any" else f"×{written.facts['scale']}"
    for path in paths:
        console.print(
            f"{path} ({path.stat().st_size / 1e6:.1f} MB, {written.facts['network']}, {scale}) "
            f"in {written.proof.runtime}: at most {written.proof.worst.difference:.1e} "
            f"from the network; the table is in {path}.json",
            soft_wrap=True,
        )
