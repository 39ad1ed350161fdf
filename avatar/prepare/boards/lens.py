"""A calibrated camera's lens as a function of what may be wrong with it, with its derivatives, by OpenCV's models."""

from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from avatar.capture.calibration import Calibration

from .detect import BoardView

# The freedoms of a lens: logarithms of its focal length and of the square root of fx / fy, the principal point in
# pixels, and the coefficients of its distortion.
FOCAL: Final = 0
ASPECT: Final = 1
PRINCIPAL: Final = slice(2, 4)
DISTORTION: Final = 4
ZERO: Final = np.zeros(3)


def project(
    calibration: Calibration, points_camera: Float[ndarray, "n 3"]
) -> tuple[Float[ndarray, "n 2"], Float[ndarray, "n 2 3"], Float[ndarray, "n 2 k"]]:
    """Pixels of points in the camera's axes, with their derivatives to the points and to the freedoms of the lens."""
    if not len(points_camera):
        return np.zeros((0, 2)), np.zeros((0, 2, 3)), np.zeros((0, 2, num_freedoms(calibration)))
    focals, count = calibration.intrinsics_px[[0, 1], [0, 1]], len(calibration.distortion)
    lens = calibration.intrinsics_px, calibration.distortion
    if calibration.is_fisheye:
        pixels, jacobian = cv2.fisheye.projectPoints(points_camera[:, None], ZERO, ZERO, *lens)
        by_focals, by_principal = jacobian[:, 0:2], jacobian[:, 2:4]
        by_distortion, by_shift = jacobian[:, 4:8], jacobian[:, 11:14]
    else:
        pixels, jacobian = cv2.projectPoints(points_camera, ZERO, ZERO, *lens)
        by_shift, by_focals, by_principal = jacobian[:, 3:6], jacobian[:, 6:8], jacobian[:, 8:10]
        by_distortion = jacobian[:, 10 : 10 + count]
    by_logs = by_focals * focals
    by_lens = np.column_stack([by_logs.sum(axis=1), by_logs[:, 0] - by_logs[:, 1], by_principal, by_distortion])
    return pixels.reshape(-1, 2), by_shift.reshape(-1, 2, 3), by_lens.reshape(len(points_camera), 2, -1)


def num_freedoms(calibration: Calibration) -> int:
    """How many freedoms the camera's lens has."""
    return DISTORTION + len(calibration.distortion)


def moved_lens(calibration: Calibration, step: Float[ndarray, " k"]) -> Calibration:
    """The camera after a step of all freedoms of its lens."""
    intrinsics = calibration.intrinsics_px.copy()
    intrinsics[0, 0] *= np.exp(step[FOCAL] + step[ASPECT])
    intrinsics[1, 1] *= np.exp(step[FOCAL] - step[ASPECT])
    intrinsics[:2, 2] += step[PRINCIPAL]
    return replace(calibration, intrinsics_px=intrinsics, distortion=calibration.distortion + step[DISTORTION:])


def lens_changes(calibration: Calibration, start: Calibration) -> Float[ndarray, " k"]:
    """The step that leads here from ``start``, a lens of the same model."""
    x, y = np.log(calibration.intrinsics_px[[0, 1], [0, 1]] / start.intrinsics_px[[0, 1], [0, 1]])
    principal = calibration.intrinsics_px[:2, 2] - start.intrinsics_px[:2, 2]
    return np.array([(x + y) / 2, (x - y) / 2, *principal, *(calibration.distortion - start.distortion)])


def board_pose(calibration: Calibration, view: BoardView, corners: Float[ndarray, "n 3"]) -> Float[ndarray, "4 4"]:
    """``camera_from_board`` of the plane that explains the view best, of the two that nearly do (Collins and Bartoli,
    "Infinitesimal Plane-Based Pose Estimation", 2014)."""
    undistort = cv2.fisheye.undistortPoints if calibration.is_fisheye else cv2.undistortPoints
    slopes = undistort(view.points_px[:, None], calibration.intrinsics_px, calibration.distortion)
    points = corners[view.ids]
    _, turns, shifts, _ = cv2.solvePnPGeneric(points, slopes, np.eye(3), None, flags=cv2.SOLVEPNP_IPPE)
    poses = [_pose(turn, shift) for turn, shift in zip(turns, shifts, strict=True)]

    def error(pose: Float[ndarray, "4 4"]) -> float:
        pixels = project(calibration, points @ pose[:3, :3].T + pose[:3, 3])[0]
        return float(np.square(pixels - view.points_px).sum()) if pose[2, 3] > 0 else np.inf

    return min(poses, key=error)


def _pose(turn: Float[ndarray, "3 1"], shift: Float[ndarray, "3 1"]) -> Float[ndarray, "4 4"]:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(turn)[0], shift[:, 0]
    return pose
