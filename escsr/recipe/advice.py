"""Advice on settings of a recipe that are allowed, but may be unintended."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from escsr.models import NotFetchedError, locate
from escsr.recipe.definition import Recipe


def advice(recipe: Recipe, built: Mapping[str, Any], *, resumed: bool = False) -> list[str]:
    """Collect advice for the author of a recipe.

    Args:
        recipe: The recipe.
        built: Its parts by name, as far as they could be built.
        resumed: Whether a run continues from a checkpoint.

    Returns:
        One line per piece of advice.
    """
    found = [*_windows(built), *_downloads(recipe, built, resumed=resumed)]
    if "adversary" in built:
        found += _adversarial(recipe, built.get("model"), resumed=resumed)
    return found


def at_hand(weights: str) -> bool:
    """Whether weights are on this machine; unknown names are reported elsewhere."""
    try:
        locate(weights)
    except NotFetchedError:
        return False
    except (FileNotFoundError, ValueError, ModuleNotFoundError):
        pass
    return True


def _windows(built: Mapping[str, Any]) -> Iterator[str]:
    """Compare the size of training patches with that of the network's windows."""
    patch = getattr(built.get("data"), "patch", None)
    sides = {m.window_size for m in _modules(built.get("model")) if _is_int(m, "window_size")}
    for window in sorted(sides):
        if isinstance(patch, int) and patch % window:
            padded = -(-patch // window) * window
            yield (
                f"data.patch: {patch} is reflected up to {padded} for windows of {window}, which "
                "takes time and teaches nothing; a multiple of the window does not"
            )


def _downloads(recipe: Recipe, built: Mapping[str, Any], *, resumed: bool) -> Iterator[str]:
    """List the downloads that will start when the run begins."""
    if isinstance(recipe.start_from, str) and not resumed and not at_hand(recipe.start_from):
        yield (
            f"start_from: {recipe.start_from} is downloaded when the run begins; on a machine "
            f"without a network run 'escsr fetch {recipe.start_from}' elsewhere and give the file"
        )
    for part in _modules(built.get("loss")):
        if wanted := getattr(part, "to_download", None):
            yield (
                f"loss: {type(part).__name__} downloads {wanted} when the run begins; on a "
                "machine without a network give it a file"
            )


def _adversarial(recipe: Recipe, model: Any, *, resumed: bool) -> Iterator[str]:
    """The authors' three hints against unstable runs: github.com/dslisleedh/ESC/issues/15."""
    if recipe.start_from is None and not resumed:
        yield (
            "adversary: the run starts from drawn weights, and a discriminator tells their "
            "pictures from photographs at once; train with a pixel loss first and set "
            "start_from to its model.safetensors"
        )
    shares = {m.partial_dim for m in _modules(model) if _is_int(m, "partial_dim")}
    dim = getattr(getattr(model, "backbone", None), "out_channels", None)
    for partial_dim in sorted(shares):
        if isinstance(dim, int) and 4 * partial_dim != dim:
            yield (
                f"model: partial_dim {partial_dim} is not a quarter of dim {dim}, which the "
                "authors of ESC advise for training that stays stable"
            )
    if getattr(getattr(model, "config", None), "head", None) == "dysample":
        yield (
            "model: the authors of ESC find dysample less stable in such training than "
            "head='nearest_conv'"
        )


def _modules(network: Any) -> Iterator[Any]:
    return iter(network.modules() if isinstance(network, nn.Module) else ())


def _is_int(module: Any, name: str) -> bool:
    return isinstance(getattr(module, name, None), int)
