"""``escsr info``, ``escsr list`` and ``escsr doctor``: what there is."""

import json
import platform
import warnings
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from escsr.model import SuperResolver
    from escsr.registry import Registry


def info(
    name: Annotated[str, typer.Argument(metavar="FILE|NAME", help="Weight file or model name.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what network a weight file holds."""
    from escsr.build import find_weights

    path = find_weights(name)
    model = _load(path)
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


def _load(path: Path) -> "SuperResolver":
    from escsr.build import load

    try:
        return load(path)
    except ValueError as error:
        if not _is_training_state(path):
            raise
        # A run keeps its states in a folder of their own, one below the weights.
        near = [*path.parent.glob("*.safetensors"), *path.parent.parent.glob("*.safetensors")]
        weights = ", ".join(map(str, sorted(near))) or "the .safetensors files of the run"
        raise ValueError(
            f"{path} is the state of a training run, to go on from with --resume, and not a "
            f"model file; the weights are in {weights}"
        ) from error


def _is_training_state(path: Path) -> bool:
    from escsr.training.state import load_state

    try:
        return "step" in load_state(path)
    except (OSError, ValueError):
        return False


def list_names(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List backbones, heads and embedded models; those of plug-ins with their package."""
    from escsr import models
    from escsr.heads import HEADS

    backbones, heads = _registries()
    parts = {"backbones": _parts(backbones), "heads": _parts(heads)}
    for head in parts["heads"]:
        head["any_scale"] = _makes_any_scale(HEADS.get(head["name"]))
    parts["models"] = [{"name": name, **_about(path)} for name, path in models.embedded().items()]
    if as_json:
        left_out = [vars(plugin) for plugin in (*backbones.broken, *heads.broken)]
        typer.echo(json.dumps({**parts, "plugins_left_out": left_out}, indent=2))
        return
    for kind, entries in parts.items():
        typer.echo(f"{kind}:")
        for entry in entries:
            typer.echo(_line(entry))
    typer.echo("aliases:")
    for alias, name in models.ALIASES.items():
        typer.echo(f"  {alias}: {name}")
    _show_left_out()


def _registries() -> "tuple[Registry[Any], Registry[Any]]":
    """Backbones and heads, with plug-ins loaded and nothing said of those left out."""
    from escsr.backbones import BACKBONES
    from escsr.heads import HEADS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the commands here list them by themselves
        list(BACKBONES), list(HEADS)
    return BACKBONES, HEADS


def _parts(registry: "Registry[Any]") -> list[dict[str, Any]]:
    """Every entry of a registry: its name, package and description."""
    return [
        {"name": name, "package": registry.package(name), "about": registry.summary(name)}
        for name in registry
    ]


def _makes_any_scale(head: Any) -> bool:
    from escsr.heads import FixedScaleHead
    from escsr.registry import unwrap

    made = unwrap(head)
    return not (isinstance(made, type) and issubclass(made, FixedScaleHead))


def _about(path: Path) -> dict[str, Any]:
    model = _load(path)
    scale = "any scale" if model.scale is None else f"×{model.scale}"
    return {"about": f"{model.config.backbone} + {model.config.head}, {scale}"}


def _line(entry: dict[str, Any]) -> str:
    marks = ["any scale"] if entry.get("any_scale") else []
    if _is_foreign(entry):
        marks.append(f"from {entry['package']}")
    mark = f"[{', '.join(marks)}] " if marks else ""
    return f"  {entry['name']:<20} {mark}{entry['about']}".rstrip()


def _is_foreign(entry: dict[str, Any]) -> bool:
    package: str = entry.get("package", "escsr")
    return package.partition(" ")[0] != "escsr"


def _show_left_out() -> None:
    registries = _registries()
    if any(registry.broken for registry in registries):
        typer.echo("plug-ins left out:")
    for registry in registries:
        for plugin in registry.broken:
            typer.echo(f"  {registry.kind} {plugin.name} of {plugin.package}: {plugin.reason}")


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
    for registry in _registries():
        for entry in filter(_is_foreign, _parts(registry)):
            typer.echo(f"plug-in: {registry.kind} {entry['name']} of {entry['package']}")
    _show_left_out()
