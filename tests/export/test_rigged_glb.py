"""A rigged person as binary glTF, read by programs that know nothing of us."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from avatar.body import load_body
from avatar.canonical import HybridConfig
from avatar.deform import CorrectivesConfig, DeformConfig
from avatar.export import BakeConfig, JointMotion, RiggedMesh, joint_motion, rigged_mesh, write_rigged_glb
from avatar.geometry import quats_from_axis_angles
from avatar.model import HybridAvatar, HybridAvatarConfig
from avatar.render import orbit, view_mesh
from avatar.structs import Motion, Pose

from .node import run_module
from .three_page import opened

VALIDATE = """
    import { readFileSync } from "node:fs";
    import validator from "gltf-validator";
    const report = await validator.validateBytes(new Uint8Array(readFileSync(process.argv[1])));
    console.log(JSON.stringify(report));
"""


def arm(frames: int = 3) -> tuple[RiggedMesh, JointMotion]:
    """A square from 0 to 1 m whose upper edge follows an elbow at 0.5 m, which turns by 90 degrees about z."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
    weights = np.zeros((4, 4), np.float32)
    weights[:, 0] = 1
    mesh = RiggedMesh(
        vertices=corners,
        normals=np.tile(np.array([0, 0, 1], np.float32), (4, 1)),
        uv=corners[:, :2].copy(),
        faces=np.array([[0, 1, 2], [0, 2, 3]]),
        joint_ids=np.array([[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]),
        joint_weights=weights,
        joint_names=("shoulder", "elbow"),
        parents=(-1, 0),
        joints=np.array([[0, 0.25, 0], [0, 0.5, 0]], np.float32),
        texture=np.tile(np.array([200, 10, 20], np.uint8), (4, 4, 1)),
    )
    angles = torch.linspace(0, torch.pi / 2, frames)[:, None, None] * torch.tensor([[0.0, 0, 0], [0, 0, 1]])
    motion = JointMotion(
        times_s=np.linspace(0, 1, frames),
        quats=quats_from_axis_angles(angles).numpy(),
        root=np.tile(mesh.joints[0], (frames, 1)) + np.linspace(0, 1, frames, dtype=np.float32)[:, None],
    )
    return mesh, motion


def description(path: Path) -> dict:
    content = path.read_bytes()
    (length,) = struct.unpack("<I", content[12:16])
    return json.loads(content[20 : 20 + length])


@pytest.fixture(scope="module")
def person() -> tuple[HybridAvatar, Motion]:
    """An avatar that was never fitted, grey on its skin, and a motion of its hips and arms."""
    body = load_body("cmu_mb")
    names, count = list(body.joint_names), 5
    turns = torch.zeros(count, len(names), 3)
    turns[:, 0, 2] = torch.linspace(0, 2, count)
    for name, axis in (("LeftArm", 1), ("RightArm", 1), ("LeftUpLeg", 0)):
        turns[:, names.index(name), axis] = torch.linspace(0, 0.8, count)
    places = torch.stack([torch.linspace(0, 0.3, count), torch.zeros(count), torch.ones(count)], 1)
    poses = Pose(local_quats=quats_from_axis_angles(turns), root_position_world=places)
    config = HybridAvatarConfig(
        canonical=HybridConfig(), deform=DeformConfig(correctives=CorrectivesConfig(num_modes=0))
    )
    avatar = HybridAvatar(
        shape=body.default_shape(), poses=poses, frame_ids=range(count), config=config, rig="cmu_mb"
    ).eval()
    return avatar, Motion(poses=poses, frame_ids=tuple(range(0, 2 * count, 2)), frame_rate_hz=4.0, is_own=False)


@pytest.fixture(scope="module")
def file(person: tuple[HybridAvatar, Motion], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("glb") / "person.glb"
    avatar, motion = person
    bake = BakeConfig(size_px=128, view_px=256, elevations=(0.0,), cameras=(4,))
    write_rigged_glb(path, rigged_mesh(avatar, bake), joint_motion(avatar, motion), "test")
    return path


def test_the_validator_finds_nothing(file: Path) -> None:
    report = run_module("gltf-validator", VALIDATE, file)
    assert report["issues"]["messages"] == []
    assert report["info"]["hasSkins"]
    assert report["info"]["animationCount"] == 1
    assert report["info"]["totalTriangleCount"] > 20_000


def test_it_says_what_it_is(file: Path) -> None:
    asset = description(file)["asset"]
    assert asset["version"] == "2.0"
    assert asset["extras"]["source"] == "test"
    assert asset["extras"]["unit"] == "metre"


def test_trimesh_reads_a_standing_person(file: Path) -> None:
    """1.5 to 2 m high along y, the toes in front at +z, volume positive: outside is outside."""
    scene = trimesh.load_scene(file)
    (mesh,) = scene.geometry.values()
    assert isinstance(mesh, trimesh.Trimesh)
    assert 1.5 < mesh.extents[1] < 2
    toes = mesh.vertices[mesh.vertices[:, 1] < mesh.bounds[0, 1] + 0.05]
    ankle = scene.graph["LeftFoot"][0][:3, 3]
    assert toes[:, 2].max() - ankle[2] > 0.1 > ankle[2] - toes[:, 2].min()
    assert mesh.volume > 0.04
    normals = np.asarray(mesh.vertex_normals)
    assert np.median((trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).vertex_normals * normals).sum(1)) > 0.99


def test_the_bind_pose_is_the_rest_pose(file: Path) -> None:
    gltf = description(file)
    names = [node["name"] for node in gltf["nodes"]]
    assert [names[node] for node in gltf["skins"][0]["joints"]] == list(load_body("cmu_mb").joint_names)
    assert all("rotation" not in node for node in gltf["nodes"])
    assert {"Hips": "translation"}.items() <= {
        names[channel["target"]["node"]]: channel["target"]["path"] for channel in gltf["animations"][0]["channels"][:1]
    }.items()


def test_joints_that_never_turn_have_no_channel(tmp_path: Path) -> None:
    write_rigged_glb(tmp_path / "a.glb", *arm(), "test")
    gltf = description(tmp_path / "a.glb")
    targets = [(channel["target"]["node"], channel["target"]["path"]) for channel in gltf["animations"][0]["channels"]]
    shoulder, elbow = gltf["skins"][0]["joints"]
    assert targets == [(shoulder, "translation"), (elbow, "rotation")]
    assert gltf["nodes"][shoulder]["children"] == [elbow]
    assert gltf["nodes"][elbow]["translation"] == [0, 0.25, 0]


def test_without_motion(tmp_path: Path) -> None:
    write_rigged_glb(tmp_path / "a.glb", arm()[0], None, "test")
    assert "animations" not in description(tmp_path / "a.glb")
    assert run_module("gltf-validator", VALIDATE, tmp_path / "a.glb")["issues"]["messages"] == []


def test_rotations_never_go_the_long_way_round(person: tuple[HybridAvatar, Motion]) -> None:
    avatar, motion = person
    signs = torch.tensor([1.0, -1, 1, 1, -1])[:, None, None]
    flipped = Pose(local_quats=motion.poses.local_quats * signs, root_position_world=motion.poses.root_position_world)
    joints = joint_motion(avatar, Motion(poses=flipped, frame_ids=motion.frame_ids, frame_rate_hz=4.0, is_own=False))
    assert (joints.quats[1:] * joints.quats[:-1]).sum(-1).min() > 0.5
    assert joints.times_s.tolist() == [0, 0.5, 1, 1.5, 2]
    assert joints.root[-1].tolist() == pytest.approx([0.3, 1, 0])


def test_three_js_plays_it_as_we_render_it(file: Path, person: tuple[HybridAvatar, Motion]) -> None:
    avatar, motion = person
    with opened(file) as page, torch.no_grad():
        assert page.about["clips"] == [["motion", 2]]
        assert len(page.about["joints"]) == len(avatar.poses.local_quats[0])
        for row, turn in ((0, 0.3), (4, 2.0)):
            pose = motion.captured()[row]
            camera = orbit(pose.root_position_world[None], 5.0, height=256, width=256, start=turn)[0]
            drawn = page.draw(row * 0.5, camera)
            mesh = avatar.clothed_mesh(pose)
            ours = (view_mesh(mesh.vertices, mesh.faces, camera).raster.triangles >= 0).numpy()
            shown = drawn[..., 3] > 127
            assert (shown & ours).sum() / (shown | ours).sum() > 0.98
            inside = drawn[shown & ours][:, :3].astype(float).mean(0)
            assert inside == pytest.approx([0.3 * 255] * 3, abs=6)  # the grey that it has, in no light of the page
