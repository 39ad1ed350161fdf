from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from avatar.body import load_body
from avatar.geometry import forward_kinematics, matrices_from_quats, transform_points
from avatar.motion import MotionError, read_clip, read_clip_bytes, retarget
from avatar.structs import Clip, Skeleton

WALK = Path(__file__).parents[3] / "shared/data/fixtures/motion/cmu_12_01_walk.bvh"

CHAIN = """HIERARCHY
ROOT hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT L Knee
  {
    OFFSET 0 1 0
    CHANNELS 3 Zrotation Yrotation Xrotation
    End Site
    {
      OFFSET 0 1 0
    }
  }
}
MOTION
Frames: 2
Frame Time: .0083333
1 2 3 90 0 0 0 0 90
0 0 0 90 90 90 0 0 0
"""


def clip_of(text: str):
    return read_clip_bytes("chain.bvh", text.encode())


def test_channels_turn_in_the_order_they_are_listed_in():
    clip = clip_of(CHAIN)
    assert clip.skeleton.joint_names == ("hips", "L Knee")
    assert clip.skeleton.parents == (-1, 0)
    assert clip.frame_rate_hz == 120
    # y up in the file is z up here: (x, y, z) becomes (x, -z, y)
    unit_m = float(clip.skeleton.joints_rest[1, 2])
    expected = torch.tensor([1.0, -3.0, 2.0], dtype=torch.float64) * unit_m
    torch.testing.assert_close(clip.root_position_world[0], expected)
    x_to_z = torch.tensor([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(matrices_from_quats(clip.local_quats[0, 0]), x_to_z)


def test_three_angles_make_a_product_from_left_to_right():
    """By ninety degrees each, ``Rz Ry Rx`` takes x to -z, y to y and z to x: written by hand, in the file's axes."""
    clip = clip_of(CHAIN.replace("0 0 0 90 90 90 0 0 0", "0 0 0 0 0 0 90 90 90"))
    turned = matrices_from_quats(clip.local_quats)
    rz_ry_rx = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]], dtype=torch.float64)
    to_house = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=torch.float64)
    torch.testing.assert_close(turned[1, 1], to_house @ rz_ry_rx @ to_house.T)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("HIERARCHY", "HELLO", "HIERARCHY"),
        ("OFFSET 0 1 0", "OFFSET 0 1,5 0", "1,5"),
        ("End Site\n", "End Site\n{ JOINT lost", "within an end site"),
        ("JOINT L Knee", "End Site\n{ JOINT lost", "within an end site"),
        ("Frames: 2", "Frames: 3", "ends early"),
        ("Frames: 2", "Frames: 999999999", "at most"),
        ("Frame Time: .0083333", "Frame Time: 0", "Frame Time"),
        ("90 90 90", "90 nan 90", "nan"),
    ],
)
def test_a_broken_file_is_named_and_told_why(old: str, new: str, says: str):
    with pytest.raises(MotionError, match=f"chain.bvh: .*{says}"):
        clip_of(CHAIN.replace(old, new, 1))


def joints_by_scipy(text: str) -> dict[str, np.ndarray]:
    """Where each joint of a file with channels Z, Y, X is over time, in the file's axes."""
    tree, motion = text.split("MOTION")
    rows = np.array([line.split() for line in motion.splitlines()[3:] if line.strip()], dtype=float)
    turns, places, stack, column = {}, {}, [], 3
    for line in tree.splitlines():
        match line.split():
            case ["ROOT" | "JOINT" | "End", name]:
                stack.append(name)
            case ["OFFSET", *offset] if stack[-1] != "Site":
                name, above = stack[-1], stack[-2] if len(stack) > 1 else None
                turn = Rotation.from_euler("ZYX", rows[:, column : column + 3], degrees=True)
                turns[name] = turns[above] * turn if above else turn
                places[name] = places[above] + turns[above].apply(np.array(offset, float)) if above else rows[:, :3]
                column += 3
            case ["}"]:
                stack.pop()
            case _:
                pass
    return places


def test_joints_of_a_real_file_are_where_scipy_puts_them():
    if not WALK.exists():
        pytest.skip(f"{WALK} is not there")
    expected = joints_by_scipy(WALK.read_text())
    clip = read_clip(WALK)
    posed = forward_kinematics(
        clip.skeleton.parents, clip.skeleton.joints_rest, clip.local_quats, clip.root_position_world
    )
    found = transform_points(posed, clip.skeleton.joints_rest) / (0.0254 / 0.45)
    assert set(clip.skeleton.joint_names) == set(expected)
    for joint, name in enumerate(clip.skeleton.joint_names):
        np.testing.assert_allclose(found[:, joint].numpy(), expected[name][:, [0, 2, 1]] * (1, -1, 1), atol=1e-8)


def bvh_of(clip: Clip, units_a_metre: float) -> str:
    """A clip written as BVH, y up, by SciPy's angles."""
    names, parents, rest = clip.skeleton.joint_names, clip.skeleton.parents, clip.skeleton.joints_rest.numpy()
    to_file = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    order: list[int] = []

    def tree(joint: int) -> str:
        order.append(joint)
        offset = to_file @ (rest[joint] - (rest[parents[joint]] if parents[joint] >= 0 else 0)) * units_a_metre
        channels = "CHANNELS 3 Zrotation Yrotation Xrotation"
        if parents[joint] < 0:
            channels = channels.replace("3", "6 Xposition Yposition Zposition")
        children = "".join(tree(child) for child, parent in enumerate(parents) if parent == joint)
        kind = "ROOT" if parents[joint] < 0 else "JOINT"
        return f"{kind} {names[joint]}\n{{\nOFFSET {' '.join(map(str, offset))}\n{channels}\n{children}}}\n"

    hierarchy = tree(0)
    matrices = to_file @ matrices_from_quats(clip.local_quats).numpy() @ to_file.T
    path = clip.root_position_world.numpy() @ to_file.T * units_a_metre
    rows = []
    for frame in range(len(path)):
        angles = Rotation.from_matrix(matrices[frame, order]).as_euler("ZYX", degrees=True)
        rows.append(" ".join(map(str, [*path[frame], *angles.ravel()])))
    interval = 1 / clip.frame_rate_hz
    return f"HIERARCHY\n{hierarchy}MOTION\nFrames: {len(rows)}\nFrame Time: {interval:.6f}\n" + "\n".join(rows)


def test_a_clip_survives_a_file_in_any_unit(dance: Clip):
    """Known units give it back as it was; from any unit it moves an avatar alike."""
    own = load_body("cmu_mb")
    target = Skeleton(
        joint_names=own.joint_names, parents=own.parents, joints_rest=own.shaped(own.default_shape()).joints_rest
    )
    expected = retarget(dance, target).poses
    for units_a_metre, is_known in ((1.0, True), (100.0, True), (17.3, False)):
        clip = clip_of(bvh_of(dance, units_a_metre))
        assert (clip.frame_rate_hz, set(clip.skeleton.joint_names)) == (30.0, set(dance.skeleton.joint_names))
        if is_known:
            torch.testing.assert_close(clip.root_position_world, dance.root_position_world)
        made = retarget(clip, target).poses
        torch.testing.assert_close(made.root_position_world, expected.root_position_world, atol=1e-5, rtol=0)
        torch.testing.assert_close(
            matrices_from_quats(made.local_quats), matrices_from_quats(expected.local_quats), atol=1e-5, rtol=0
        )
