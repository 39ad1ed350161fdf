"""The viewer's file, read by nothing of ours and evaluated in plain tensors, moves as the avatar does."""

import json

import pytest
import torch
from safetensors.torch import load
from torch import Tensor

from avatar.body import load_body
from avatar.canonical import HybridConfig
from avatar.deform import (
    ControlGraphConfig,
    CorrectivesConfig,
    DeformConfig,
    LearnedMix,
    LightFieldConfig,
    Linear,
    NormalLightConfig,
    RefineConfig,
)
from avatar.engine import Influences, Skinnable, skin_reference
from avatar.export import web_motion, web_scene
from avatar.geometry import (
    axis_angles_from_quats,
    conjugate_quats,
    matrices_from_quats,
    multiply_quats,
    quats_from_axis_angles,
)
from avatar.model import HybridAvatar, HybridAvatarConfig
from avatar.structs import Motion, Pose, Shape

MODES = CorrectivesConfig(num_modes=3, num_control_points=40, num_features=4, hidden=5)
PLAIN = DeformConfig(skinning=Linear(), correctives=MODES, light=NormalLightConfig())
FULL = DeformConfig(
    skinning=LearnedMix(initial_dqs_fraction=0.4),
    covariance="jacobian",
    graph=ControlGraphConfig(num_nodes=30),
    correctives=MODES,
    light=LightFieldConfig(hidden=3, sees_directions=False),
)


def make(deform: DeformConfig) -> HybridAvatar:
    """A small person whose every part has learnt something."""
    torch.manual_seed(0)
    poses = Pose(
        local_quats=quats_from_axis_angles(0.3 * torch.randn(5, 31, 3)), root_position_world=0.2 * torch.randn(5, 3)
    )
    config = HybridAvatarConfig(
        canonical=HybridConfig(num_gaussians=300), deform=deform, refine=RefineConfig(poses=True, joints=True)
    )
    avatar = HybridAvatar(
        shape=load_body().default_shape(), poses=poses, frame_ids=range(5), config=config, rig="cmu_mb"
    ).eval()
    with torch.no_grad():
        for parameter in avatar.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return avatar


def described(file: bytes) -> dict:
    length = int.from_bytes(file[:8], "little")
    return json.loads(json.loads(file[8 : 8 + length])["__metadata__"]["avatar"])


def coefficients(file: dict[str, Tensor], about: dict, quats: Tensor) -> Tensor:
    """What a pose calls for, by Gaussian-process regression over the known poses."""
    turns = multiply_quats(conjugate_quats(file["pose.mean_quats"]), quats[1:])
    features = (axis_angles_from_quats(turns).flatten() - file["pose.mean"]) @ file["pose.directions"].T
    features = features.clamp(-about["feature_limit"], about["feature_limit"])
    apart = (features - file["pose.known_features"]).norm(dim=1) / about["feature_reach"]
    weights = torch.exp(-apart.square() / 2) @ file["pose.inverse"]
    return (weights + (1 - weights.sum()) / len(weights)) @ file["pose.pivots"]


