"""What a field is told of a moment."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from avatar.deform import FieldCodes, FieldCodesConfig
from avatar.structs import Pose

FRAME_IDS = (10, 20, 30, 40, 50, 60)


@pytest.fixture
def codes(random_poses: Pose) -> FieldCodes:
    torch.manual_seed(0)
    codes = FieldCodes(random_poses, FRAME_IDS, FieldCodesConfig(num_features=3, hidden=8, pose_size=5, frame_size=2))
    torch.nn.init.normal_(codes.codes)
    return codes


def test_a_known_frame_has_its_own_numbers(codes: FieldCodes, random_poses: Pose) -> None:
    known, unknown = (codes(replace(random_poses[2], frame_id=frame)) for frame in (30, 31))
    assert known.shape == (codes.config.size,)
    assert torch.equal(known[:5], unknown[:5])
    assert torch.equal(known[5:], codes.codes[2])
    assert torch.equal(unknown[5:], torch.zeros(2))


def test_an_unknown_frame_is_one_whose_code_is_zero(codes: FieldCodes, random_poses: Pose) -> None:
    with torch.no_grad():
        codes.codes[4] = 0
    assert torch.equal(codes(random_poses[1]), codes(replace(random_poses[1], frame_id=50)))


def test_the_pose_tells_but_not_where_somebody_stands_and_faces(codes: FieldCodes, random_poses: Pose) -> None:
    pose, other = random_poses[0], random_poses[1]
    assert float((codes(pose) - codes(other)).detach().abs().max()) > 1e-3
    quats = pose.local_quats.clone()
    quats[0] = other.local_quats[0]
    moved = Pose(local_quats=quats, root_position_world=other.root_position_world)
    assert torch.equal(codes(moved), codes(pose))


@torch.no_grad()
def test_training_forgets_the_frame_half_of_the_time_and_the_same_half_again(
    codes: FieldCodes, random_poses: Pose
) -> None:
    known, unknown = (replace(random_poses[0], frame_id=frame) for frame in (10, None))

    def is_forgotten(step: int) -> bool:
        with codes.forgetting(torch.Generator().manual_seed(step)):
            code = codes(known)
        assert torch.equal(codes(known)[5:], codes.codes[0]), "only within"
        return torch.equal(code, codes(unknown))

    forgotten = [is_forgotten(step) for step in range(200)]
    assert 75 < sum(forgotten) < 125
    assert forgotten == [is_forgotten(step) for step in range(200)]


def test_an_error_in_a_step_forgets_nothing(codes: FieldCodes, random_poses: Pose) -> None:
    pose = replace(random_poses[0], frame_id=10)
    for seed in range(9):
        with pytest.raises(KeyError), codes.forgetting(torch.Generator().manual_seed(seed)):
            raise KeyError
        assert bool(codes(pose)[5:].any())


def test_a_single_frame_will_do(random_poses: Pose) -> None:
    one = Pose(local_quats=random_poses.local_quats[:1], root_position_world=random_poses.root_position_world[:1])
    codes = FieldCodes(one, (7,), FieldCodesConfig(frame_size=0))
    assert codes(replace(one[0], frame_id=7)).shape == (16,)


def test_gradient_reaches_the_encoder_and_one_frame(codes: FieldCodes, random_poses: Pose) -> None:
    codes(replace(random_poses[1], frame_id=20)).sum().backward()
    assert codes.codes.grad is not None
    assert codes.codes.grad.any(1).tolist() == [False, True, False, False, False, False]
    for parameter in codes.encoder.parameters():
        assert parameter.grad is not None
        assert bool(parameter.grad.any())


BAD = [
    ("num_features", 0),
    ("hidden", 0),
    ("pose_size", 0),
    ("frame_size", -1),
    ("feature_limit", 0.0),
    ("forget", 1.5),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_configs_are_checked(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"FieldCodesConfig\.{name}: expected"):
        FieldCodesConfig(**{name: value})
