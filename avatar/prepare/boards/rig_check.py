"""Do calibrated cameras stand where boards say that they stand?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from avatar.capture.calibration import Calibration

from .adjustment import Corners, Freedoms, Rig, adjust, rms_px
from .board import Board, corners_m
from .lens import num_freedoms
from .rig_fit import RigFit

WORSE: Final = 1.5  # places are wrong where corners are so many times as far off as they need to be
SCALE: Final = 0.005


@dataclass(frozen=True, kw_only=True, eq=False)
class RigCheck:
    """What boards that several cameras see at once say of a calibration.

    Attributes:
        names: of the cameras.
        given_px: root of the mean square distance of each camera's corners from where all say they are, as calibrated.
        refitted_px: the same with the best places and lenses.
        turns_rad, shifts_m: from where the calibration has each camera to where the boards have it, both worlds laid
            upon each other so that the boards fall together.
        scale: of the calibration's world to the true one.
    """

    names: tuple[str, ...]
    given_px: tuple[float, ...]
    refitted_px: tuple[float, ...]
    turns_rad: tuple[float, ...]
    shifts_m: tuple[float, ...]
    scale: float

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a user should know."""
        found = []
        if abs(self.scale - 1) > SCALE:
            found.append(
                f"The world of the calibration is {100 * (self.scale - 1):+.1f} % too large; is its unit right?"
            )
        for index, name in enumerate(self.names):
            given, refitted = self.given_px[index], self.refitted_px[index]
            errors = f"{given:.2f} px from where all cameras see the board, {refitted:.2f} px with the best places"
            if given > WORSE * refitted:
                turn, shift = np.degrees(self.turns_rad[index]), 1000 * self.shifts_m[index]
                found.append(f"{name}: stands elsewhere, turned by {turn:.2f} degrees, {shift:.0f} mm off; {errors}")
            else:
                found.append(f"{name}: stands where it should; {errors}")
        return tuple(found)


def check_rig(calibrations: Sequence[Calibration], rig: RigFit, board: Board) -> RigCheck:
    """Calibrations of ``rig``'s cameras, in its order, against its boards."""
    corners, order = corners_m(board), {moment: index for index, moment in enumerate(rig.moments)}
    poses = rig.boards.copy()
    for given, found, own in zip(calibrations, rig.cameras, rig.views, strict=True):
        seen = [order[view.moment] for view in own]
        poses[seen] = np.linalg.inv(given.camera_from_world) @ found.camera_from_world @ rig.boards[seen]
    sightings = [Corners.of(own, [order[view.moment] for view in own], corners) for own in rig.views]
    stays = Freedoms(
        poses=(False,) * len(calibrations), lenses=tuple(np.zeros(num_freedoms(each)) for each in calibrations)
    )
    held = adjust(sightings, Rig(cameras=tuple(calibrations), boards=poses), stays)
    given_from_rig, scale = _laid_upon(_places(rig.boards, corners), _places(held.rig.boards, corners))
    turns, shifts = [], []
    for given, found in zip(calibrations, rig.cameras, strict=True):
        turn = given.camera_from_world[:3, :3] @ given_from_rig[:3, :3] @ found.camera_from_world[:3, :3].T
        turns.append(float(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
        centre = scale * given_from_rig[:3, :3] @ found.centre_world + given_from_rig[:3, 3]
        shifts.append(float(np.linalg.norm(centre - given.centre_world)) / scale)
    return RigCheck(
        names=tuple(each.name for each in calibrations),
        given_px=tuple(rms_px(residuals) for residuals in held.residuals_px),
        refitted_px=rig.rms_px,
        turns_rad=tuple(turns),
        shifts_m=tuple(shifts),
        scale=scale,
    )


def _places(boards: Float[ndarray, "b 4 4"], corners: Float[ndarray, "m 3"]) -> Float[ndarray, "b 3"]:
    """The boards' middles."""
    return boards[:, :3, :3] @ corners.mean(axis=0) + boards[:, :3, 3]


def _laid_upon(source: Float[ndarray, "n 3"], target: Float[ndarray, "n 3"]) -> tuple[Float[ndarray, "4 4"], float]:
    """The turn, shift and scale that lead from one set of points to the other (Umeyama 1991, equations 40 to 42)."""
    middles = source.mean(axis=0), target.mean(axis=0)
    spread = source - middles[0]
    u, values, vt = np.linalg.svd((target - middles[1]).T @ spread)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = float((values * signs).sum() / np.square(spread).sum())
    pose = np.eye(4)
    pose[:3, :3] = (u * signs) @ vt
    pose[:3, 3] = middles[1] - scale * pose[:3, :3] @ middles[0]
    return pose, scale