@pytest.mark.parametrize("deform", [PLAIN, FULL], ids=["plain", "full"])
def test_coefficients_of_a_pose_are_the_avatars(deform: DeformConfig):
    avatar = make(deform)
    scene = web_scene(avatar, "a")
    pose = Pose(local_quats=quats_from_axis_angles(0.4 * torch.randn(31, 3)), root_position_world=torch.zeros(3))
    correctives = avatar.deform.correctives
    assert correctives is not None
    found = coefficients(load(scene), described(scene), pose.local_quats)
    torch.testing.assert_close(found, correctives.coefficients(pose), atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_points_rotations_and_normals_are_the_avatars():
    avatar = make(PLAIN)
    file = load(web_scene(avatar, "a"))
    body = avatar.body(avatar.shape, avatar.poses[2])
    correctives = avatar.deform.correctives
    assert correctives is not None
    field = (correctives.coefficients(body.pose) @ file["correctives.modes"].flatten(1)).view(-1, 6)
    offsets = (field[file["splats.control_ids"].long()] * file["splats.control_weights"][..., None]).sum(1)
    quats = torch.nn.functional.normalize(kinematics(body.parents, body.pose.local_quats), dim=1)
    rest = Skinnable(file["splats.means"] + offsets[:, :3], file["splats.quats"], file["splats.normals"])
    influences = Influences(file["splats.joint_ids"].int(), file["splats.joint_weights"])
    joints = torch.cat([body.posed_from_rest[:, :3].flatten(1), quats], 1)
    posed = skin_reference(rest, influences, joints, dqs_fraction=file["splats.dqs_fractions"])
    expected = avatar.posed(avatar.poses[2])
    torch.testing.assert_close(posed.points, expected.means, atol=2e-5, rtol=0)
    turned = [matrices_from_quats(torch.nn.functional.normalize(q, dim=1)) for q in (posed.quats, expected.quats)]
    torch.testing.assert_close(*turned, atol=1e-4, rtol=0)


def kinematics(parents: tuple[int, ...], local: Tensor) -> Tensor:
    """Rotations in the world, joint after joint, which leaves signs that agree with the parents'."""
    world: list[Tensor] = []
    for joint, parent in enumerate(parents):
        turn = local[joint] if parent < 0 else multiply_quats(world[parent], local[joint])
        world.append(turn if parent < 0 or float(turn @ world[parent]) >= 0 else -turn)
    return torch.stack(world)


def test_every_part_is_there_and_no_other():
    names = {name.split(".")[0] for name in load(web_scene(make(FULL), "a"))}
    assert names == {"joints_rest", "splats", "surface", "correctives", "pose", "graph", "light", "shape"}
    bare = DeformConfig(correctives=CorrectivesConfig(num_modes=0))
    scene = web_scene(make(bare), "a")
    assert {name.split(".")[0] for name in load(scene)} == {"joints_rest", "splats", "surface", "shape"}
    assert described(scene)["light"] == "none"


def test_influences_sum_to_one_and_name_what_exists():
    avatar = make(FULL)
    file = load(web_scene(avatar, "a"))
    for points in ("splats", "surface"):
        for kind, most in (("joint", 31), ("corner", 13718), ("control", 40), ("node", 30)):
            ids, weights = file[f"{points}.{kind}_ids"], file[f"{points}.{kind}_weights"]
            torch.testing.assert_close(weights.sum(1), torch.ones(len(weights)))
            assert int(ids.min()) >= 0
            assert int(ids.max()) < most


def test_a_shape_at_its_end_moves_template_and_joints_as_the_body_model_says():
    avatar, rows = make(PLAIN), load_body("cmu_mb")
    scene = web_scene(avatar, "a")
    file, ranges = load(scene), described(scene)["shape"]
    before = rows.shaped(avatar.shape)
    for row, spread in enumerate(ranges):
        values = avatar.shape.values.clone()
        values[row] = spread["high"]
        after = rows.shaped(Shape(names=avatar.shape.names, values=values))
        moved = before.rest.vertices + file["shape.high"][row].float()
        torch.testing.assert_close(moved, after.rest.vertices, atol=2e-4, rtol=0)
        torch.testing.assert_close(before.joints_rest + file["shape.high_joints"][row], after.joints_rest)


def test_a_motion_says_when_and_what_the_avatar_makes_of_it():
    avatar = make(PLAIN)
    motion = Motion(poses=avatar.poses[[1, 3, 4]], frame_ids=(1, 3, 4), frame_rate_hz=10.0, is_own=True)
    file = web_motion(avatar, motion, "walk", ["feet on the ground"])
    found, about = load(file), described(file)
    assert found["times_s"].tolist() == pytest.approx([0, 0.2, 0.3])
    assert (about["name"], about["notes"], about["frame_ids"]) == ("walk", ["feet on the ground"], [1, 3, 4])
    pose = avatar.body(avatar.shape, motion.captured()[1]).pose
    torch.testing.assert_close(found["local_quats"][1], pose.local_quats)
    correctives = avatar.deform.correctives
    assert correctives is not None
    torch.testing.assert_close(found["coefficients"][1], correctives.coefficients(pose))
    assert not torch.equal(found["local_quats"], motion.poses.local_quats)  # refined
