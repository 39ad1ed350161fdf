"""Turns of a camera in a scene of noise, in which somebody stands who moves otherwise."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch

from avatar.prepare.camera_motion import CameraMotion, Corners, camera_motion, follow_scene, turning_costs

HEIGHT, WIDTH, FOCAL_PX = 180, 240, 220.0
FOCAL = FOCAL_PX / WIDTH
INTRINSICS = torch.tensor([[FOCAL_PX, 0, WIDTH / 2], [0, FOCAL_PX, HEIGHT / 2], [0, 0, 1]])


def turn(right: float, down: float, roll: float) -> np.ndarray:
    """Rotation of the camera by these degrees."""
    return cv2.Rodrigues(np.radians([down, right, roll]))[0]


def filmed(turns: list[np.ndarray], scene: np.ndarray | None = None) -> list[Corners]:
    """What is followed by a camera with these turns before a far scene, and a person who walks through it."""

    def views() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for step, rotation in enumerate(turns):
            picture, person = far[..., None].repeat(3, axis=2), np.zeros(far.shape, np.float32)
            warp = wide @ rotation @ np.linalg.inv(narrow)
            picture = cv2.warpPerspective(picture, warp, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            person = np.zeros((HEIGHT, WIDTH), np.float32)
            columns = slice(20 + 8 * step, 90 + 8 * step)
            person[30:150, columns] = 1
            picture[30:150, columns] = walking[30:150, :70]
            yield picture, person

    rng = np.random.default_rng(3)
    far = cv2.resize(rng.integers(0, 255, (60, 80), np.uint8), (480, 360)) if scene is None else scene
    walking = cv2.resize(rng.integers(0, 255, (45, 60, 3), np.uint8), (WIDTH, HEIGHT))
    narrow = INTRINSICS.double().numpy() - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    wide = np.array([[FOCAL_PX, 0, 239.5], [0, FOCAL_PX, 179.5], [0, 0, 1]])
    return follow_scene(views())


def errors_deg(found: CameraMotion, turns: list[np.ndarray]) -> np.ndarray:
    known = zip(turns, found.first_from_camera.numpy(), strict=True)
    return np.array([np.degrees(np.linalg.norm(cv2.Rodrigues(a.T @ turns[0].T @ b)[0])) for a, b in known])


def test_a_camera_that_stands_still() -> None:
    found = camera_motion(filmed([np.eye(3)] * 6), FOCAL)
    assert not found.is_moving
    assert found.unseen == 0
    assert found.misfit < 1e-4
    torch.testing.assert_close(found.first_from_camera, torch.eye(3).double().expand(6, 3, 3), atol=5e-4, rtol=0)


def test_a_pan_is_found() -> None:
    turns = [turn(1.5 * step, 0.5 * step, -0.3 * step) for step in range(10)]
    scene = filmed(turns)
    found = camera_motion(scene, FOCAL)
    assert found.is_moving
    assert errors_deg(found, turns).max() < 0.1
    angle = np.radians(np.linalg.norm([13.5, 4.5, 2.7]))
    assert found.shift == pytest.approx(angle * FOCAL, rel=0.01)


def test_a_scene_without_features_tells_nothing() -> None:
    scene = filmed([turn(step, 0, 0) for step in range(4)], np.zeros((360, 480), np.uint8))
    found = camera_motion(scene, FOCAL)
    assert found.unseen == 3
    assert np.isnan(found.misfit)
    assert not found.is_moving
    assert turning_costs(scene, np.array([0.5, 1.0])).tolist() == [0, 0]


def test_a_scene_that_does_not_turn_as_a_whole_is_not_believed() -> None:
    rng = np.random.default_rng(0)
    pictures = [cv2.resize(rng.integers(0, 255, (45, 60, 3), np.uint8), (WIDTH, HEIGHT)) for _ in range(3)]
    found = camera_motion(follow_scene((each, np.zeros((HEIGHT, WIDTH), np.float32)) for each in pictures), FOCAL)
    assert found.unseen == 2


def test_turns_tell_of_the_lens_and_rest_does_not() -> None:
    focals = FOCAL * np.array([0.8, 0.95, 1.0, 1.05, 1.25])
    turns = [turn(1.5 * step, 0.5 * step, 0) for step in range(10)]
    costs = turning_costs(filmed(turns), focals)
    assert costs.argmin() == 2
    assert costs[[0, 4]].min() > 8
    assert turning_costs(filmed([np.eye(3)] * 10), focals).max() < 0.5
