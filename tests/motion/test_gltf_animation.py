"""Animations written by the specification, read back."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.geometry import forward_kinematics, matrices_from_quats, transform_points
from avatar.motion import MotionError, read_clip, read_clip_bytes
from avatar.structs import Clip, Skeleton

from .gltf_writer import GltfWriter

HALF = np.sqrt(0.5)
ABOUT_X = (HALF, 0, 0, HALF)  # a right angle, xyzw
STILL = (0, 0, 0, 1)


def matrix(quat: np.ndarray, offset: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """T R S of a node, the rotation by Rodrigues' formula."""
    x, y, z, w = quat / np.linalg.norm(quat)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    made = np.eye(4)
    made[:3, :3] = (np.eye(3) + 2 * w * cross + 2 * cross @ cross) * scale
    made[:3, 3] = offset
    return made


def random_person(skeleton: Skeleton) -> tuple[GltfWriter, np.ndarray]:
    """A skeleton in centimetres below a node that scales it, whose rest frames are turned; and its joints over time."""
    random = np.random.default_rng(1)
    count, frames = len(skeleton.parents), 4
    rest = skeleton.joints_rest.numpy()[:, [0, 2, 1]] * (1, 1, -1)  # +Y up
    turns = [np.eye(4)] * count
    writer = GltfWriter([{"name": "Armature", "scale": [0.01] * 3, "children": [1]}], skin=list(range(1, count + 1)))
    keys = random.normal(size=(frames, count, 4)) * 0.2 + (0, 0, 0, 1)
    offsets = np.zeros((count, 3))
    for joint, parent in enumerate(skeleton.parents):
        own = matrix(random.normal(size=4), np.zeros(3), np.ones(3))
        offsets[joint] = 100 * (rest[joint] - (rest[parent] if parent >= 0 else 0))
        above = turns[parent] if parent >= 0 else np.eye(4)
        turns[joint] = own
        local = above[:3, :3].T @ own[:3, :3]
        offsets[joint] = above[:3, :3].T @ offsets[joint]
        x, y, z, w = quaternion(local)
        children = [child + 1 for child, up in enumerate(skeleton.parents) if up == joint]
        writer.nodes.append(
            {"name": skeleton.joint_names[joint], "rotation": [x, y, z, w], "translation": offsets[joint].tolist()}
            | ({"children": children} if children else {})
        )
        keys[:, joint] = [quaternion(local @ matrix(key, np.zeros(3), np.ones(3))[:3, :3]) for key in keys[:, joint]]
        writer.animate(joint + 1, "rotation", [0, 1 / 30, 2 / 30, 3 / 30], keys[:, joint])
    world = np.zeros((frames, count, 3))
    for frame in range(frames):
        chain = []
        for joint, parent in enumerate(skeleton.parents):
            above = chain[parent] if parent >= 0 else np.diag([0.01, 0.01, 0.01, 1])
            chain.append(above @ matrix(keys[frame, joint], offsets[joint], np.ones(3)))
        world[frame] = np.stack(chain)[:, :3, 3]
    return writer, np.stack([world[..., 0], -world[..., 2], world[..., 1]], -1)


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """``xyzw`` of a rotation matrix, as the eigenvector of Bar-Itzhack's matrix to the largest eigenvalue."""
    r = rotation[:3, :3]
    k = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], r[1, 0] + r[0, 1], r[2, 0] + r[0, 2], r[2, 1] - r[1, 2]],
            [r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], r[2, 1] + r[1, 2], r[0, 2] - r[2, 0]],
            [r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], r[0, 0] + r[1, 1] + r[2, 2]],
        ]
    )
    return np.linalg.eigh(k)[1][:, -1]


def places(clip: Clip) -> torch.Tensor:
    posed = forward_kinematics(
        clip.skeleton.parents, clip.skeleton.joints_rest, clip.local_quats, clip.root_position_world
    )
    return transform_points(posed, clip.skeleton.joints_rest)


def test_joints_go_where_the_nodes_do(mixamo: Skeleton):
    writer, expected = random_person(mixamo)
    for name, content in (("dance.glb", writer.glb()), ("dance.gltf", writer.gltf())):
        clip = read_clip_bytes(name, content)
        assert (set(clip.skeleton.joint_names), clip.frame_rate_hz) == (set(mixamo.joint_names), 30.0)
        order = [clip.skeleton.joint_names.index(joint) for joint in mixamo.joint_names]
        torch.testing.assert_close(places(clip)[:, order], torch.from_numpy(expected), atol=1e-5, rtol=0)


def one_joint(how: str, values: np.ndarray, times: list[float], path: str = "rotation") -> Clip:
    writer = GltfWriter([{"name": "hips", "children": [1]}, {"name": "spine", "translation": [0, 1, 0]}])
    writer.animate(0, path, times, values, how)
    return read_clip_bytes("one.glb", writer.glb())


def test_linear_turns_go_the_shorter_way():
    clip = one_joint("LINEAR", np.array([STILL, [-value for value in ABOUT_X]]), [0, 1])
    assert (clip.frame_rate_hz, len(clip.local_quats)) == (30.0, 31)
    angle = 2 * clip.local_quats[10, 0, 0].acos()
    assert float(angle) == pytest.approx(np.pi / 2 / 3, abs=1e-6)


