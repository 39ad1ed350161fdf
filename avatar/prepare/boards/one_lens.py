"""Were the boards of several cameras filmed by one and the same?"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from avatar.capture.calibration import Calibration

from .check import CameraCheck

ALIKE = 0.002  # logarithms of focal lengths, and principal points by them, that differ by less are of one lens


def one_lens(checks: Sequence[CameraCheck], calibrations: Sequence[Calibration]) -> list[str]:
    """Cameras whose boards show one and the same lens though they are calibrated as different ones."""
    given = {lens.name: _facts(lens) for lens in calibrations}
    found = {check.name: _facts(check.fit.camera) for check in checks if check.fit and check.faults}
    for name, facts in found.items():
        same = [other for other in found if np.abs(found[other] - facts).max() < ALIKE]
        if any(np.abs(given[other] - given[name]).max() > 2 * ALIKE for other in same):
            return [
                f"The boards of {', '.join(same)} show one and the same lens, so one camera filmed them all: what they "
                "contradict in the calibration is not to be believed. Film the board with each camera."
            ]
    return []


def _facts(lens: Calibration) -> Float[ndarray, "3"]:
    """The logarithm of the focal length, and the principal point as shares of it."""
    focal = lens.intrinsics_px[0, 0]
    return np.array([np.log(focal), *(lens.intrinsics_px[:2, 2] / focal)])
