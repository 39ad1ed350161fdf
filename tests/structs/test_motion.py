"""Poses between captured ones."""

import math

import pytest
import torch

from avatar.geometry import quats_from_axis_angles
from avatar.structs import Motion, Pose, facing


@pytest.fixture
def motion() -> Motion:
    """One joint that turns a radian and walks a metre a second, captured at 10 a second with a gap."""
    frame_ids = (2, 3, 4, 6)
    seconds = (torch.tensor(frame_ids) - 2) / 10
    up = torch.tensor([0.0, 0.0, 1.0])
    return Motion(
        poses=Pose(
            local_quats=quats_from_axis_angles(seconds[:, None, None] * up),
            root_position_world=seconds[:, None] * torch.tensor([1.0, 0.0, 0.0]),
        ),
        frame_ids=frame_ids,
        frame_rate_hz=10.0,
        is_own=True,
    )


def test_poses_between_are_on_the_way(motion: Motion):
    times = torch.tensor([0.0, 0.04, 0.1, 0.3, 0.4, 0.9])
    for pose, time in zip(motion.between(times), times.clamp(max=0.4), strict=True):
        assert pose.root_position_world[0] == pytest.approx(float(time), abs=1e-6)
        assert 2 * math.atan2(pose.local_quats[0, 3], pose.local_quats[0, 0]) == pytest.approx(float(time), abs=1e-6)
        assert pose.frame_id is None


def test_resampled_once_through(motion: Motion):
    places = [float(pose.root_position_world[0]) for pose in motion.resampled(20.0)]
    assert places == pytest.approx([0.05 * index for index in range(9)], abs=1e-6)


def test_resampled_to_and_fro(motion: Motion):
    places = [float(pose.root_position_world[0]) for pose in motion.resampled(10.0, 11)]
    assert places == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.3, 0.2, 0.1, 0, 0.1, 0.2], abs=1e-6)


def test_captured_poses_know_their_frames(motion: Motion):
    assert [pose.frame_id for pose in motion.captured()] == [2, 3, 4, 6]
    assert motion.pace_hz == pytest.approx(7.5)


def test_a_part_is_chosen_by_time_step(motion: Motion):
    assert motion.part(3, 6).frame_ids == (3, 4)
    assert motion.part(4, None).frame_ids == (4, 6)
    assert motion.part(3, 4).pace_hz == 10.0
    assert [pose.root_position_world[0] for pose in motion.part(3, 4).resampled(5.0, 3)] == [pytest.approx(0.1)] * 3
    with pytest.raises(ValueError, match="time steps 5:6: the motion has 2 to 6"):
        motion.part(5, 6)


def test_facing_turns_with_the_root():
    for angle in (0.0, 1.0, -2.0):
        quats = quats_from_axis_angles(torch.tensor([[0.0, 0.0, angle]]))
        pose = Pose(local_quats=quats, root_position_world=torch.zeros(3))
        assert math.remainder(facing(pose) - angle + math.pi / 2, 2 * math.pi) == pytest.approx(0, abs=1e-6)
