"""Our own files, and the body files of captures."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avatar.geometry import forward_kinematics, matrices_from_quats
from avatar.motion import MotionError, read_clip, read_clip_bytes, write_clip
from avatar.structs import Clip, map_tensors


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_written_is_read_back_to_the_last_bit(tmp_path: Path, dance: Clip, dtype: torch.dtype):
    clip = map_tensors(dance, lambda tensor: tensor.to(dtype))
    write_clip(tmp_path / "dance.npz", clip)
    read = read_clip(tmp_path / "dance.npz")
    assert read.skeleton.joint_names == clip.skeleton.joint_names
    assert (read.skeleton.parents, read.frame_rate_hz) == (clip.skeleton.parents, clip.frame_rate_hz)
    for one, other in (
        (read.skeleton.joints_rest, clip.skeleton.joints_rest),
        (read.local_quats, clip.local_quats),
        (read.root_position_world, clip.root_position_world),
    ):
        assert torch.equal(one, other)
        assert one.dtype == dtype


def test_the_poses_of_a_capture(dance: Clip):
    rest, parents = dance.skeleton.joints_rest, dance.skeleton.parents
    posed = forward_kinematics(parents, rest, dance.local_quats, dance.root_position_world)
    places = (posed[..., :3, :3] @ rest[..., None])[..., 0] + posed[..., :3, 3]
    file = io.BytesIO()
    np.savez(
        file,
        bone_labels=np.array(dance.skeleton.joint_names),
        bone_parents=np.array(parents),
        rest_bone_heads=rest.numpy(),
        rotation_rest_to_posed=posed[..., :3, :3].numpy(),
        joints_world=places.numpy(),
        frame_rate=30.0,
    )
    read = read_clip_bytes("body.npz", file.getvalue())
    torch.testing.assert_close(matrices_from_quats(read.local_quats), matrices_from_quats(dance.local_quats))
    torch.testing.assert_close(read.root_position_world, dance.root_position_world)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"local_quats": np.zeros((2, 2, 4))}, "unit quaternions"),
        ({"local_quats": np.ones((2, 3, 4)) / 2}, "local_quats: expected any x 2 x 4"),
        ({"parents": np.array([-1, 1])}, "parents: expected -1"),
        ({"parents": np.array([0, -1])}, "parents: expected -1"),
        ({"joint_names": np.array([["a", "b"]])}, "joint_names: expected a list"),
        ({"joint_names": np.array([1, 2])}, "joint_names: expected a list"),
        ({"frame_rate_hz": np.array(0.0)}, "frame rate"),
        ({"root_position_world": np.full((2, 3), np.inf)}, "finite"),
        ({"root_position_world": None}, "has no root_position_world"),
    ],
)
def test_a_broken_file_is_named_and_told_why(changes: dict[str, Any], says: str):
    arrays: dict[str, Any] = {
        "joint_names": np.array(["hips", "spine"]),
        "parents": np.array([-1, 0]),
        "joints_rest": np.zeros((2, 3)),
        "local_quats": np.tile([1.0, 0, 0, 0], (2, 2, 1)),
        "root_position_world": np.zeros((2, 3)),
        "frame_rate_hz": np.array(30.0),
    }
    file = io.BytesIO()
    np.savez(file, **{key: value for key, value in (arrays | changes).items() if value is not None})
    with pytest.raises(MotionError, match=f"own.npz: .*{says}"):
        read_clip_bytes("own.npz", file.getvalue())
