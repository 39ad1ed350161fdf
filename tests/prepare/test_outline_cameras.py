"""Cameras that are off are moved back by the outlines of a person who is known."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from avatar.geometry import matrices_from_axis_angles, rigid_from_parts
from avatar.prepare import FittedBody, Observations, OutlineConfig, cameras_by_outlines
from avatar.structs import Camera, Shape

from .body_fit.synthetic import Scene, scene
from .rig import seen

TURN_RAD, SHIFT_M = 0.006, 0.02


@pytest.fixture(scope="module")
def given() -> Scene:
    return scene()


@pytest.fixture(scope="module")
def truth(given: Scene) -> FittedBody:
    shape = given.template.shape(given.truth.shape)
    frames, cameras = given.observations.num_frames, len(given.observations.cameras)
    return FittedBody(
        rig="anny",
        shape=shape,
        poses=given.template.poses(given.truth),
        residuals_px=torch.zeros(frames, cameras, 33),
        overlaps=torch.ones(frames, cameras),
    )


def off(cameras: tuple[Camera, ...]) -> tuple[Camera, ...]:
    """Every camera turned and shifted another way."""
    generator, moved = torch.Generator().manual_seed(3), []
    for camera in cameras:
        turn = TURN_RAD * torch.randn(3, generator=generator)
        change = rigid_from_parts(matrices_from_axis_angles(turn), SHIFT_M * torch.randn(3, generator=generator))
        moved.append(replace(camera, camera_from_world=change @ camera.camera_from_world))
    return tuple(moved)


def errors_px(cameras: tuple[Camera, ...], given: Scene) -> Tensor:
    """Mean distance of the person's skin from where the true cameras see it."""
    points = given.vertices()[:, ::200].double()
    true = seen(list(given.observations.cameras), points)
    return torch.linalg.vector_norm(seen(list(cameras), points) - true, dim=-1).mean(dim=(0, 2))


def with_cameras(observations: Observations, cameras: tuple[Camera, ...]) -> Observations:
    return replace(observations, cameras=cameras)


def test_cameras_come_back(given: Scene, truth: FittedBody) -> None:
    wrong = off(given.observations.cameras)
    assert errors_px(wrong, given).max() > 3
    found = cameras_by_outlines(with_cameras(given.observations, wrong), truth)
    assert errors_px(found, given).max() < 0.6
    assert [camera.name for camera in found] == [camera.name for camera in wrong]
    for before, after in zip(wrong, found, strict=True):
        torch.testing.assert_close(before.intrinsics_px, after.intrinsics_px)


def test_right_cameras_stay_though_the_body_is_too_thin_and_masks_too_wide(given: Scene, truth: FittedBody) -> None:
    thin = Shape(names=truth.shape.names, values=truth.shape.values.clone())
    thin.values[list(thin.names).index("weight")] -= 0.3
    kernel = np.ones((5, 5), np.uint8)

    def wider(frame: int, camera: int) -> np.ndarray:
        mask = given.observations.load_mask(frame, camera)
        assert mask is not None
        return cv2.dilate(mask.astype(np.uint8), kernel) > 0

    observations = replace(given.observations, load_mask=wider)
    found = cameras_by_outlines(observations, replace(truth, shape=thin))
    assert errors_px(found, given).max() < 0.8


def test_a_stray_part_of_a_mask_moves_little(given: Scene, truth: FittedBody) -> None:
    """A chair that all masks of one camera hold."""

    def with_chair(frame: int, camera: int) -> np.ndarray:
        mask = given.observations.load_mask(frame, camera)
        assert mask is not None
        mask = mask.copy()
        if camera == 1:
            rows = np.flatnonzero(mask.any(axis=1))
            mask[rows[-1] - 80 : rows[-1], : mask.shape[1] // 2] = True
        return mask

    wrong = off(given.observations.cameras)
    observations = replace(with_cameras(given.observations, wrong), load_mask=with_chair)
    assert errors_px(cameras_by_outlines(observations, truth), given).max() < 1.5


def test_without_masks_a_camera_is_left_alone(given: Scene, truth: FittedBody) -> None:
    wrong = off(given.observations.cameras)

    def some(frame: int, camera: int) -> np.ndarray | None:
        mask = given.observations.load_mask(frame, camera)
        assert mask is not None
        return {0: None, 1: np.zeros_like(mask)}.get(camera, mask)

    found = cameras_by_outlines(replace(with_cameras(given.observations, wrong), load_mask=some), truth)
    for index in (0, 1):
        assert found[index] is wrong[index]
    assert errors_px(found, given)[2:].max() < 0.6


def test_every_so_many_time_steps(given: Scene) -> None:
    some = given.observations.every(3)
    assert some.num_frames == len(range(0, given.observations.num_frames, 3))
    assert some.frame_rate_hz == pytest.approx(given.observations.frame_rate_hz / 3)
    torch.testing.assert_close(some.points_px[1], given.observations.points_px[3])
    np.testing.assert_array_equal(some.load_mask(1, 2), given.observations.load_mask(3, 2))


def test_the_config_is_checked() -> None:
    with pytest.raises(ValueError, match=r"OutlineConfig\.rounds: expected more than 0, got 0"):
        OutlineConfig(rounds=0)
