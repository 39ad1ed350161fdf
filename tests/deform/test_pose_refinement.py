"""Corrections of captured poses."""

import math
from dataclasses import replace

import pytest
import torch

from avatar.deform import PoseRefinement
from avatar.geometry import matrices_from_axis_angles, matrices_from_quats
from avatar.structs import Pose


@pytest.fixture
def refinement() -> PoseRefinement:
    """For frames 3, 7 and 0, in this order."""
    return PoseRefinement((3, 7, 0), 12)


def test_it_starts_as_no_correction(refinement: PoseRefinement, random_poses: Pose) -> None:
    pose = replace(random_poses[1], frame_id=7)
    refined = refinement(pose)
    assert torch.equal(refined.local_quats, pose.local_quats)
    assert torch.equal(refined.root_position_world, pose.root_position_world)


@torch.no_grad()
def test_it_turns_after_the_captured_rotation_and_shifts(refinement: PoseRefinement, random_poses: Pose) -> None:
    turn = torch.tensor([0.0, 0.0, math.pi / 2])
    refinement.axis_angles[1, 4] = turn
    refinement.shifts[1] = torch.tensor([0.1, 0.2, 0.3])
    pose = replace(random_poses[1], frame_id=7)
    before, after = (matrices_from_quats(p.local_quats) for p in (pose, refinement(pose)))
    torch.testing.assert_close(after[4], before[4] @ matrices_from_axis_angles(turn))
    others = [joint for joint in range(12) if joint != 4]
    assert torch.equal(after[others], before[others])
    shift = refinement(pose).root_position_world - pose.root_position_world
    torch.testing.assert_close(shift, torch.tensor([0.1, 0.2, 0.3]))
    assert refinement(pose).frame_id == 7


@torch.no_grad()
@pytest.mark.parametrize("frame_id", [1, None])
def test_poses_of_no_training_frame_pass(frame_id: int | None, refinement: PoseRefinement, random_poses: Pose) -> None:
    refinement.axis_angles.fill_(1.0)
    pose = replace(random_poses[1], frame_id=frame_id)
    assert refinement(pose) is pose


def test_gradient_reaches_the_frame_and_no_other(refinement: PoseRefinement, random_poses: Pose) -> None:
    refined = refinement(replace(random_poses[0], frame_id=0))
    (refined.local_quats * torch.arange(1.0, 5.0)).sum().backward()
    grad = refinement.axis_angles.grad
    assert grad is not None
    assert bool((grad[2] != 0).any(1).all())
    assert not bool(grad[:2].any())
