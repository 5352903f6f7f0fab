"""``escsr export``: a network as a file for another program."""

from pathlib import Path
from typing import Annotated

import typer

from escsr.cli.console import make_console


def export(
    model: Annotated[str, typer.Argument(help="A name of 'escsr list', or a weight file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    scale: Annotated[
        int | None,
        typer.Option("--scale", "-s", help="The whole scale to make, if the network makes any."),
    ] = None,
    target: Annotated[
        str,
        typer.Option(
            "--for",
            help="generic, chainner, vs-mlrt, tensorrt, openvino, web or darktable.",
        ),
    ] = "generic",
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="The size of all pictures, if they have one."),
    ] = None,
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
    from escsr.export import to_onnx
    from escsr.export.proving import photo_sample

    written = to_onnx(
        model,
        output,
        scale=scale,
        target=target,
        size=parse_size(size),
        fp16=fp16,
        opset=opset,
        simplify=simplify,
        licence=licence,
        pictures=[] if photo is None else [photo_sample(photo)],
    )
    console = make_console()
    console.print(written.proof.table(), soft_wrap=True)
    megabytes = output.stat().st_size / 1e6
    console.print(
        f"{output} ({megabytes:.1f} MB, {written.facts['network']}, ×{written.facts['scale']}) "
        f"in {written.proof.runtime}: at most {written.proof.worst.difference:.1e} "
        f"from the network; the table is in {output}.json",
        soft_wrap=True,
    )
