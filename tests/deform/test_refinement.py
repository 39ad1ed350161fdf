"""Corrections of what was captured."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from avatar.deform import RefineConfig, Refinement
from avatar.geometry import matrices_from_axis_angles, matrices_from_quats
from avatar.structs import Body, Pose

FRAME_IDS = (3, 7, 0, 20, 22, 24)
ALL = RefineConfig(poses=True, joints=True, cameras=True)


@pytest.fixture
def refinement(random_poses: Pose) -> Refinement:
    return Refinement(random_poses, FRAME_IDS, ("left", "right"), ALL)


@torch.no_grad()
def test_it_starts_as_no_correction(
    refinement: Refinement, random_poses: Pose, body_of: Callable[[Pose], Body]
) -> None:
    pose = replace(random_poses[1], frame_id=7)
    refined, body = refinement.pose(pose), body_of(pose)
    assert torch.equal(refined.local_quats, pose.local_quats)
    assert torch.equal(refined.root_position_world, pose.root_position_world)
    assert torch.equal(refinement.joints_rest(body.joints_rest), body.joints_rest)
    torch.testing.assert_close(refinement.seen(body, "left").posed_from_rest, body.posed_from_rest)
    assert float(refinement.surprise()) == 0


def test_unwanted_parts_pass_everything(random_poses: Pose, body_of: Callable[[Pose], Body]) -> None:
    none = Refinement(random_poses, FRAME_IDS, ("left", "right"), RefineConfig())
    pose = random_poses[0]
    body = body_of(pose)
    assert none.pose(pose) is pose
    assert none.joints_rest(body.joints_rest) is body.joints_rest
    assert none.seen(body, "left") is body
    assert none.surprise() == 0
    assert not none.state_dict()


@torch.no_grad()
@pytest.mark.parametrize("frame_id", [7, 5, 1000, None])
def test_what_all_frames_agree_on_holds_for_every_pose(
    frame_id: int | None, refinement: Refinement, random_poses: Pose
) -> None:
    assert refinement.poses
    turn, shift = torch.tensor([0.0, 0.0, math.pi / 2]), torch.tensor([0.1, 0.2, 0.3])
    refinement.poses.axis_angles[:, 4] = turn
    refinement.poses.shifts[:] = shift
    pose = replace(random_poses[1], frame_id=frame_id)
    refined = refinement.pose(pose)
    before, after = (matrices_from_quats(p.local_quats) for p in (pose, refined))
    torch.testing.assert_close(after[4], before[4] @ matrices_from_axis_angles(turn), atol=1e-5, rtol=0)
    others = [joint for joint in range(len(before)) if joint != 4]
    torch.testing.assert_close(after[others], before[others])
    torch.testing.assert_close(refined.root_position_world - pose.root_position_world, shift, atol=1e-5, rtol=0)
    assert refined.frame_id == frame_id


@torch.no_grad()
def test_cameras_move_against_each_other_only(
    refinement: Refinement, random_poses: Pose, body_of: Callable[[Pose], Body]
) -> None:
    assert refinement.cameras
    body = body_of(random_poses[2])
    refinement.cameras.shifts[:] = torch.tensor([1.0, 2.0, 3.0])
    refinement.cameras.turns[:] = torch.tensor([0.0, 0.5, 0.0])
    for camera in ("left", "right", "top", None):
        torch.testing.assert_close(refinement.seen(body, camera).joints_world, body.joints_world, atol=1e-5, rtol=0)
    refinement.cameras.turns[0] += torch.tensor([0.0, 0.0, math.pi])
    seen = refinement.seen(body, "left").joints_world
    pivot = random_poses.root_position_world.mean(0)
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    torch.testing.assert_close(seen, (body.joints_world - pivot) @ quarter.T + pivot, atol=1e-5, rtol=0)
    assert refinement.seen(body, "top") is body


@pytest.mark.parametrize("name", ["pose_rad", "camera_m", "exposure_log"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_sizes_are_checked(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"RefineConfig\.{name}: expected a positive number"):
        RefineConfig(**{name: value})


@torch.no_grad()
def test_a_correction_of_the_expected_size_counts_one(refinement: Refinement) -> None:
    assert refinement.joints
    refinement.joints.offsets[:] = 2 * ALL.joint_m
    assert float(refinement.surprise()) == pytest.approx(4)
