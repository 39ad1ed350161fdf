"""The cameras as they will be used, and the person's landmarks in space by them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.structs import Camera

from .bundle import refine_cameras
from .intrinsics import doubt_intrinsics
from .stored import Arrays
from .triangulate import Triangulation, swap_sides, triangulate
from .world import MAX_OFF_GROUND_M, check_height, ground_m, person_height_m

Refine = Literal["auto", "always", "never"]
"""Whether cameras are moved by the landmarks: where they are plainly wrong, in any case, or not."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """Landmarks of one person by time step and camera, in undistorted pictures; as in ``Observations``."""

    points_px: Float[Tensor, "f c 33 2"]
    confidences: Float[Tensor, "f c 33"]
    guesses_m: Float[Tensor, "f c 33 3"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rig:
    """Cameras and what they agree on.

    Attributes:
        camera_from_world: of the cameras as used; the world is z-up, metres, the ground under the feet near z = 0.
        before_px, after_px: median residual of each camera with the calibration as given, and as used.
        is_refined: whether the landmarks moved the cameras.
        points_world, point_confidences, residuals_px, is_swapped: see ``Triangulation``.
        doubts: of the lenses, a sentence each.
        raised_m: how far the ground was from z = 0, and was moved; zero where it was left.
    """

    camera_from_world: Float[Tensor, "c 4 4"]
    before_px: Float[Tensor, " c"]
    after_px: Float[Tensor, " c"]
    is_refined: bool
    points_world: Float[Tensor, "f 33 3"]
    point_confidences: Float[Tensor, "f 33"]
    residuals_px: Float[Tensor, "f c 33"]
    is_swapped: Tensor
    doubts: tuple[str, ...]
    raised_m: float

    def arrays(self) -> Arrays:
        """As it is stored."""
        tensors = {name: value.numpy() for name, value in vars(self).items() if isinstance(value, Tensor)}
        scalars = {name: np.array(getattr(self, name)) for name in ("is_refined", "raised_m")}
        return tensors | scalars | {"doubts": np.array(self.doubts, dtype=np.str_)}

    @staticmethod
    def of(arrays: Arrays) -> "Rig":
        """The inverse of ``arrays``."""
        plain = ("is_refined", "raised_m", "doubts")
        tensors = {name: torch.from_numpy(value) for name, value in arrays.items() if name not in plain}
        return Rig(
            **tensors,
            is_refined=bool(arrays["is_refined"]),
            raised_m=float(arrays["raised_m"]),
            doubts=tuple(map(str, arrays["doubts"])),
        )

    def cameras(self, like: Sequence[Camera]) -> tuple[Camera, ...]:
        """Cameras with these lenses at the solved places."""
        return tuple(replace(each, camera_from_world=self.camera_from_world[i].float()) for i, each in enumerate(like))

    def corrected(self, seen: Seen) -> Seen:
        """The same landmarks with left and right as the cameras together have them."""
        weights = swap_sides(seen.confidences[..., None], self.is_swapped)[..., 0]
        return Seen(
            points_px=swap_sides(seen.points_px, self.is_swapped),
            confidences=weights,
            guesses_m=swap_sides(seen.guesses_m, self.is_swapped),
        )


def solve_rig(cameras: Sequence[Camera], seen: Seen, refine: Refine, where: object) -> Rig:
    """Triangulate, refine the cameras where asked, doubt the lenses, and put the ground to z = 0.

    ``cameras`` are as calibrated, in a z-up world. One alone is left as it is: nothing is triangulated. Raises
    ValueError, naming ``where``, where two cameras never see one landmark, or the person has a height that says that
    the unit is wrong.
    """
    given = triangulate(cameras, seen.points_px, seen.confidences)
    if len(cameras) == 1:
        return _rig(cameras, given, given, False, ())
    if not bool(given.points_world.isfinite().any()):
        raise ValueError(f"{where}: no two cameras see the person at the same time; check videos and their clocks")
    check_height(person_height_m(given.points_world), where)
    used, is_refined = tuple(cameras), False
    if refine != "never":
        bundle = refine_cameras(cameras, seen.points_px, seen.confidences)
        is_refined = refine == "always" or bundle.is_needed
        used = bundle.cameras if is_refined else used
    found = triangulate(used, seen.points_px, seen.confidences) if is_refined else given
    doubts = doubt_intrinsics(used, seen.points_px, seen.confidences)
    return _rig(used, given, found, is_refined, tuple(map(str, doubts)))


def _rig(
    cameras: Sequence[Camera], given: Triangulation, found: Triangulation, is_refined: bool, doubts: tuple[str, ...]
) -> Rig:
    ground = ground_m(found.points_world)
    raised_m = ground if abs(ground) > MAX_OFF_GROUND_M else 0.0
    places = torch.stack([each.camera_from_world.double() for each in cameras])
    places[:, :3, 3] += places[:, :3, 2] * raised_m
    return Rig(
        camera_from_world=places,
        before_px=given.camera_residuals_px(),
        after_px=found.camera_residuals_px(),
        is_refined=is_refined,
        points_world=found.points_world - torch.tensor([0.0, 0.0, raised_m]),
        point_confidences=found.confidences,
        residuals_px=found.residuals_px,
        is_swapped=found.is_swapped,
        doubts=doubts,
        raised_m=raised_m,
    )
