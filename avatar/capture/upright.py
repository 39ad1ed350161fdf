"""Where up is. Sets disagree, and some with themselves, so it is measured: cameras of a rig stand more or less upright,
and the mean of their up axes in the world is close to one of the world's axes."""

import logging
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from .calibration import Calibration

LOG = logging.getLogger(__name__)
# Cameras turned on their side cancel out around a ring: a mean shorter than this says nothing.
SHORTEST = 0.5


def mean_up(calibrations: Sequence[Calibration]) -> Float[np.ndarray, "3"]:
    """The mean of the cameras' up axes (-y) in the world; of length one when they agree."""
    return np.mean([-calibration.camera_from_world[1, :3] for calibration in calibrations], axis=0)


def upright_turn(calibrations: Sequence[Calibration], where: object) -> Float[np.ndarray, "3 3"]:
    """The rotation ``house_from_world`` that brings the world's axis nearest to the cameras' mean up to +z.

    It is the smallest such rotation, and half a turn about x where z points down. Left as it is, with a warning naming
    ``where``, when the cameras do not say where up is.
    """
    up = mean_up(calibrations)
    if np.linalg.norm(up) < SHORTEST:
        LOG.warning("%s: its cameras do not agree on where up is; its world is taken to be z-up", where)
        return np.eye(3)
    axis = np.zeros(3)
    axis[np.abs(up).argmax()] = np.sign(up[np.abs(up).argmax()])
    return turn_between(axis)


def turn_between(up: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """The smallest rotation that takes ``up`` to +z; diag(1, -1, -1) for -z."""
    x, y, z = up / np.linalg.norm(up)
    if z < -1.0 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    cross = np.array([[0.0, 0.0, -x], [0.0, 0.0, -y], [x, y, 0.0]])
    return np.eye(3) + cross + cross @ cross / (1.0 + z)
