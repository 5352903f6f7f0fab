"""``escsr upscale``: pictures in, larger pictures out."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from escsr.cli.console import make_console
from escsr.cli.groups import in_groups
from escsr.cli.upscale_cluster import upscale_on_ray
from escsr.cli.upscale_files import upscale_all
from escsr.cli.upscale_options import (
    ClusterOptions,
    FileOptions,
    NetworkOptions,
    SavingOptions,
    SizeOptions,
    VideoOptions,
    WorkOptions,
)
from escsr.cli.upscale_plans import print_plans
from escsr.cli.upscale_stream import is_stream, standard_input, upscale_to_stream
from escsr.cli.upscale_video import is_video_job, upscale_videos

if TYPE_CHECKING:
    from escsr.picture_targets import PictureTask


@in_groups
def upscale(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="IN...",
            help="Picture files, folders or patterns ('in/**/*.tif'); - is standard input.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="A file for one input, otherwise a folder, which mirrors IN; - is standard "
            "output.",
        ),
    ],
    sizes: SizeOptions,
    network: NetworkOptions,
    work: WorkOptions,
    files: FileOptions,
    saving: SavingOptions,
    video: VideoOptions,
    cluster: ClusterOptions,
) -> None:
    """Upscale pictures or videos to exactly the requested size.

    Set the size with one of --scale, --size, --width, --height, --min-side, --max-side.
    Transparency, bit depth, colours, resolution, EXIF, XMP and IPTC are kept.
    """
    from escsr.inference.judging import is_auto
    from escsr.models import fetch

    wanted = sizes.wanted()
    if is_video_job(inputs, output):
        _refuse_plan(work)
        upscale_videos(inputs, output, files, video, **vars(network), **work.checked(), **wanted)
        return
    if network.engine == "ray":
        _refuse_plan(work)
        upscale_on_ray(
            inputs,
            output,
            files,
            saving,
            workers=cluster.workers,
            fields=_name_fields(files.name, network.model, wanted),
            size=wanted,
            **{**vars(network), **work.checked(), "engine": "torch", "memory": work.memory},
        )
        return
    if is_stream(output):
        _refuse_plan(work)
        upscale_to_stream(
            inputs, output, files, saving, **vars(network), **work.checked(), **wanted
        )
        return
    fields = _name_fields(files.name, network.model, wanted)
    tasks = _plan(inputs, output, files, fields)
    todo, skipped = _without_existing(tasks, files)
    if not is_auto(network.model):
        fetch(network.model)  # before the pictures' progress bars, as it shows its own
    if work.plan:
        first = network.device.partition(",")[0]
        print_plans(todo, wanted=wanted, **{**vars(network), "device": first}, **work.checked())
        return
    upscale_all(
        todo,
        skipped=skipped,
        report=files.report,
        saving=saving.checked(),
        **vars(network),
        **work.checked(),
        **wanted,
    )


def _refuse_plan(work: WorkOptions) -> None:
    if work.plan:
        raise ValueError("--plan is for picture files on this machine: give -o a file or folder")


def _plan(
    inputs: list[str], output: str, files: FileOptions, fields: dict[str, str]
) -> "list[PictureTask]":
    """Choose the output of every picture; all problems are found before any work."""
    from escsr.images import writable_suffixes
    from escsr.inference.uris import is_uri
    from escsr.picture_files import find_pictures
    from escsr.picture_targets import plan_targets

    writable = writable_suffixes()
    if uris := [name for name in (*inputs, output) if is_uri(name)]:
        raise ValueError(f"{uris[0]}: files by URI are for --engine ray")
    with warnings.catch_warnings(record=True) as notices:
        warnings.simplefilter("always")
        sources = find_pictures(standard_input(inputs))
    for notice in notices:
        make_console().print(f"note: {notice.message}", style="yellow", soft_wrap=True)
    return plan_targets(
        sources,
        output,
        writable=writable,
        suffix=files.suffix_of(writable),
        template=files.name,
        fields=fields,
        reserved={} if files.report is None else {files.report: "the report"},
    )


def _without_existing(
    tasks: "list[PictureTask]", files: FileOptions
) -> "tuple[list[PictureTask], list[PictureTask]]":
    """Split tasks into those to do and those whose output exists and stays; print a note."""
    from escsr.picture_targets import split_existing

    existing = files.if_existing()
    todo, there = split_existing(tasks, existing)
    if there:
        done = "are overwritten (--existing skip keeps them)" if existing == "overwrite" else "stay"
        make_console().print(f"{len(there)} of {len(tasks)} outputs exist and {done}")
    return todo, there if existing == "skip" else []


def _name_fields(template: str, model: str, wanted: dict[str, Any]) -> dict[str, str]:
    """The values of the job that file names may contain, as text fit for them."""
    fields = dict(wanted)
    if "size" in fields:
        fields["height"], fields["width"] = fields.pop("size")
    if not fields and "{scale" in template:
        from escsr.inference.judging import scale_of

        fields["scale"] = scale_of(model) or 4
    texts = {k: f"{v:g}" if isinstance(v, float) else str(v) for k, v in fields.items()}
    return {**texts, "model": Path(model).stem}
