"""Recipes: one function each that returns everything about a fit but the data and its length.

To add one, write its function in a file here, and name it in ``Recipe`` and in ``make_recipe``.
"""

from typing import Literal

from avatar.train import FieldFitConfig, HybridFitConfig

from .dual_space import dual_space
from .field import field
from .hybrid import hybrid

Recipe = Literal["hybrid", "field", "dual-space"]


def make_recipe(
    name: Recipe, seed: int, refine: bool = False, prior_cameras: int | None = None
) -> HybridFitConfig | FieldFitConfig:
    """The config of a recipe; ``seed`` is of everything random.

    ``refine`` corrects cameras and exposure, of hybrids; a field that begins with a prior is told how many cameras it
    has. ValueError for a recipe that has no such thing.
    """
    if refine and name != "hybrid":
        raise ValueError(f"--refine: expected the recipe hybrid, got {name}")
    if prior_cameras is not None and name != "field":
        raise ValueError(f"--prior: expected the recipe field, got {name}")
    match name:
        case "hybrid":
            return hybrid(seed=seed, refine=refine)
        case "field":
            return field(seed=seed, prior_cameras=prior_cameras)
        case "dual-space":
            return dual_space(seed=seed)
