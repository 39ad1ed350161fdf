"""SMPL, SMPL-H and SMPL-X against the papers' equations, written out here in the files' own axes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from avatar.body import SmplBody, load_body, spread_pose
from avatar.body.smpl_poses import (
    axis_angles_from_pose,
    pose_from_axis_angles,
    pose_from_rh_th,
    pose_from_smplx,
    rh_th_from_pose,
    smplx_from_pose,
)
from avatar.structs import Shape

Arrays = dict[str, np.ndarray]
Bring = Callable[[str], Arrays]
KINDS = ("smpl", "smplh", "smplx")


def official(
    arrays: Arrays, betas: np.ndarray, axis_angles: np.ndarray, transl: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Posed vertices and joints, joint by joint, as the papers and ``smplx`` have them."""
    shaped = arrays["v_template"] + arrays["shapedirs"][..., : len(betas)] @ betas
    joints = arrays["J_regressor"] @ shaped
    rotations = Rotation.from_rotvec(axis_angles).as_matrix()
    bent = shaped + arrays["posedirs"] @ (rotations[1:] - np.eye(3)).ravel()
    parents = arrays["kintree_table"][0].astype(np.int64)
    chain = []
    for joint, rotation in enumerate(rotations):
        own = np.eye(4)
        own[:3, :3] = rotation
        own[:3, 3] = joints[joint] - (joints[parents[joint]] if joint else 0)
        chain.append(chain[parents[joint]] @ own if joint else own)
    posed = np.stack(chain)
    heads = posed[:, :3, 3].copy()
    posed[:, :3, 3] -= np.einsum("jab,jb->ja", posed[:, :3, :3], joints)
    blended = np.einsum("vj,jab->vab", arrays["weights"], posed)
    vertices = np.einsum("vab,vb->va", blended[:, :3, :3], bent) + blended[:, :3, 3]
    return vertices + transl, heads + transl


def model_of(kind: str) -> SmplBody:
    body = load_body(f"{kind}_neutral", torch.float64)
    assert isinstance(body, SmplBody)
    return body


def someone(body: SmplBody, seed: int = 0) -> tuple[Shape, Tensor, Tensor]:
    """A shape, rotation vectors and a translation by chance."""
    generator = torch.Generator().manual_seed(seed)
    betas, angles, transl = (
        torch.randn(*size, generator=generator, dtype=torch.float64) for size in ((10,), (len(body.parents), 3), (3,))
    )
    return body.shape(betas), 0.5 * angles, transl


@pytest.mark.parametrize("kind", KINDS)
def test_bodies_are_the_papers(brought: Bring, kind: str) -> None:
    arrays, body = brought(kind), model_of(kind)
    for seed in range(20):
        shape, angles, transl = someone(body, seed)
        posed = body(shape, pose_from_axis_angles(body, angles, transl, shape))
        vertices, joints = official(arrays, shape.values.numpy(), angles.numpy(), transl.numpy())
        np.testing.assert_allclose(posed.vertices_world, vertices, atol=1e-6, rtol=0)
        np.testing.assert_allclose(posed.joints_world, joints, atol=1e-6, rtol=0)


def test_pose_blend_shapes_count(brought: Bring) -> None:
    arrays, body = brought("smpl"), model_of("smpl")
    shape, angles, transl = someone(body)
    posed = body(shape, pose_from_axis_angles(body, angles, transl, shape))
    without, _ = official(
        {**arrays, "posedirs": 0 * arrays["posedirs"]}, shape.values.numpy(), angles.numpy(), transl.numpy()
    )
    assert np.abs(posed.vertices_world.numpy() - without).max() > 1e-3


def test_the_rest_pose_stands_upright_and_looks_along_minus_y(brought: Bring) -> None:
    brought("smpl")
    body = model_of("smpl")
    joints = dict(zip(body.joint_names, body.joints_rest(body.default_shape()), strict=True))
    assert joints["head"][2] > joints["pelvis"][2] > joints["left_ankle"][2]
    assert joints["left_foot"][1] < joints["left_ankle"][1] - 0.02, "toes point forwards"
    assert joints["left_wrist"][0] > 0.6
    shaped = body.shaped(body.default_shape())
    spread = shaped.posed(spread_pose(shaped)).joints_world
    assert spread[body.joint_names.index("left_ankle"), 0] > joints["left_ankle"][0] + 0.3


