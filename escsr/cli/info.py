"""``escsr info`` and ``escsr list``: the available models, parts and recipes."""

import json
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from escsr.cli.fetch import about_published, about_unfetched, published_entries, published_line

if TYPE_CHECKING:
    from escsr.registry import Registry


def info(
    name: Annotated[str, typer.Argument(metavar="FILE|NAME", help="Weight file or model name.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show which network a weight file holds, or will hold once it is fetched."""
    from escsr import models

    entry = models.published().get(name)
    try:
        about = _about_file(models.locate(name))
    except models.NotFetchedError:
        if entry is None:
            raise
        about = about_unfetched(entry)
    else:
        if entry is not None and Path(about["file"]).name == entry.file:
            about |= about_published(entry)
    if as_json:
        typer.echo(json.dumps(about, indent=2))
        return
    for key, value in about.items():
        text = f"{value:,}".replace(",", " ") if key == "parameters" else value
        if isinstance(value, dict):
            text = ", ".join(f"{k}={v}" for k, v in value.items()) or "none"
        typer.echo(f"{key.replace('_', ' ') + ':':<15}{text}")


def _about_file(path: Path) -> dict[str, Any]:
    from escsr.build import load

    model = load(path)
    facts = dict(model.facts)
    facts.pop("trained", None)
    return {
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


def list_names(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    only_published: Annotated[
        bool, typer.Option("--published", help="List the published weights that can be fetched.")
    ] = False,
) -> None:
    """List models, backbones, heads, metrics and recipes, and what each is for."""
    from escsr import models

    if only_published:
        entries = published_entries()
        lines = [json.dumps(entries, indent=2)] if as_json else map(published_line, entries)
        typer.echo("\n".join(lines))
        return
    from escsr.evaluation import OWN_METRICS
    from escsr.heads import HEADS
    from escsr.recipe import list_recipes

    backbones, heads, layouts = registries()
    parts: dict[str, list[dict[str, Any]]] = {
        "models": [{"name": name, **_about(path)} for name, path in models.embedded().items()],
        "backbones": list_parts(backbones),
        "heads": list_parts(heads),
        "metrics": [{"name": m.name, "about": m.about} for m in OWN_METRICS.values()],
        "recipes": [{"name": name, "about": about} for name, about in list_recipes().items()],
    }
    for head in parts["heads"]:
        head["any_scale"] = _makes_any_scale(HEADS.get(head["name"]))
    if as_json:
        left_out = [vars(plugin) for plugin in (*backbones.broken, *heads.broken, *layouts.broken)]
        typer.echo(json.dumps({**parts, "plugins_left_out": left_out}, indent=2))
        return
    for kind, entries in parts.items():
        typer.echo(f"{kind}:")
        for entry in entries:
            typer.echo(_line(entry))
    typer.echo("aliases:")
    for alias, name in models.ALIASES.items():
        typer.echo(f"  {alias}: {name}")
    typer.echo("  auto: default or real, chosen for each picture by its damage (escsr upscale)")
    show_left_out()


def registries() -> "tuple[Registry[Any], Registry[Any], Registry[Any]]":
    """Backbones, heads and layouts, with plug-ins loaded, without warnings about broken ones."""
    from escsr.backbones import BACKBONES
    from escsr.checkpoints import LAYOUTS
    from escsr.heads import HEADS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the commands here list them themselves
        list(BACKBONES), list(HEADS), list(LAYOUTS)
    return BACKBONES, HEADS, LAYOUTS


def list_parts(registry: "Registry[Any]") -> list[dict[str, Any]]:
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
    from escsr.build import load

    model = load(path)
    scale = "any scale" if model.scale is None else f"×{model.scale}"
    network = f"{model.config.backbone} + {model.config.head}, {scale}"
    purpose = _purpose(path.with_suffix(".md"))
    return {"network": network, "about": f"{purpose} ({network})" if purpose else network}


def _purpose(card: Path) -> str:
    """The purpose of a model according to its card."""
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    found = re.search(r"^\| for \| (.+) \|$", text, flags=re.MULTILINE)
    return found[1] if found else ""


def _line(entry: dict[str, Any]) -> str:
    marks = ["any scale"] if entry.get("any_scale") else []
    if is_foreign(entry):
        marks.append(f"from {entry['package']}")
    mark = f"[{', '.join(marks)}] " if marks else ""
    return f"  {entry['name']:<20} {mark}{entry['about']}".rstrip()


def is_foreign(entry: dict[str, Any]) -> bool:
    """Whether an entry of `list_parts` comes from another package."""
    package: str = entry.get("package", "escsr")
    return package.partition(" ")[0] != "escsr"


def show_left_out() -> None:
    """Name the plug-ins that do not work."""
    found = registries()
    if any(registry.broken for registry in found):
        typer.echo("plug-ins left out:")
    for registry in found:
        for plugin in registry.broken:
            typer.echo(f"  {registry.kind} {plugin.name} of {plugin.package}: {plugin.reason}")
