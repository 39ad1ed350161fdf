"""An avatar moved by motion files."""

from pathlib import Path

import pytest
import torch

from avatar.body import load_body
from avatar.geometry import quats_from_axis_angles
from avatar.model import HybridAvatar, HybridAvatarConfig
from avatar.motion import write_clip
from avatar.motions import clip_of, motion_from_bytes, motion_from_file
from avatar.structs import Motion, Pose

WALK = Path(__file__).parents[2] / "shared/data/fixtures/motion/cmu_12_01_walk.bvh"


@pytest.fixture(scope="module", params=["anny", "cmu_mb"])
def avatar(request: pytest.FixtureRequest) -> HybridAvatar:
    shaped = load_body(request.param).shaped(load_body().default_shape())
    rest = shaped.rest_pose()
    start = torch.tensor([1.0, 2.0, float(shaped.joints_rest[0, 2] - shaped.rest.vertices[:, 2].min()) + 0.3])
    poses = Pose(local_quats=rest.local_quats[None], root_position_world=start[None])
    return HybridAvatar(
        shape=load_body().default_shape(), poses=poses, frame_ids=(0,), rig=request.param, config=HybridAvatarConfig()
    )


def test_a_walk_stands_where_the_avatar_stood(avatar: HybridAvatar):
    if not WALK.exists():
        pytest.skip(f"{WALK} is not there")
    motion, report = motion_from_file(avatar, WALK)
    assert (len(motion.frame_ids), motion.frame_rate_hz, motion.is_own) == (523, 120.0, False)
    assert report.unmapped_source == ()
    start = motion.poses.root_position_world[0]
    torch.testing.assert_close(start[:2], torch.tensor([1.0, 2.0]))
    soles = [float(avatar.body(avatar.shape, pose).vertices_world[:, 2].min()) for pose in motion.captured()[::40]]
    assert min(soles) > 0.3 - 0.04
    assert max(soles) < 0.3 + 0.06


def test_a_file_of_no_kind_is_named(avatar: HybridAvatar):
    with pytest.raises(ValueError, match=r"dance\.exe: expected a motion file"):
        motion_from_bytes(avatar, "dance.exe", b"MZ")


def test_a_motion_of_its_own_comes_back_as_it_was(avatar: HybridAvatar, tmp_path: Path):
    """Where it was, and at its own height."""
    turns = quats_from_axis_angles(0.3 * torch.randn(4, len(avatar.poses.local_quats[0]), 3))
    poses = Pose(local_quats=turns, root_position_world=torch.randn(4, 3))
    made = Motion(poses=poses, frame_ids=(0, 1, 2, 3), frame_rate_hz=25.0, is_own=True)
    write_clip(tmp_path / "own.npz", clip_of(avatar, made, "own"))
    motion, report = motion_from_file(avatar, tmp_path / "own.npz")
    assert torch.equal(motion.poses.local_quats, turns)
    assert torch.equal(motion.poses.root_position_world, poses.root_position_world)
    assert not motion.is_own
    assert (motion.frame_rate_hz, report.ground_shift_m, report.scale) == (25.0, 0.0, 1.0)
