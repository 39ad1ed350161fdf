"""Body parameter files: our own form and that of the anny package."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from avatar.capture.body_parameters import ANNY_JOINTS, BodyParameters, find_body, read_body, write_body
from avatar.capture.errors import CaptureError, MissingFileError
from avatar.geometry import forward_kinematics, matrices_from_axis_angles, quats_from_matrices, transform_points
from avatar.structs import Capture, Pose, Shape

FRAMES = 3
QUARTER_TURN = np.array([[0.0, -1.0, 0.0, 5.0], [1.0, 0.0, 0.0, 6.0], [0.0, 0.0, 1.0, 7.0], [0.0, 0.0, 0.0, 1.0]])


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
    still = read_body(save(tmp_path / "a.npz", anny_arrays()), from_local_ref).poses
    moved = read_body(save(tmp_path / "b.npz", anny_arrays(world_from_anny=QUARTER_TURN)), from_local_ref).poses
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


def exact_arrays(**changes: object) -> dict[str, object]:
    """What ``body.npz`` of a capture holds: a chain of four bones, each 0.2 m long, with a branch."""
    generator = torch.Generator().manual_seed(2)
    parents = np.array([-1, 0, 1, 1])
    rest = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 1.2], [0.2, 0.0, 1.2], [-0.2, 0.0, 1.2]])
    turns = matrices_from_axis_angles(torch.randn(FRAMES, 4, 3, generator=generator, dtype=torch.float64)).numpy()
    places = np.broadcast_to(np.array([1.0, 2.0, 3.0]), (FRAMES, 4, 3)).copy()
    for joint in (1, 2, 3):
        parent = parents[joint]
        places[:, joint] = places[:, parent] + turns[:, parent] @ (rest[joint] - rest[parent])
    arrays: dict[str, object] = {
        "rig": "cmu_mb",
        "phenotype_names": np.array(["gender", "age"]),
        "phenotype_values": np.array([0.25, 0.75], np.float32),
        "pose": np.zeros((FRAMES, 4, 4, 4)),
        "rotation_rest_to_posed": turns.astype(np.float32),
        "joints_world": places.astype(np.float32),
        "rest_bone_heads": rest,
        "bone_parents": parents,
        "frames": np.arange(FRAMES),
    }
    return arrays | changes


@pytest.mark.parametrize("world", [np.eye(4), QUARTER_TURN], ids=["still", "turned"])
def test_rotations_from_rest_become_local_ones(tmp_path: Path, world: np.ndarray) -> None:
    arrays = exact_arrays(world_from_anny=world)
    body = read_body(save(tmp_path / "body.npz", arrays))
    assert body.rig == "cmu_mb"
    assert body.shape.names == ("gender", "age")
    turns, joints = (np.array(arrays[key], np.float64) for key in ("rotation_rest_to_posed", "joints_world"))
    rest = torch.from_numpy(np.array(arrays["rest_bone_heads"])).float()
    posed_from_rest = forward_kinematics((-1, 0, 1, 1), rest, body.poses.local_quats, body.poses.root_position_world)
    expected = torch.from_numpy(world[:3, :3] @ turns).float()
    torch.testing.assert_close(posed_from_rest[..., :3, :3], expected, atol=1e-5, rtol=0)
    expected = torch.from_numpy(joints @ world[:3, :3].T + world[:3, 3]).float()
    torch.testing.assert_close(transform_points(posed_from_rest, rest), expected, atol=1e-5, rtol=0)


def changed(key: str, index: tuple[int, ...], value: float) -> dict[str, object]:
    """One number of an array changed."""
    array = np.array(exact_arrays()[key])
    array[index] = value
    return {key: array}


BROKEN_EXACT = {
    "NaN": (changed("joints_world", (2, 3, 1), np.nan), r"joints_world\[2, 3, 1\]: expected a finite number below"),
    "a huge number": (changed("joints_world", (0, 0, 0), 1e30), r"joints_world\[0, 0, 0\]: expected a finite number"),
    "a shear": (
        changed("rotation_rest_to_posed", (1, 2, 0, 1), 3.0),
        r"rotation_rest_to_posed\[1, 2\]: expected a rot",
    ),
    "a joint out of place": (changed("joints_world", (2, 1, 0), 9.0), r"joints_world\[2, 1\]: .* within 1 mm"),
    "another rest": (changed("rest_bone_heads", (3, 2), 1.3), r"joints_world\[0, 3\]: .* within 1 mm"),
    "a cycle": (changed("bone_parents", (1,), 2), "bone_parents: expected -1 for the root"),
    "two roots": (changed("bone_parents", (2,), -1), "bone_parents: expected -1 for the root"),
    "no root": (changed("bone_parents", (0,), 0), "bone_parents: expected -1 for the root"),
    "half a parent": ({"bone_parents": np.array([-1, 0, 0.5, 1])}, "bone_parents: expected -1 for the root"),
    "other frames": ({"frames": np.array([1, 2, 3])}, "frames: expected 0, 1, 2"),
    "too few places": (
        {"joints_world": np.zeros((FRAMES, 3, 3))},
        r"joints_world: expected numbers of shape \(3, 4, 3\)",
    ),
    "a world that shears": ({"world_from_anny": np.diag([1.0, 2.0, 1.0, 1.0])}, "rotation_rest_to_posed.* a rotation"),
    "no names": ({"phenotype_names": np.zeros(2)}, "phenotype_names: expected one name for each"),
}


@pytest.mark.parametrize("name", BROKEN_EXACT)
def test_broken_rotations_from_rest_are_refused(tmp_path: Path, name: str) -> None:
    changes, problem = BROKEN_EXACT[name]
    with pytest.raises(CaptureError, match=rf"body\.npz: {problem}"):
        read_body(save(tmp_path / "body.npz", exact_arrays(**changes)))


def test_the_exact_body_is_preferred_where_its_rig_is_ours(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="there is no body yet"):
        find_body(tmp_path, ("anny", "cmu_mb"))
    save(tmp_path / "body.npz", exact_arrays())
    assert find_body(tmp_path, ("anny", "cmu_mb")).name == "body.npz"
    assert find_body(tmp_path, ("anny",)).name == "body.npz", "there is no other"
    save(tmp_path / "body_default.npz", anny_arrays())
    assert find_body(tmp_path, ("anny",)).name == "body_default.npz"
    save(tmp_path / "body.npz", {"betas": np.zeros(10)})
    assert find_body(tmp_path, ("anny", "cmu_mb")).name == "body_default.npz"
    (tmp_path / "body.npz").write_bytes(b"PK")
    with pytest.raises(CaptureError, match=r"body\.npz"):
        find_body(tmp_path, ("anny", "cmu_mb"))


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
