"""Where the ground is under people who walk, jump and climb."""

import torch

from avatar.motion.ground import HOP_M, TouchPoints, contact_height, ground_height
from avatar.structs import Pose, Skeleton

SECONDS = torch.arange(480) / 120.0


def test_the_drift_of_a_capture_is_taken_out():
    drift = 0.05 * (SECONDS / 4)
    steps = 0.004 * (12 * SECONDS).sin()
    feet = drift + steps - contact_height(drift + steps, 120.0)
    assert float(feet.abs().max()) < 0.012
    assert float((drift - ground_height(drift)).abs().max()) > 0.04


def test_a_jump_stays_a_jump():
    jump = torch.where((SECONDS - 2).abs() < 0.2, 0.5 * (1 - ((SECONDS - 2) / 0.2) ** 2), 0.0)
    above = jump - contact_height(jump, 120.0)
    assert float(above.max()) > 0.5 - HOP_M
    assert float(above[:120].abs().max()) < 1e-3


def test_a_few_bad_frames_do_not_lift_the_motion():
    lowest = torch.zeros(100)
    lowest[:3] = -0.4
    assert ground_height(lowest) == 0


def test_one_pose_stands_on_its_lowest_point():
    lowest = torch.tensor([0.3])
    torch.testing.assert_close(contact_height(lowest, 30.0), lowest)


def test_points_go_along_with_their_joints():
    skeleton = Skeleton(joint_names=("a", "b"), parents=(-1, 0), joints_rest=torch.tensor([[0.0, 0, 1], [0, 0, 0.5]]))
    half = torch.tensor(0.5).sqrt()
    turned = torch.stack([torch.tensor([1.0, 0, 0, 0]), torch.stack([half, half, half * 0, half * 0])])  # b about x
    root = torch.tensor([[0.0, 0, 3]]).repeat(300, 1)
    poses = Pose(local_quats=turned[None].repeat(300, 1, 1), root_position_world=root)
    touch = TouchPoints(points_rest=torch.tensor([[0.0, -0.2, 0.5], [0, 0, 0.9]]), joint_ids=torch.tensor([1, 0]))
    torch.testing.assert_close(touch.lowest(skeleton, poses), torch.full((300,), 2.3))  # 3 - 0.5 - 0.2