def test_a_shape_has_any_of_the_parameters(brought: Bring) -> None:
    arrays, body = brought("smplx"), model_of("smplx")
    assert body.shape_space.names == (
        *(f"beta_{row}" for row in range(10)),
        *(f"expression_{row}" for row in range(10)),
    )
    assert body.default_shape().names == body.shape_space.names[:10]
    smile = body.shape(torch.tensor([1.0, -1.0]), expression=torch.tensor([2.0]))
    shaped = body.shaped(smile)
    values = arrays["shapedirs"][..., [0, 1, 10]] @ [1, -1, 2]
    found = (shaped.rest.vertices - body.vertices.base).numpy()
    np.testing.assert_allclose(found[:, [0, 2]], values[:, [0, 1]], atol=1e-7)
    np.testing.assert_allclose(found[:, 1], -values[:, 2], atol=1e-7)
    for names in (("beta_0", "height"), ("beta_10",), ("beta_0", "beta_0")):
        with pytest.raises(ValueError, match=r"shape\.names: expected"):
            body.shaped(Shape(names=names, values=torch.zeros(len(names))))


def test_zju_poses_by_hand(brought: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worked numbers: J0 = (0, -0.25, 0.03), Rh = (0, 0, pi/2), Th = (1, 2, 3) are transl = (1.25, 2.25, 3)."""
    brought("smpl")
    body, none = model_of("smpl"), torch.zeros(72, dtype=torch.float64)
    shape = body.default_shape()
    pelvis_house = torch.tensor([0.0, -0.03, -0.25], dtype=torch.float64)
    monkeypatch.setattr(SmplBody, "joints_rest", lambda *_: pelvis_house[None])
    rh, th = torch.tensor([[0, 0, torch.pi / 2], [1, 2, 3]], dtype=torch.float64)
    pose = pose_from_rh_th(body, none, rh, th, shape)
    _, transl = axis_angles_from_pose(body, pose, shape)
    torch.testing.assert_close(transl, torch.tensor([1.25, 2.25, 3.0], dtype=torch.float64))
    same = pose_from_smplx(body, {"global_orient": rh, "transl": transl}, shape)
    torch.testing.assert_close(pose.local_quats, same.local_quats)
    torch.testing.assert_close(pose.root_position_world, same.root_position_world)


@pytest.mark.parametrize("kind", KINDS)
def test_rh_and_th_turn_about_the_origin_of_the_model(brought: Bring, kind: str) -> None:
    arrays, body = brought(kind), model_of(kind)
    shape, angles, th = someone(body)
    rh = angles[0].clone()
    angles[0] = 0
    pose = pose_from_rh_th(body, angles.flatten(), rh, th, shape)
    unturned, _ = official(arrays, shape.values.numpy(), angles.numpy(), np.zeros(3))
    expected = Rotation.from_rotvec(rh.numpy()).apply(unturned) + th.numpy()
    np.testing.assert_allclose(body(shape, pose).vertices_world, expected, atol=1e-6)
    poses, rh_again, th_again = rh_th_from_pose(body, pose, shape)
    torch.testing.assert_close(poses, angles.flatten())
    torch.testing.assert_close(rh_again, rh)
    torch.testing.assert_close(th_again, th)
    torch.testing.assert_close(pose_from_rh_th(body, poses[3:], rh, th, shape).local_quats, pose.local_quats)


def test_a_thousand_poses_mean_the_same_in_both_conventions(brought: Bring) -> None:
    brought("smpl")
    body = model_of("smpl")
    generator = torch.Generator().manual_seed(1)
    angles = 0.5 * torch.randn(1000, 24, 3, generator=generator, dtype=torch.float64)
    shape, _, _ = someone(body)
    pose = pose_from_axis_angles(body, angles, angles[:, 5], shape)
    again = pose_from_rh_th(body, *rh_th_from_pose(body, pose, shape), shape)
    torch.testing.assert_close(again.root_position_world, pose.root_position_world, atol=1e-9, rtol=0)
    same = (again.local_quats * pose.local_quats).sum(-1).abs()
    torch.testing.assert_close(same, torch.ones_like(same), atol=1e-12, rtol=0)


@pytest.mark.parametrize("flat_hand_mean", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_smplx_parameters_there_and_back(brought: Bring, kind: str, flat_hand_mean: bool) -> None:
    brought(kind)
    body = model_of(kind)
    shape, _, _ = someone(body)
    generator = torch.Generator().manual_seed(2)
    sizes = {"global_orient": 3, "body_pose": 69 if kind == "smpl" else 63, "transl": 3}
    sizes |= {} if kind == "smpl" else {"left_hand_pose": 45, "right_hand_pose": 45}
    sizes |= {"jaw_pose": 3, "leye_pose": 3, "reye_pose": 3} if kind == "smplx" else {}
    given = {name: 0.3 * torch.randn(4, size, generator=generator, dtype=torch.float64) for name, size in sizes.items()}
    pose = pose_from_smplx(body, given, shape, flat_hand_mean)
    found = smplx_from_pose(body, pose, shape, flat_hand_mean)
    assert set(found) == set(given)
    for name, values in given.items():
        torch.testing.assert_close(found[name], values, msg=name)


def test_hands_by_their_principal_poses(brought: Bring) -> None:
    arrays, body = brought("smplh"), model_of("smplh")
    shape = body.default_shape()
    coefficients = torch.tensor([0.5, -1.0, 0.0, 2.0, 0.1, 0.3], dtype=torch.float64)
    pose = pose_from_smplx(body, {"body_pose": torch.zeros(63).double(), "right_hand_pose": coefficients}, shape)
    angles, _ = axis_angles_from_pose(body, pose, shape)
    np.testing.assert_allclose(angles[22:37].flatten(), arrays["hands_meanl"], atol=1e-6)
    expected = arrays["hands_meanr"] + coefficients.numpy() @ arrays["hands_componentsr"][:6]
    np.testing.assert_allclose(angles[37:].flatten(), expected, atol=1e-6)
    easymocap = torch.cat([torch.zeros(72).double(), coefficients])
    zero = torch.zeros(3, dtype=torch.float64)
    same = pose_from_rh_th(body, easymocap, zero, zero, shape)
    torch.testing.assert_close(same.local_quats[37:], pose.local_quats[37:])
    with pytest.raises(ValueError, match="45 numbers"):
        pose_from_smplx(body, {"body_pose": torch.zeros(63), "left_hand_pose": torch.zeros(46)}, shape)


def test_parameters_of_another_size_are_refused(brought: Bring) -> None:
    brought("smpl")
    body = model_of("smpl")
    shape, zero = body.default_shape(), torch.zeros(3)
    with pytest.raises(ValueError, match="body_pose: expected 69 numbers"):
        pose_from_smplx(body, {"global_orient": zero, "body_pose": torch.zeros(63)}, shape)
    with pytest.raises(ValueError, match="poses: expected 72 numbers a frame for smpl, got 78"):
        pose_from_rh_th(body, torch.zeros(78), zero, zero, shape)
    with pytest.raises(ValueError, match="got neither"):
        pose_from_smplx(body, {"transl": zero}, shape)


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_smplx(brought: Bring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    smplx = pytest.importorskip("smplx", reason="the package smplx, which is the oracle here, is not installed")
    arrays, body = brought(kind), model_of(kind)
    shape, _, transl = someone(body)
    nowhere = dict.fromkeys(smplx.vertex_ids.vertex_ids["smplx"], 0)  # noses and toes of the real mesh
    for name in ("smplh", "smplx"):
        monkeypatch.setitem(smplx.vertex_ids.vertex_ids, name, nowhere)
    make = {"smpl": smplx.SMPL, "smplh": smplx.SMPLH, "smplx": smplx.SMPLX}[kind]
    path = tmp_path / "model.npz"
    members: dict[str, Any] = dict(arrays)
    np.savez(path, **members)
    options = {} if kind == "smpl" else {"use_pca": False, "flat_hand_mean": False, "ext": "npz"}
    options |= {} if kind == "smplx" else {"data_struct": smplx.utils.Struct(**arrays)}
    theirs = make(str(path), dtype=torch.float64, num_betas=10, **options)
    sizes = {"global_orient": 3, "body_pose": 69 if kind == "smpl" else 63}
    sizes |= {} if kind == "smpl" else {"left_hand_pose": 45, "right_hand_pose": 45}
    sizes |= {"jaw_pose": 3, "leye_pose": 3, "reye_pose": 3} if kind == "smplx" else {}
    generator = torch.Generator().manual_seed(3)
    given = {name: 0.4 * torch.randn(1, size, generator=generator, dtype=torch.float64) for name, size in sizes.items()}
    given["transl"] = transl[None]
    output = theirs(betas=shape.values[None], **given)
    posed = body(shape, pose_from_smplx(body, given, shape)[0])
    error = float((posed.vertices_world - output.vertices[0].detach()).abs().max())
    assert error <= 1e-6
    joints = output.joints[0, : len(body.parents)].detach()
    torch.testing.assert_close(posed.joints_world, joints, atol=1e-6, rtol=0)
