"""Training recipes: described now, checked before a run, built later."""

from escsr.recipe.checking import Findings, check, examine
from escsr.recipe.definition import PARTS, Part, Recipe, list_recipes, load
from escsr.recipe.describing import describe, differences
from escsr.recipe.overriding import RecipeError, apply, override

__all__ = [
    "PARTS",
    "Findings",
    "Part",
    "Recipe",
    "RecipeError",
    "apply",
    "check",
    "describe",
    "differences",
    "examine",
    "list_recipes",
    "load",
    "override",
]
