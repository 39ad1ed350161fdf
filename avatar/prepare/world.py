"""The world that a calibration is of, made the house's: metres, z-up, the ground at z = 0."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from avatar.capture.calibration import Calibration
from avatar.capture.upright import SHORTEST, mean_up, turn_between, upright_turn

from .skeleton import NAMES

# Legs, from hip to ankle, are this share of a person's height (Drillis and Contini 1966: .245 and .246), a little less
# between BlazePose's landmarks.
LEGS = 0.46
HEIGHTS_M = (0.9, 2.5)
USUAL_M = 1.7
UNITS_M = {"millimetres": 0.001, "centimetres": 0.01, "inches": 0.0254, "feet": 0.3048}
# A mean up axis farther than this from every axis of the world: the world has no axis up.
MAX_TILT_RAD = 0.5
FEET = tuple(NAMES.index(f"{side}_{part}") for side in ("left", "right") for part in ("heel", "foot_index"))
SOLE_M = 0.03  # a landmark of the foot is so far above the ground
MAX_OFF_GROUND_M = 0.1


def house_turn(calibrations: Sequence[Calibration], where: object) -> Float[ndarray, "3 3"]:
    """The rotation that makes the world z-up: by its own axis that is nearly up, else by the cameras' mean up."""
    up = mean_up(calibrations)
    length = float(np.linalg.norm(up))
    if length > SHORTEST and np.abs(up).max() / length < np.cos(MAX_TILT_RAD):
        return turn_between(up)
    return upright_turn(calibrations, where)


def person_height_m(points_world: Float[Tensor, "f 33 3"]) -> float:
    """A person's height by the legs; NaN where these are not seen."""
    lengths = []
    for side in ("left", "right"):
        hip, knee, ankle = (points_world[:, NAMES.index(f"{side}_{joint}")] for joint in ("hip", "knee", "ankle"))
        legs = torch.linalg.vector_norm(hip - knee, dim=-1) + torch.linalg.vector_norm(knee - ankle, dim=-1)
        lengths.append(legs[legs.isfinite()])
    found = torch.cat(lengths)
    return float(found.median()) / LEGS if len(found) else float("nan")


def check_height(height_m: float, where: object) -> None:
    """ValueError, with the unit to give, for a person of a height that nobody has."""
    if not np.isfinite(height_m) or HEIGHTS_M[0] <= height_m <= HEIGHTS_M[1]:
        return
    factor = USUAL_M / height_m
    likely = [name for name, unit_m in UNITS_M.items() if 0.75 < factor / unit_m < 1.33]
    unit = f"the unit seems to be {likely[0]}: " if likely else "if cameras are right, the unit is wrong: "
    value = UNITS_M[likely[0]] if likely else float(f"{factor:.3g}")
    raise ValueError(f"{where}: by it the person is {height_m:.3g} m tall; {unit}give --unit-m {value:g}")


def ground_m(points_world: Float[Tensor, "f 33 3"]) -> float:
    """The height of the ground under the feet: where the lower foot is most of the time; NaN where none is seen."""
    heights = points_world[:, list(FEET), 2].nan_to_num(nan=torch.inf).amin(dim=1)
    heights = heights[heights.isfinite()]
    return float(heights.quantile(0.25)) - SOLE_M if len(heights) else float("nan")
