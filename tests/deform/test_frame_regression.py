"""What was learnt about single frames, for poses between and beside them."""

from dataclasses import replace

import pytest
import torch

from avatar.deform.frame_regression import FrameRegression
from avatar.deform.pose_features import PoseFeatures
from avatar.structs import Pose

FRAME_IDS = (0, 4, 8, 12, 16, 20)


def made(poses: Pose, frame_ids: tuple[int, ...] = FRAME_IDS) -> FrameRegression:
    return FrameRegression(PoseFeatures(poses, 6, 3.0), poses, frame_ids, noise=0.1, reach=5.0)


@pytest.fixture
def regression(random_poses: Pose) -> FrameRegression:
    return made(random_poses)


def test_weights_sum_to_one(regression: FrameRegression, random_poses: Pose) -> None:
    for frame_id in (0, 7, 300, None):
        weights = regression(replace(random_poses[1], frame_id=frame_id))
        assert float(weights.sum()) == pytest.approx(1, abs=1e-5)


def test_a_training_frame_counts_most_for_itself(regression: FrameRegression, random_poses: Pose) -> None:
    for row, frame_id in enumerate(FRAME_IDS):
        assert int(regression(replace(random_poses[row], frame_id=frame_id)).argmax()) == row


def test_between_two_frames_both_count_most(regression: FrameRegression, random_poses: Pose) -> None:
    middle = replace(random_poses[2], local_quats=(random_poses.local_quats[2] + random_poses.local_quats[3]) / 2)
    weights = regression(replace(middle, frame_id=10))
    assert set(weights.topk(2).indices.tolist()) == {2, 3}


def test_far_from_everything_no_frame_counts_for_much(random_poses: Pose) -> None:
    still = replace(random_poses, local_quats=torch.tensor([1.0, 0, 0, 0]).expand_as(random_poses.local_quats))
    weights = made(still)(replace(random_poses[0], frame_id=9999))
    assert float((weights - 1 / 6).abs().max()) < 0.1


def test_time_counts_only_between_training_frames(regression: FrameRegression, random_poses: Pose) -> None:
    nowhere, before, between = (regression(replace(random_poses[1], frame_id=frame)) for frame in (None, -3, 17))
    assert torch.equal(nowhere, before)
    assert float(between[4]) > float(nowhere[4]) + 0.1  # frame 16


def test_one_frame_is_enough(random_poses: Pose) -> None:
    first = Pose(local_quats=random_poses.local_quats[:1], root_position_world=random_poses.root_position_world[:1])
    assert made(first, (3,))(random_poses[4]).tolist() == pytest.approx([1.0])
