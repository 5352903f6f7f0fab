"""``escsr export``: a network as a file for another program."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from escsr.cli.console import make_console
from escsr.cli.scales import METAVAR, parse_whole_scale

if TYPE_CHECKING:
    from escsr.export import Exported


def export(
    model: Annotated[str, typer.Argument(help="A name of 'escsr list', or a weight file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    scale: Annotated[
        int | None,
        typer.Option(
            "--scale",
            "-s",
            parser=parse_whole_scale,
            metavar=METAVAR,
            help="The whole scale to export, for a network that supports any.",
        ),
    ] = None,
    kind: Annotated[
        str,
        typer.Option("--format", help="onnx, or pt2: a program that PyTorch loads without escsr."),
    ] = "onnx",
    target: Annotated[
        str,
        typer.Option(
            "--for",
            help="generic, chainner, vs-mlrt, tensorrt, openvino, web or darktable.",
        ),
    ] = "generic",
    image_size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="The size of all pictures, if they have one."),
    ] = None,
    parts: Annotated[
        bool,
        typer.Option(
            "--parts", help="Two files, OUTPUT.encode.onnx and OUTPUT.at.onnx, for zooms."
        ),
    ] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Compute in float16.")] = False,
    opset: Annotated[int, typer.Option(help="Version of the ONNX operators.")] = 17,
    simplify: Annotated[
        bool, typer.Option("--simplify", help="Shorten the graph by onnxslim.")
    ] = False,
    licence: Annotated[
        str | None, typer.Option(help="Licence of the weights, to be written into the file.")
    ] = None,
    photo: Annotated[
        Path | None, typer.Option(help="A photo to prove the file by, besides made-up pictures.")
    ] = None,
) -> None:
    """Write a network as a file for another program, and prove that it computes the same.

    The file is run beside the network, at ten sizes where it takes any; the differences are
    printed and kept in OUTPUT.json. A file that differs too much is not written.
    """
    from escsr.cli.upscale_options import parse_size
    from escsr.export import to_onnx, to_onnx_parts, to_pt2
    from escsr.export.proving import photo_sample

    if kind not in ("onnx", "pt2"):
        raise ValueError(f"--format is onnx or pt2, not {kind!r}")
    if kind == "pt2":
        wrong = [o for o, given in (("--parts", parts), ("--fp16", fp16)) if given]
        wrong += ["--image-size"] if image_size else []
        if wrong or target != "generic":
            raise ValueError(f"--format pt2 takes no {' or '.join(wrong or ['--for'])}")
        paths, written = [output], to_pt2(model, output, scale=scale, licence=licence)
    elif parts:
        _refuse_with_parts(scale=scale, image_size=image_size, simplify=simplify, photo=photo)
        stem = output.with_suffix("") if output.suffix == ".onnx" else output
        paths = [stem.with_name(f"{stem.name}.{part}.onnx") for part in ("encode", "at")]
        written, _ = to_onnx_parts(model, *paths, fp16=fp16, opset=opset, licence=licence)
    else:
        paths = [output]
        written = to_onnx(
            model,
            output,
            scale=scale,
            target=target,
            image_size=parse_size(image_size, option="--image-size"),
            fp16=fp16,
            opset=opset,
            simplify=simplify,
            licence=licence,
            pictures=[] if photo is None else [photo_sample(photo)],
        )
    _show(paths, written)


def _refuse_with_parts(**given: object) -> None:
    wrong = ["--" + name.replace("_", "-") for name, value in given.items() if value]
    if wrong:
        raise ValueError(f"--parts writes files for any size and takes no {' or '.join(wrong)}")


def _show(paths: list[Path], written: "Exported") -> None:
    """The differences, and what was written."""
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
