"""``escsr info``, ``escsr list`` and ``escsr doctor``: what there is."""

import json
import platform
from importlib import metadata
from typing import Annotated

import typer


def info(
    name: Annotated[str, typer.Argument(metavar="FILE|NAME", help="Weight file or model name.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what network a weight file holds."""
    from escsr.build import find_weights, load

    path = find_weights(name)
    model = load(path)
    facts = dict(model.facts)
    facts.pop("trained", None)
    about = {
        "file": str(path),
        "layout": facts.pop("layout"),
        "network": f"{model.config.backbone} + {model.config.head}",
        "scale": "any" if model.scale is None else f"×{model.scale}",
        "trained": model.trained,
        "parameters": sum(p.numel() for p in model.parameters()),
        "backbone_args": dict(model.config.backbone_args),
        "head_args": dict(model.config.head_args),
        "facts": facts,
    }
    if as_json:
        typer.echo(json.dumps(about, indent=2))
        return
    for key, value in about.items():
        text = f"{value:,}".replace(",", " ") if key == "parameters" else value
        if isinstance(value, dict):
            text = ", ".join(f"{k}={v}" for k, v in value.items()) or "none"
        typer.echo(f"{key.replace('_', ' ') + ':':<15}{text}")


def list_names() -> None:
    """List backbones, heads and embedded models."""
    from escsr import models
    from escsr.build import list_backbones, list_heads, list_models

    typer.echo("backbones: " + ", ".join(list_backbones()))
    typer.echo("heads:     " + ", ".join(list_heads()))
    typer.echo("models:    " + (", ".join(list_models()) or "none"))
    defaults = ", ".join(f"{name} up to ×{scale}" for scale, name in models.DEFAULTS.items())
    typer.echo(f"default:   {defaults} and beyond")


def doctor() -> None:
    """Say what this machine can run, ready to paste into an issue."""
    import psutil
    import torch

    from escsr.inference import pick_device
    from escsr.version import __version__

    typer.echo(f"escsr {__version__}, Python {platform.python_version()}, {platform.platform()}")
    typer.echo(
        f"memory: {psutil.virtual_memory().available / 2**30:.1f} of "
        f"{psutil.virtual_memory().total / 2**30:.1f} GiB free, "
        f"{torch.get_num_threads()} threads, CPU {torch.backends.cpu.get_cpu_capability()}"
    )
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            name = torch.cuda.get_device_name(index)
            typer.echo(f"cuda:{index}: {name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free")
    else:
        built = torch.version.cuda and f"built for CUDA {torch.version.cuda}"
        typer.echo(f"cuda: not available (PyTorch is {built or 'a build without CUDA'})")
    typer.echo(f"device 'auto' means: {pick_device('auto')}")
    names = ("torch", "torchvision", "numpy", "opencv-python-headless", "pyvips", "pyvips-binary")
    for name in (*names, "timm", "albumentations", "accelerate", "pyiqa"):
        try:
            typer.echo(f"{name}: {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            typer.echo(f"{name}: not installed")
