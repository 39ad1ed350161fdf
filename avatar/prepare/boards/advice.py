"""What is weak about a calibration, in sentences that say what to film."""

from typing import Final

import numpy as np

from .board import Board, corners_m
from .lens import FOCAL, board_pose
from .lens_fit import LensFit
from .rig_fit import RigFit

FEW_VIEWS: Final = 10
OPEN_FOCAL: Final = 0.01  # a standard deviation of the focal length that is too much
LEAST_TILT_RAD: Final = 0.3
COVERED: Final = 0.7  # of the picture's width and height, by the corners of all views
LARGE_PX: Final = 1.0
FEW_MOMENTS: Final = 10


def lens_warnings(fit: LensFit, board: Board) -> list[str]:
    """Of one camera's lens, worst first; empty where nothing is."""
    name, warnings, corners = fit.camera.name, [], corners_m(board)
    tilts = [np.arccos(min(1.0, abs(board_pose(fit.camera, view, corners)[2, 2]))) for view in fit.views]
    points = np.concatenate([view.points_px for view in fit.views])
    height, width = fit.camera.size or (1, 1)
    covered = np.ptp(np.quantile(points, [0.01, 0.99], axis=0), axis=0) / (width, height)
    if fit.deviations[FOCAL] > OPEN_FOCAL:
        share = 100 * float(fit.deviations[FOCAL])
        warnings.append(f"{name}: the focal length is good to {share:.1f} % only; film the board tilted and near")
    if len(fit.views) < FEW_VIEWS:
        warnings.append(f"{name}: only {len(fit.views)} views of the board; film it longer, holding it still at times")
    if max(tilts) < LEAST_TILT_RAD:
        warnings.append(f"{name}: the board is never tilted by more than {np.degrees(max(tilts)):.0f} degrees; tilt it")
    if covered.min() < COVERED:
        side = "left and right" if covered[0] < covered[1] else "upper and lower"
        warnings.append(f"{name}: the board never comes near the {side} borders; distortion there is a guess")
    if fit.rms_px > LARGE_PX:
        warnings.append(f"{name}: corners are {fit.rms_px:.1f} px off; is the board flat, and its size as given?")
    if fit.num_dropped > len(fit.views) / 4:
        warnings.append(f"{name}: {fit.num_dropped} views did not fit the others; hold the board still, light it well")
    return warnings


def rig_warnings(rig: RigFit) -> list[str]:
    """Of how the cameras hang together."""
    names, warnings = [camera.name for camera in rig.cameras], []
    for link in rig.links:
        if link.num_moments < FEW_MOMENTS:
            pair = f"{names[link.first]} and {names[link.second]}"
            warnings.append(f"{pair}: only {link.num_moments} moments tie them; film the board where both see it")
    for name, rms in zip(names, rig.rms_px, strict=True):
        if rms > LARGE_PX:
            warnings.append(f"{name}: is {rms:.1f} px off what the other cameras see; are the videos synchronised?")
    return warnings
