"""One camera and a network's guesses: a world for it to stand in, and where the person is in that world."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor
from torch.nn.functional import normalize

from avatar.geometry import rigid_from_parts
from avatar.structs import Camera

from .field_of_view import FieldOfView
from .person_depth import locate
from .skeleton import NAMES
from .world import ground_m, person_height_m

# A camera turned about its view by less than this is taken to be level: people lean.
LEVEL_RAD = math.radians(20.0)


@dataclass(frozen=True, kw_only=True)
class MonocularConfig:
    """What one camera cannot tell.

    Attributes:
        fov_degrees: field of view across the longer side of the picture, of an uncalibrated camera; None to estimate
            it.
        height_m: of the person; places and sizes scale with it.
        smooth_s: distances from the camera are smoothed by a bell of this deviation.
    """

    fov_degrees: float | None = None
    height_m: float = 1.7
    smooth_s: float = 0.1

    def __post_init__(self) -> None:
        if self.fov_degrees is not None:
            FieldOfView(degrees=self.fov_degrees, spread=0.0, source="given")
        if not 0.4 <= self.height_m <= 2.6:
            raise ValueError(f"MonocularConfig.height_m: expected 0.4 to 2.6 metres, got {self.height_m:g}")
        if self.smooth_s < 0:
            raise ValueError(f"MonocularConfig.smooth_s: expected zero or more, got {self.smooth_s:g}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Placement:
    """A person before one camera.

    Attributes:
        camera: upright in a z-up world whose ground, under the person's feet, is at z = 0; it looks along +y.
        points_world: the landmarks, on their rays as far away as guessed; NaN in frames in which nobody was found.
        confidences: of the points, 0 to 1: half of the landmarks', since their depths are guesses.
        tilt_deg: how far the camera looks down.
        roll_deg: how far it is turned clockwise about its view.
    """

    camera: Camera
    points_world: Float[Tensor, "f 33 3"]
    confidences: Float[Tensor, "f 33"]
    tilt_deg: float
    roll_deg: float


def place_person(
    camera: Camera,
    points_px: Float[Tensor, "f 33 2"],
    confidences: Float[Tensor, "f 33"],
    guesses_m: Float[Tensor, "f 33 3"],
    frame_rate_hz: float,
    config: MonocularConfig | None = None,
) -> Placement:
    """The world of a camera of known intrinsics, from what it sees of a person; its ``camera_from_world`` is not read.

    Distances are those at which the guesses, as large as a person of that height, project best onto the landmarks. Up
    is where the shoulders are from the ankles, most of the time, as guessed; that is good to ten degrees. Where a
    camera moves the world moves with it. Raises ValueError where nobody was found in any frame.
    """
    config = config or MonocularConfig()
    if not bool((confidences > 0).any()):
        raise ValueError(f"{camera.name}: nobody was found in any frame; see that a whole person is in the picture")
    guesses = guesses_m.double() * (config.height_m / person_height_m(guesses_m.double()))
    rays = torch.cat([points_px, torch.ones_like(points_px[..., :1])], dim=-1).double()
    rays = rays @ torch.linalg.inv(camera.intrinsics_px.double()).mT
    points = rays * locate(rays[..., :2], confidences, guesses)[0][..., 2:]
    points = points * _smoothing(points, config.smooth_s * frame_rate_hz)[:, None, None]
    up, tilt, roll = _up(points)
    ahead = normalize(torch.tensor([0.0, 0.0, 1.0]).double() - up[2] * up, dim=0)
    house_from_camera = torch.stack([torch.linalg.cross(ahead, up), ahead, up])
    points_house = points @ house_from_camera.mT
    ground = points_house.flatten(0, 1).nanmedian(dim=0).values
    ground[2] = ground_m(points_house)
    camera_from_world = rigid_from_parts(house_from_camera.mT, house_from_camera.mT @ ground)
    return Placement(
        camera=replace(camera, camera_from_world=camera_from_world.to(camera.intrinsics_px)),
        points_world=points_house - ground,
        confidences=torch.where(points.isfinite().all(-1), confidences.double() / 2, 0),
        tilt_deg=math.degrees(tilt),
        roll_deg=math.degrees(roll),
    )


def _smoothing(points: Float[Tensor, "f n 3"], deviation: float) -> Float[Tensor, " f"]:
    """Factors that make the person's distance change smoothly, with a bell of so many frames' deviation."""
    logs = points[..., 2].nanmedian(dim=1).values.log()
    is_known = logs.isfinite().double().numpy()
    if deviation == 0:
        return torch.ones_like(logs)
    known, total = (
        gaussian_filter1d(values, deviation, mode="constant")
        for values in (is_known, logs.nan_to_num().numpy() * is_known)
    )
    return torch.from_numpy(np.exp(total / np.maximum(known, 1e-12))) / logs.exp()


def _up(points: Float[Tensor, "f 33 3"]) -> tuple[Float[Tensor, "3"], float, float]:
    """Up in the camera's axes, and the camera's tilt down and roll, radians."""
    low, high = (
        points[:, [NAMES.index(f"{side}_{joint}") for side in ("left", "right")]].mean(dim=1)
        for joint in ("ankle", "shoulder")
    )
    x, y, z = normalize(normalize(high - low, dim=-1).nanmedian(dim=0).values, dim=0).tolist()
    tilt, roll = math.asin(-z), math.atan2(-x, -y)
    roll = roll if abs(roll) > LEVEL_RAD else 0.0
    up = [-math.cos(tilt) * math.sin(roll), -math.cos(tilt) * math.cos(roll), -math.sin(tilt)]
    return points.new_tensor(up), tilt, roll
