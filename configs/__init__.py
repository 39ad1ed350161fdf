"""Recipes: one function each that returns everything about a fit but the data and its length.

To add one, write its function in a file here, and name it in ``Recipe`` and in ``make_recipe``.
"""

from typing import Literal

from avatar.train import HybridFitConfig

from .hybrid import hybrid

Recipe = Literal["hybrid"]


def make_recipe(name: Recipe, seed: int, refine: bool = False) -> HybridFitConfig:
    """The config of a recipe; ``seed`` is of everything random, ``refine`` corrects cameras and exposure."""
    match name:
        case "hybrid":
            return hybrid(seed=seed, refine=refine)
