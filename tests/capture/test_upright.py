"""Where up is, by the cameras."""

import logging
from itertools import pairwise

import numpy as np
import pytest

from avatar.capture.calibration import Calibration
from avatar.capture.upright import mean_up, turn_between, upright_turn


def ring(up: np.ndarray, pitch: float = 0.4, count: int = 7) -> list[Calibration]:
    """Cameras around the axis ``up``, looking down on its middle by ``pitch`` radians."""
    side = np.cross(up, [0.3, 0.5, 0.8])
    side /= np.linalg.norm(side)
    ahead = np.cross(up, side)
    made = []
    for angle in 2 * np.pi * np.arange(count) / count:
        out = np.cos(angle) * side + np.sin(angle) * ahead
        forward = -np.cos(pitch) * out - np.sin(pitch) * up
        right = np.cross(forward, up) / np.cos(pitch)
        rotation = np.stack([right, np.cross(forward, right), forward])
        transform = np.eye(4)
        transform[:3, :3] = rotation
        transform[:3, 3] = -rotation @ (3 * out)
        made.append(Calibration(name="", intrinsics_px=np.eye(3), camera_from_world=transform, distortion=np.zeros(5)))
    return made


@pytest.mark.parametrize("axis", [*np.eye(3), *-np.eye(3)], ids=str)
def test_the_nearest_axis_becomes_up(axis: np.ndarray) -> None:
    cameras = ring(axis)
    turn = upright_turn(cameras, "here")
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1.0)
    assert set(np.abs(turn).round(9).ravel()) <= {0.0, 1.0}, "axes go to axes"
    up = mean_up([camera.turned(turn) for camera in cameras])
    np.testing.assert_allclose(up / np.linalg.norm(up), [0, 0, 1], atol=1e-9)
    for camera in cameras:
        np.testing.assert_allclose(camera.turned(turn).centre_world, turn @ camera.centre_world, atol=1e-9)


def test_down_becomes_up_by_half_a_turn_about_x() -> None:
    np.testing.assert_array_equal(upright_turn(ring(np.array([0.0, 0.0, -1.0])), ""), np.diag([1.0, -1.0, -1.0]))


def test_any_direction_can_become_up() -> None:
    for up in np.random.default_rng(0).normal(size=(50, 3)):
        turn = turn_between(up)
        np.testing.assert_allclose(turn @ (up / np.linalg.norm(up)), [0, 0, 1], atol=1e-12)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)


def test_cameras_on_their_side_say_nothing(caplog: pytest.LogCaptureFixture) -> None:
    cameras = ring(np.array([0.0, 0.0, 1.0]))
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    for camera in cameras:
        camera.camera_from_world[:3] = quarter @ camera.camera_from_world[:3]
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(upright_turn(cameras, "rig.toml"), np.eye(3))
    assert "rig.toml: its cameras do not agree on where up is" in caplog.text
    assert all(np.allclose(one.distortion, other.distortion) for one, other in pairwise(cameras))
