"""What is written as BVH is read back by the reader, which knows nothing of the writer."""

import math
from pathlib import Path

import torch

from avatar.geometry import matrices_from_quats, quats_from_axis_angles
from avatar.motion import read_clip, write_bvh
from avatar.structs import Clip, Skeleton

SKELETON = Skeleton(
    joint_names=("Hips", "LeftUpLeg", "LeftLeg", "LeftFoot", "Spine", "Neck", "Head"),
    parents=(-1, 0, 1, 2, 0, 4, 5),
    joints_rest=torch.tensor(
        [[0, 0, 0.95], [0.1, 0, 0.9], [0.1, 0, 0.5], [0.1, 0, 0.08], [0, 0, 1.1], [0, 0, 1.45], [0, 0, 1.6]]
    ),
)


def clip_of(axis_angles: torch.Tensor) -> Clip:
    count = len(axis_angles)
    return Clip(
        name="made",
        skeleton=SKELETON,
        local_quats=quats_from_axis_angles(axis_angles),
        root_position_world=torch.linspace(0, 1, 3 * count).view(count, 3).to(axis_angles),
        frame_rate_hz=24.0,
    )


def check(path: Path, clip: Clip) -> None:
    write_bvh(path, clip)
    found = read_clip(path)
    assert found.skeleton.joint_names == SKELETON.joint_names
    assert found.frame_rate_hz == 24
    rest = SKELETON.joints_rest.double() - SKELETON.joints_rest[0].double()
    torch.testing.assert_close(found.skeleton.joints_rest, rest, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.root_position_world, clip.root_position_world.double(), atol=1e-6, rtol=0)
    turns = [matrices_from_quats(quats.double()) for quats in (found.local_quats, clip.local_quats)]
    torch.testing.assert_close(*turns, atol=1e-6, rtol=0)


def test_what_is_written_is_read(tmp_path: Path):
    torch.manual_seed(0)
    check(tmp_path / "made.bvh", clip_of(torch.randn(9, 7, 3, dtype=torch.float64)))


def test_at_a_quarter_turn_two_angles_are_one(tmp_path: Path):
    about = torch.zeros(2, 7, 3, dtype=torch.float64)
    about[0, 2, 2] = math.pi / 2  # the file's y axis is our z
    about[1, 2, 2] = -math.pi / 2
    check(tmp_path / "made.bvh", clip_of(about))