def test_steps_hold_and_splines_follow_hermite():
    held = one_joint("STEP", np.array([[0, 1, 0], [0, 2, 0]]), [0, 1], "translation").root_position_world[:, 2]
    assert held[:30].unique().numel() == 1
    assert float(held[30] / held[0]) == pytest.approx(2)
    # in-tangent, value, out-tangent of each key; at a third: .741 start + .259 end + .148 leaving - .074 arriving
    keys = np.array([[[0, 0, 0], [0, 1, 0], [0, 9, 0]], [[0, -9, 0], [0, 2, 0], [0, 0, 0]]]).reshape(6, 3)
    curved = one_joint("CUBICSPLINE", keys, [0, 1], "translation").root_position_world[:, 2]
    expected = (20 / 27 * 1 + 7 / 27 * 2 + 4 / 27 * 9 - 2 / 27 * -9) / 1
    assert float(curved[10] / curved[0]) == pytest.approx(expected, rel=1e-5)


def test_whole_numbers_stand_for_fractions():
    quats = np.array([STILL, ABOUT_X])
    exact, coarse = one_joint("LINEAR", quats, [0, 1]), one_joint("LINEAR", (quats * 32767).astype("i2"), [0, 1])
    torch.testing.assert_close(coarse.local_quats, exact.local_quats, atol=1e-4, rtol=0)


def test_a_node_may_have_a_matrix():
    column_major = [0, 0, -2, 0, 0, 2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1]  # twice the size, turned by 90 about y
    writer = GltfWriter([{"name": "all", "matrix": column_major, "children": [1]}, {"name": "hips", "children": [2]}])
    writer.nodes.append({"name": "spine", "translation": [0, 0.5, 0.3]})
    writer.animate(1, "rotation", [0, 1], np.array([STILL, STILL]))
    rest = read_clip_bytes("one.glb", writer.glb()).skeleton.joints_rest
    ways = rest[-1] - rest[-2]
    torch.testing.assert_close(ways / ways[2], torch.tensor([0.6, 0, 1], dtype=torch.float64), atol=1e-6, rtol=0)


def test_buffers_lie_in_the_folder_or_nowhere(tmp_path: Path, mixamo: Skeleton):
    writer, _ = random_person(mixamo)
    (tmp_path / "motions").mkdir()
    (tmp_path / "motions/one two.bin").write_bytes(writer.data)
    (tmp_path / "secret.bin").write_bytes(writer.data)
    path = tmp_path / "motions/dance.gltf"
    path.write_bytes(writer.gltf("one%20two.bin"))
    assert len(read_clip(path).local_quats) == 4
    (tmp_path / "motions/link.bin").symlink_to(tmp_path / "secret.bin")
    for uri in (
        "../secret.bin",
        "%2e%2e/secret.bin",
        f"{tmp_path}/secret.bin",
        "link.bin",
        "http://a.b/c",
        "file:///a",
    ):
        path.write_bytes(writer.gltf(uri))
        with pytest.raises(MotionError, match=r"is no file beside this one|outside the folder"):
            read_clip(path)
    with pytest.raises(MotionError, match=r"dance\.gltf: needs the file 'one two\.bin'"):
        read_clip_bytes("dance.gltf", writer.gltf("one%20two.bin"))


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        (("accessors", 0, "count"), 10**9, "accessors.count"),
        (("accessors", 0, "count"), 100_000, "reach beyond their buffer"),
        (("accessors", 0, "byteOffset"), -4, "byteOffset"),
        (("accessors", 0, "sparse"), {}, "dense"),
        (("bufferViews", 0, "byteLength"), 10**9, "byteLength"),
        (("bufferViews", 0, "byteStride"), 1, "reach beyond"),
        (("buffers", 0, "uri"), 3, "uri"),
        (("nodes", 1, "children"), [0], "has 0 joints"),
        (("nodes", 0, "children"), [1, 1], "two parents"),
        (("nodes", 0, "rotation"), [0, 0, 0, 0], "unit quaternions"),
        (("nodes", 0, "translation"), [0, 1e30, 0], "finite"),
        (("nodes", 0, "scale"), "big", "nodes.scale"),
        (("animations",), [], "no animation"),
        (("animations", 0, "channels", 0, "target"), {"node": 7, "path": "rotation"}, "no animation of joints"),
        (("animations", 0, "samplers", 0, "output"), 0, "do not fit"),
        (("animations", 0, "samplers", 0, "interpolation"), "WARP", "do not fit"),
    ],
)
def test_a_broken_file_is_named_and_told_why(where: tuple[str | int, ...], value: object, says: str):
    writer = GltfWriter([{"name": "hips", "children": [1]}, {"name": "spine", "translation": [0, 1, 0]}])
    writer.animate(0, "rotation", [0, 1], np.array([STILL, ABOUT_X]))
    document = json.loads(writer.gltf())
    *way, last = where
    holder = document
    for key in way:
        holder = holder[key]
    holder[last] = value
    with pytest.raises(MotionError, match=f"one.gltf: .*{says}"):
        read_clip_bytes("one.gltf", json.dumps(document).encode())


def test_turned_matrices_agree_with_turned_frames():
    """The writer's own formulas, against each other."""
    quat = np.array([0.1, 0.2, 0.3, 0.9])
    made = matrix(quat, np.zeros(3), np.ones(3))
    ours = matrices_from_quats(torch.tensor([0.9, 0.1, 0.2, 0.3], dtype=torch.float64) / float(np.linalg.norm(quat)))
    np.testing.assert_allclose(made[:3, :3], ours.numpy(), atol=1e-12)
