"""Checks that the parts of a recipe agree with each other."""

from collections.abc import Callable
from typing import Any

import torch

from escsr.build import initialise_from
from escsr.data.loader import check_sendable
from escsr.heads import QueryHead
from escsr.model import SuperResolver
from escsr.models import NotFetchedError, locate
from escsr.names import did_you_mean
from escsr.recipe.definition import Recipe
from escsr.recipe.signatures import fits
from escsr.recipe.trying import try_optimizer, try_schedule


def weights_problem(name: str) -> str | None:
    """Reasons why weights cannot be opened when the run begins; published ones may be fetched."""
    try:
        locate(name)
    except NotFetchedError:
        return None
    except (FileNotFoundError, ValueError, ModuleNotFoundError) as error:
        return str(error)
    return None


def disagreements(recipe: Recipe, built: dict[str, Any], *, resumed: bool) -> list[str]:
    """Compare settings that several parts share, where they are given."""
    problems = _adversary_problems(recipe, built, resumed=resumed)
    if "model" in built and recipe.start_from is not None:
        try:
            initialise_from(
                built["model"],
                recipe.start_from,
                head=recipe.start_from_head,
                width=recipe.start_from_width,
                depth=recipe.start_from_depth,
            )
        except FileNotFoundError:
            pass  # reported already, or fetched when the run begins
        except ValueError as error:
            problems.append(f"start_from: {error}")
    problems += _batch_problems(recipe, built.get("data"))
    problems += _worker_problems(recipe, built.get("data"))
    problems += _picture_problems(built)
    problems += _head_problems(recipe, built)
    problems += _teacher_problems(built)
    figures = getattr(built.get("validation"), "figures", None)
    if figures is not None and recipe.best not in figures:
        problems.append(f"best: {recipe.best!r}; {did_you_mean(recipe.best, figures)}")
    scale = getattr(built.get("model"), "scale", None)
    for key in ("data", "validation"):
        other = getattr(built.get(key), "scale", None)
        if scale is not None and other is not None and other != scale:
            problems.append(f"{key}.scale: is {other}, but the model makes ×{scale}")
    trained = set(getattr(built.get("data"), "paths", ()))
    both = sorted(trained.intersection(getattr(built.get("validation"), "paths", ())))
    if both:
        some = ", ".join(str(path) for path in both[:3])
        more = f" and {len(both) - 3} more" if len(both) > 3 else ""
        problems.append(f"validation: photos that are trained on too: {some}{more}")
    return problems


def _head_problems(recipe: Recipe, built: dict[str, Any]) -> list[str]:
    """Refuse data that a head cannot serve, and name the overrides that fix it."""
    model, data = built.get("model"), built.get("data")
    if not isinstance(model, SuperResolver) or data is None:
        return []
    head, scale = model.config.head, model.scale
    scaling = _scale_overrides(scale, getattr(data, "drawing", None))
    queries = getattr(data, "queries", None)
    if queries is not None and not isinstance(model.head, QueryHead):
        valid = fits(recipe.batch, int) and fits(recipe.accumulate, int) and recipe.accumulate > 0
        group = max(recipe.batch // recipe.accumulate, 1) if valid else 1
        overrides = " ".join(["data.queries=none", f"data.group={group}", *scaling])
        return [
            f"data.queries: asks for {queries} single pixels, but the head {head!r} makes whole "
            f"pictures only; set {overrides}"
        ]
    if scaling:
        return [
            f"data.scales: draws other scales than the ×{scale:g} that the model makes (head "
            f"{head!r}); set {' '.join(scaling)}"
        ]
    return []


def _scale_overrides(scale: float | None, drawing: Any) -> list[str]:
    """Overrides that turn data of any scale into data of one scale; empty if it has one already."""
    if scale is None or drawing is None:
        return []
    side = scale * drawing.patch
    if drawing.least == drawing.largest == side:
        return []
    multiple = ["data.multiple=1"] if side % drawing.multiple else []
    return [f"data.scales={scale:g},{scale:g}", *multiple]


def _batch_problems(recipe: Recipe, data: Any) -> list[str]:
    """Whether the batch can be cut into pieces, each of which can be stacked."""
    if not (fits(recipe.batch, int) and fits(recipe.accumulate, int) and recipe.accumulate >= 1):
        return []  # reported already
    piece, rest = divmod(recipe.batch, recipe.accumulate)
    if rest:
        return [f"accumulate: {recipe.accumulate} does not divide the batch of {recipe.batch}"]
    group = getattr(data, "group", None)
    if group is not None and getattr(data, "queries", None) is None and group % max(piece, 1):
        return [
            f"data.group: {group} samples have one scale, but {piece} are stacked at a time; "
            f"take a multiple of {piece}"
        ]
    return []


def _worker_problems(recipe: Recipe, data: Any) -> list[str]:
    """Whether the data can be sent to the processes that will load it."""
    wanted = fits(recipe.workers, int) and recipe.workers > 0
    if data is None or not wanted or getattr(data, "on_device", False):
        return []
    try:
        check_sendable(data)
    except ValueError as error:
        return [f"workers: {error}"]
    return []


def _adversary_problems(recipe: Recipe, built: dict[str, Any], *, resumed: bool) -> list[str]:
    """Try the parts within an adversary, which only the trainer would call."""
    adversary = built.get("adversary")
    if adversary is None:
        return []
    trials: dict[str, Callable[[], Any]] = {
        "optimizer": lambda: try_optimizer(adversary.optimizer),
        "schedule": lambda: (
            None if adversary.schedule is None else try_schedule(adversary.schedule, recipe.steps)
        ),
        "start_from": lambda: None if resumed else adversary.initialise(),
    }
    problems = []
    for name, trial in trials.items():
        try:
            trial()
        except Exception as error:  # any error of a part is a problem of the recipe
            problems.append(f"adversary.{name}: {error}")
    return problems


def _picture_problems(built: dict[str, Any]) -> list[str]:
    """Refuse parts that judge whole pictures if the data gives single pixels of them."""
    queries = getattr(built.get("data"), "queries", None)
    if queries is None:
        return []
    judges = [key for key in ("adversary",) if key in built]
    judges += ["loss"] if getattr(built.get("loss"), "needs_pictures", False) else []
    return [
        f"{key}: looks at whole pictures, but data.queries={queries} gives single pixels of them; "
        "set data.queries=none and data.group to the batch"
        for key in judges
    ]


def _teacher_problems(built: dict[str, Any]) -> list[str]:
    """Refuse a loss that compares with a teacher's pictures if the data has none."""
    loss, data = built.get("loss"), built.get("data")
    parts = loss.modules() if isinstance(loss, torch.nn.Module) else ()
    wanted = any(getattr(part, "needs_teacher_pictures", False) for part in parts)
    if wanted and data is not None and not getattr(data, "brings_teacher", False):
        return [
            f"loss: compares with a teacher's pictures, and {type(data).__name__} has none; "
            "take data=partial(TeacherDataset, ...), or give the loss a network"
        ]
    return []
