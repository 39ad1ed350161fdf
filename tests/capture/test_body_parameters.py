"""Body parameter files: our own form and that of the anny package."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from avatar.capture.body_parameters import ANNY_JOINTS, BodyParameters, read_body, write_body
from avatar.capture.errors import CaptureError
from avatar.geometry import matrices_from_axis_angles, quats_from_matrices
from avatar.structs import Capture, Pose, Shape

FRAMES = 3


def from_local_ref(local_ref: Tensor, shape: Shape) -> Pose:
    """A stand-in for the body model's: one whose reference pose is its rest pose."""
    if "gender" not in shape.names:
        raise ValueError("expected a gender")
    return Pose(local_quats=quats_from_matrices(local_ref[..., :3, :3]), root_position_world=local_ref[..., 0, :3, 3])


def anny_arrays(**changes: object) -> dict[str, object]:
    """What ``body_default.npz`` of a capture holds."""
    generator = torch.Generator().manual_seed(1)
    pose = torch.eye(4).repeat(FRAMES, ANNY_JOINTS, 1, 1)
    pose[..., :3, :3] = matrices_from_axis_angles(torch.randn(FRAMES, ANNY_JOINTS, 3, generator=generator))
    pose[:, 0, :3, 3] = torch.tensor([1.0, 2.0, 3.0])
    arrays: dict[str, object] = {
        "rig": "anny",
        "topology": "anny",
        "pose_parameterization": "local-ref",
        "phenotype_names": np.array(["gender", "age"]),
        "phenotype_values": np.array([0.25, 0.75], np.float32),
        "pose": pose.numpy(),
        "frames": np.arange(FRAMES),
        "world_from_anny": np.eye(4, dtype=np.float32),
    }
    return arrays | changes


def save(path: Path, arrays: dict[str, object]) -> Path:
    """An ``.npz`` file of the given values."""
    plain: dict[str, Any] = {key: np.asarray(value) for key, value in arrays.items()}
    np.savez(path, **plain)
    return path


def test_our_form_comes_back_exactly(drawn: Capture, tmp_path: Path) -> None:
    write_body(tmp_path / "body.npz", BodyParameters(rig="cmu_mb", shape=drawn.shape, poses=drawn.poses))
    body = read_body(tmp_path / "body.npz")
    assert body.rig == "cmu_mb"
    assert body.shape.names == drawn.shape.names
    torch.testing.assert_close(body.shape.values, drawn.shape.values, atol=0, rtol=0)
    torch.testing.assert_close(body.poses.local_quats, drawn.poses.local_quats, atol=1e-6, rtol=0)
    torch.testing.assert_close(body.poses.root_position_world, drawn.poses.root_position_world, atol=0, rtol=0)


def test_both_spellings_of_annys_form_are_read(tmp_path: Path) -> None:
    arrays = anny_arrays()
    body = read_body(save(tmp_path / "a.npz", arrays), from_local_ref)
    poses = body.poses
    assert body.rig == "anny"
    assert body.shape.names == ("gender", "age")
    assert body.shape.values.tolist() == [0.25, 0.75]
    assert poses.root_position_world.tolist() == [[1.0, 2.0, 3.0]] * FRAMES
    assert poses.local_quats.shape == (FRAMES, ANNY_JOINTS, 4)
    assert poses.local_quats.dtype == torch.float32
    renamed = {
        "phenotype_names": "phenotype_labels",
        "phenotype_values": "phenotype",
        "world_from_anny": "world_from_model",
    }
    other = {renamed.get(key, key): value for key, value in arrays.items()}
    assert read_body(save(tmp_path / "b.npz", other), from_local_ref).shape.names == body.shape.names


def test_the_world_moves_the_root_only(tmp_path: Path) -> None:
    world = np.array([[0.0, -1.0, 0.0, 5.0], [1.0, 0.0, 0.0, 6.0], [0.0, 0.0, 1.0, 7.0], [0.0, 0.0, 0.0, 1.0]])
    still = read_body(save(tmp_path / "a.npz", anny_arrays()), from_local_ref).poses
    moved = read_body(save(tmp_path / "b.npz", anny_arrays(world_from_anny=world)), from_local_ref).poses
    torch.testing.assert_close(moved.root_position_world, torch.tensor([[3.0, 7.0, 10.0]] * FRAMES))
    torch.testing.assert_close(moved.local_quats[:, 1:], still.local_quats[:, 1:])
    assert not torch.allclose(moved.local_quats[:, 0], still.local_quats[:, 0])


def spoilt(index: tuple[int, ...], value: float) -> np.ndarray:
    """The poses with one number changed."""
    pose = np.array(anny_arrays()["pose"])
    pose[index] = value
    return pose


BROKEN = {
    "NaN": ({"pose": spoilt((1, 7, 0, 2), np.nan)}, r"pose\[1, 7, 0, 2\]: expected a finite number"),
    "a shear": ({"pose": spoilt((2, 5, 0, 1), 4.0)}, r"pose\[2, 5\]: expected a rotation"),
    "a moving joint": ({"pose": spoilt((0, 3, 1, 3), 0.5)}, r"pose\[0, 2\]: only the root may move"),
    "a mirror": ({"pose": -np.array(anny_arrays()["pose"])}, r"pose\[0, 0\]: expected a rotation"),
    "another rig": ({"rig": "mixamo"}, "rig: expected 'anny', got 'mixamo'"),
    "another convention": ({"pose_parameterization": "world"}, "pose_parameterization: expected 'local-ref'"),
    "too few joints": ({"pose": np.zeros((FRAMES, 31, 4, 4))}, r"pose: expected numbers of shape \('any', 104, 4, 4\)"),
    "no frames": ({"pose": np.zeros((0, 104, 4, 4))}, "pose: expected numbers of shape"),
    "whole numbers as text": ({"phenotype_values": np.array(["0", "1"])}, "phenotype_values: expected numbers"),
    "a missing value": ({"phenotype_values": np.zeros(1)}, "phenotype_names: expected one name for each"),
    "missing frames": ({"frames": np.array([0, 2, 4])}, "frames: expected 0, 1, 2"),
    "an unknown shape": ({"phenotype_names": np.array(["x", "y"])}, "does not fit the body model: expected a gender"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_parameters_are_refused(tmp_path: Path, name: str) -> None:
    changes, problem = BROKEN[name]
    with pytest.raises(CaptureError, match=rf"body\.npz: {problem}"):
        read_body(save(tmp_path / "body.npz", anny_arrays(**changes)), from_local_ref)


def test_missing_arrays_are_named(tmp_path: Path) -> None:
    arrays = anny_arrays()
    del arrays["pose"]
    with pytest.raises(CaptureError, match="has neither 'local_quats'"):
        read_body(save(tmp_path / "body.npz", arrays), from_local_ref)


def test_quaternions_must_have_length_one(drawn: Capture, tmp_path: Path) -> None:
    poses = Pose(local_quats=2 * drawn.poses.local_quats, root_position_world=drawn.poses.root_position_world)
    write_body(tmp_path / "body.npz", BodyParameters(rig="anny", shape=drawn.shape, poses=poses))
    with pytest.raises(CaptureError, match=r"local_quats\[0, 0\]: expected a unit quaternion"):
        read_body(tmp_path / "body.npz")


def test_annys_form_asks_for_the_conversion(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="pass pose_from_local_ref"):
        read_body(save(tmp_path / "body.npz", anny_arrays()))
