"""AMASS files of both generations and their relatives, written by NumPy."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avatar.geometry import forward_kinematics, transform_points
from avatar.motion import MotionError, read_clip, read_clip_bytes
from avatar.structs import Clip

SAMPLES = Path(__file__).parents[3] / "shared/data/fixtures/smplcodec_samples"
UPRIGHT = (np.pi / 2, 0, 0)  # turns SMPL's +Y to AMASS's +Z


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def older(**changes: Any) -> bytes:
    """SMPL-H: one array of poses, the gender as bytes, dynamics and labels that no motion needs."""
    frames = 3
    poses = np.zeros((frames, 156))
    poses[:, :3] = UPRIGHT
    poses[1, 3 * 18 + 2] = -np.pi / 2  # left elbow, about the model's z: down
    trans = np.arange(3.0 * frames).reshape(frames, 3) / 10
    rest = {"betas": np.zeros(16), "dmpls": np.zeros((frames, 8)), "gender": b"male", "mocap_framerate": 60.0}
    objects = np.array([{"label": 1}, None], dtype=object)
    return npz(**{"poses": poses, "trans": trans, "latent_labels": objects, **rest, **changes})


def newer(**changes: Any) -> bytes:
    """SMPL-X: the parts of the poses beside the whole."""
    poses = np.zeros((3, 165))
    poses[:, :3] = UPRIGHT
    parts = {"root_orient": poses[:, :3], "pose_body": poses[:, 3:66], "pose_hand": poses[:, 75:]}
    face = {"pose_jaw": poses[:, 66:69], "pose_eye": poses[:, 69:75]}
    said = {"surface_model_type": "smplx", "gender": "neutral", "mocap_frame_rate": 120.0}
    return npz(**{"poses": poses, "trans": np.zeros((3, 3)), **parts, **face, **said, **changes})


def places(clip: Clip) -> dict[str, torch.Tensor]:
    posed = forward_kinematics(
        clip.skeleton.parents, clip.skeleton.joints_rest, clip.local_quats, clip.root_position_world
    )
    found = transform_points(posed, clip.skeleton.joints_rest)
    return dict(zip(clip.skeleton.joint_names, found.unbind(1), strict=True))


def test_the_older_generation():
    clip = read_clip_bytes("walk_poses.npz", older())
    assert (clip.frame_rate_hz, len(clip.skeleton.joint_names)) == (60.0, 52)
    torch.testing.assert_close(clip.root_position_world[2], torch.tensor([0.6, 0.7, 0.8], dtype=torch.float64))
    at = places(clip)
    assert float(at["head"][0, 2] - at["left_ankle"][0, 2]) > 1  # upright
    assert float(at["left_wrist"][0, 0] - at["right_wrist"][0, 0]) > 1  # arms out, the left to +X
    assert float(at["left_foot"][0, 1] - at["left_ankle"][0, 1]) < -0.1  # the toes to -Y
    forearm = at["left_wrist"][1] - at["left_elbow"][1]
    assert float(forearm[2] / forearm.norm()) < -0.999


def test_the_newer_generation_and_its_parts():
    whole = read_clip_bytes("walk_stageii.npz", newer())
    assert (whole.frame_rate_hz, len(whole.skeleton.joint_names)) == (120.0, 55)
    with np.load(io.BytesIO(newer())) as file:
        parts = npz(**{key: file[key] for key in file.files if key != "poses"})
    assert torch.equal(read_clip_bytes("walk_stageii.npz", parts).local_quats, whole.local_quats)


def test_a_world_with_y_up():
    """Others than AMASS keep the model's own axes."""
    clip = read_clip_bytes("walk.npz", newer(poses=np.zeros((3, 165)), trans=np.array([[1.0, 2.0, 3.0]] * 3)))
    torch.testing.assert_close(clip.root_position_world[0], torch.tensor([1.0, -3.0, 2.0], dtype=torch.float64))
    at = places(clip)
    assert float(at["head"][0, 2] - at["left_ankle"][0, 2]) > 1
    assert any("+y" in note for note in clip.notes)


def test_a_missing_frame_rate_is_asked_for():
    with np.load(io.BytesIO(newer())) as file:
        silent = npz(**{key: file[key] for key in file.files if key != "mocap_frame_rate"})
    with pytest.raises(MotionError, match=r"walk\.npz: has no mocap_frame_rate \(or mocap_framerate\)"):
        read_clip_bytes("walk.npz", silent)
    assert read_clip_bytes("walk.npz", silent, 25.0).frame_rate_hz == 25


def test_files_without_a_motion_are_told_so():
    with pytest.raises(MotionError, match=r"shape\.npz: is no motion that is known"):
        read_clip_bytes("shape.npz", npz(betas=np.zeros(16), gender="male"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"poses": np.zeros((3, 157))}, "poses: expected 3 x 66 or 72 or 156 or 165"),
        ({"poses": np.zeros((2, 156))}, "poses: expected 3 x"),
        ({"poses": np.full((3, 156), np.nan)}, "finite"),
        ({"poses": np.array([["a"]])}, "poses: expected"),
        ({"trans": np.zeros((0, 3)), "poses": np.zeros((0, 156))}, "trans: expected"),
        ({"trans": np.array([None, {}], dtype=object)}, "Python objects"),
        ({"mocap_framerate": -1.0}, "frame rate from 1"),
        ({"mocap_framerate": "fast"}, "mocap_framerate: expected one number"),
    ],
)
def test_a_broken_file_is_named_and_told_why(changes: dict[str, Any], says: str):
    with pytest.raises(MotionError, match=f"walk.npz: .*{says}"):
        read_clip_bytes("walk.npz", older(**changes))


def test_smpl_files():
    if not SAMPLES.exists():
        pytest.skip(f"{SAMPLES} is not there")
    clip = read_clip(SAMPLES / "avatar.smpl")
    assert (len(clip.local_quats), clip.frame_rate_hz, len(clip.skeleton.joint_names)) == (601, 120.0, 55)
    assert len(read_clip(SAMPLES / "pose_avatar.smpl").local_quats) == 1
    with pytest.raises(MotionError, match=r"default\.smpl: is no motion"):
        read_clip(SAMPLES / "default.smpl")
