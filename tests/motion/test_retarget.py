"""The laws of retargeting."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from avatar.body import load_body
from avatar.geometry import (
    conjugate_quats,
    forward_kinematics,
    matrices_from_quats,
    multiply_quats,
    quats_from_axis_angles,
    quats_from_matrices,
    rotate_points,
    transform_points,
)
from avatar.motion import RetargetConfig, TouchPoints, resampled, retarget
from avatar.structs import Clip, Pose, Skeleton

AS_IT_IS = RetargetConfig(ground="none")


def skeleton(rig: str) -> Skeleton:
    body = load_body(rig)
    rest = body.shaped(body.default_shape()).joints_rest
    return Skeleton(joint_names=body.joint_names, parents=body.parents, joints_rest=rest)


def joints_world(of: Skeleton, quats: Tensor, root: Tensor) -> Tensor:
    rest = of.joints_rest.to(quats)
    return transform_points(forward_kinematics(of.parents, rest, quats, root), rest)


def angles(one: Tensor, other: Tensor) -> Tensor:
    """Between directions, or the turns between rotations."""
    if one.shape[-1] == 4:
        return 2 * multiply_quats(conjugate_quats(one), other)[..., 1:].norm(dim=-1).clamp(max=1).arcsin()
    return torch.atan2(torch.linalg.cross(one, other).norm(dim=-1), (one * other).sum(-1))


@pytest.mark.parametrize("rig", ["anny", "cmu_mb"])
def test_a_motion_of_the_same_skeleton_stays_as_it_is(rig: str):
    own = skeleton(rig)
    generator = torch.Generator().manual_seed(0)
    turns = quats_from_axis_angles(0.5 * torch.randn(5, len(own.parents), 3, generator=generator))
    root = torch.randn(5, 3, generator=generator)
    clip = Clip(name="own", skeleton=own, local_quats=turns, root_position_world=root, frame_rate_hz=30.0)
    made = retarget(clip, own, AS_IT_IS)
    assert float(angles(made.poses.local_quats, turns).max()) < 1e-5
    torch.testing.assert_close(made.poses.root_position_world, root, atol=1e-5, rtol=0)
    assert (made.report.scale, made.report.unmapped_source, made.report.resting_target) == (pytest.approx(1), (), ())


def test_the_world_may_be_turned_before_or_after(dance: Clip):
    target = skeleton("cmu_mb")
    yaw = quats_from_axis_angles(torch.tensor([0.0, 0.0, 1.1], dtype=torch.float64))
    quats = dance.local_quats.clone()
    quats[:, 0] = multiply_quats(yaw, quats[:, 0])
    turned = replace(dance, local_quats=quats, root_position_world=rotate_points(yaw, dance.root_position_world))
    before, after = retarget(turned, target).poses, retarget(dance, target).poses
    torch.testing.assert_close(
        before.root_position_world, rotate_points(yaw.float(), after.root_position_world), atol=1e-5, rtol=0
    )
    assert float(angles(before.local_quats[:, 1:], after.local_quats[:, 1:]).max()) < 1e-5
    assert float(angles(before.local_quats[:, 0], multiply_quats(yaw.float(), after.local_quats[:, 0])).max()) < 1e-5


def test_whichever_way_the_source_faces_at_rest_the_motion_is_the_same(dance: Clip):
    back = quats_from_axis_angles(torch.tensor([0.0, 0.0, math.pi], dtype=torch.float64))
    rest = rotate_points(back, dance.skeleton.joints_rest)
    quats = multiply_quats(multiply_quats(back, dance.local_quats), conjugate_quats(back))
    quats[:, 0] = multiply_quats(dance.local_quats[:, 0], conjugate_quats(back))
    turned = replace(dance, skeleton=replace(dance.skeleton, joints_rest=rest), local_quats=quats)
    target = skeleton("anny")
    one, other = retarget(turned, target).poses, retarget(dance, target).poses
    assert float(angles(one.local_quats, other.local_quats).max()) < 1e-4
    torch.testing.assert_close(one.root_position_world, other.root_position_world, atol=1e-4, rtol=0)


def test_limbs_point_where_the_sources_do(dance: Clip):
    target = skeleton("cmu_mb")
    made = retarget(dance, target).poses
    theirs = joints_world(dance.skeleton, dance.local_quats, dance.root_position_world)
    ours = joints_world(target, made.local_quats.double(), made.root_position_world.double())
    for start, end in (("Arm", "ForeArm"), ("ForeArm", "Hand"), ("UpLeg", "Leg"), ("Leg", "Foot")):
        for side in ("Left", "Right"):
            bones = []
            for of, places in ((dance.skeleton, theirs), (target, ours)):
                rows = [of.joint_names.index(f"{side}{name}") for name in (start, end)]
                bones.append(places[:, rows[1]] - places[:, rows[0]])
            assert float(angles(*bones).max()) < 1e-3, f"{side}{start}"


def test_trunk_head_and_feet_turn_as_the_sources_do(dance: Clip):
    """In a chain of other length the last joint turns with the last one."""
    target = skeleton("cmu_mb")
    made = retarget(dance, target).poses
    theirs = forward_kinematics(
        dance.skeleton.parents, dance.skeleton.joints_rest, dance.local_quats, dance.root_position_world
    )
    ours = forward_kinematics(
        target.parents, target.joints_rest.double(), made.local_quats.double(), made.root_position_world.double()
    )
    pairs = {"Hips": "Hips", "Spine1": "Spine1", "Neck": "Neck1", "Head": "Head", "LeftFoot": "LeftFoot"}
    for theirs_name, ours_name in pairs.items():
        one = theirs[:, dance.skeleton.joint_names.index(theirs_name), :3, :3]
        other = ours[:, target.joint_names.index(ours_name), :3, :3]
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def rerested(clip: Clip, turns: dict[str, Tensor]) -> Clip:
    """The same motion counted from a rest pose in which the joints named are turned."""
    names, parents = clip.skeleton.joint_names, clip.skeleton.parents
    quats = clip.local_quats.new_tensor([1.0, 0, 0, 0]).repeat(len(names), 1)
    for name, turn in turns.items():
        quats[names.index(name)] = turn
    posed = forward_kinematics(parents, clip.skeleton.joints_rest, quats, clip.skeleton.joints_rest[0])
    places = transform_points(posed, clip.skeleton.joints_rest)
    moved = forward_kinematics(parents, clip.skeleton.joints_rest, clip.local_quats, clip.root_position_world)
    new = moved[..., :3, :3] @ posed[:, :3, :3].mT
    local = torch.stack(
        [new[:, j] if parent < 0 else new[:, parent].mT @ new[:, j] for j, parent in enumerate(parents)], 1
    )
    skeleton = replace(clip.skeleton, joints_rest=places)
    return replace(clip, skeleton=skeleton, local_quats=quats_from_matrices(local))


def test_a_source_in_a_pose_moves_as_the_same_one_in_t_pose(dance: Clip):
    lowered = {
        "LeftArm": quats_from_axis_angles(torch.tensor([0.0, 0.8, 0.0], dtype=torch.float64)),
        "RightArm": quats_from_axis_angles(torch.tensor([0.0, -0.8, 0.0], dtype=torch.float64)),
    }
    target = replace(dance.skeleton, joint_names=tuple(f"mixamorig:{name}" for name in dance.skeleton.joint_names))
    t_pose, a_pose = retarget(dance, target).poses, retarget(rerested(dance, lowered), target).poses
    assert float(angles(t_pose.local_quats, a_pose.local_quats).max()) < 1e-5
    torch.testing.assert_close(t_pose.root_position_world, a_pose.root_position_world, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [0.5, 2.0])
def test_a_smaller_person_makes_smaller_steps(dance: Clip, size: float):
    target = skeleton("anny")
    smaller = replace(target, joints_rest=target.joints_rest * size)
    config = RetargetConfig(ground="clip")
    one, other = retarget(dance, target, config).poses, retarget(dance, smaller, config).poses
    torch.testing.assert_close(one.local_quats, other.local_quats)
    torch.testing.assert_close(one.root_position_world * size, other.root_position_world)


def test_feet_stand_on_the_ground(dance: Clip):
    target = skeleton("cmu_mb")
    touch = TouchPoints.of_joints(target)
    each = retarget(dance, target, RetargetConfig(ground="frame"))
    torch.testing.assert_close(touch.lowest(target, each.poses), torch.zeros(12), atol=1e-5, rtol=0)
    whole = retarget(dance, target, RetargetConfig(ground="clip"))
    lowest = touch.lowest(target, whole.poses)
    assert float(lowest.min()) > -0.05
    assert float((lowest < 1e-5).sum()) == 1  # the quantile is at the first of twelve
    as_it_was = retarget(dance, target, AS_IT_IS).poses.root_position_world
    lifted = whole.poses.root_position_world - as_it_was
    torch.testing.assert_close(
        lifted, torch.tensor([0, 0, whole.report.ground_shift_m]).expand(12, 3), atol=1e-5, rtol=0
    )


def test_between_two_frames_the_turn_is_half(dance: Clip):
    doubled = resampled(dance, 60.0)
    assert len(doubled.local_quats) == 23
    assert float(angles(doubled.local_quats[::2], dance.local_quats).max()) < 1e-6
    first, middle = (
        angles(dance.local_quats[0], dance.local_quats[1]),
        angles(dance.local_quats[0], doubled.local_quats[1]),
    )
    torch.testing.assert_close(middle, first / 2, atol=1e-6, rtol=0)
    made = retarget(dance, skeleton("cmu_mb"), RetargetConfig(frame_rate_hz=60.0))
    assert (made.frame_rate_hz, len(made.poses.local_quats), made.report.frames) == (60, 23, 23)


def test_the_report_names_what_is_left_over(dance: Clip):
    names = [name.replace("LeftHandMiddle2", "Tail") for name in dance.skeleton.joint_names]
    odd = replace(dance, skeleton=replace(dance.skeleton, joint_names=tuple(names)))
    report = retarget(odd, skeleton("anny")).report
    assert report.unmapped_source == ("Tail",)
    assert ("upperleg02.L", "LeftUpLeg") in report.mapped
    assert {"eye.L", "finger5-1.R", "finger3-2.L"} <= set(report.resting_target)
    assert dict(report.rows())["not used"] == "Tail"


def test_a_first_frame_in_t_pose_is_the_reference_and_is_left_out(dance: Clip):
    """However the joints of the file's own rest pose are placed."""
    bent = {"LeftUpLeg": quats_from_axis_angles(torch.tensor([1.5, 0.0, 0.0], dtype=torch.float64))}
    still = dance.local_quats.new_tensor([1.0, 0, 0, 0]).repeat(1, len(dance.skeleton.parents), 1)
    jump = quats_from_axis_angles(torch.tensor([0.0, 1.2, 0.0], dtype=torch.float64))
    moving = dance.local_quats.clone()
    for name, turn in (("LeftArm", jump), ("RightArm", conjugate_quats(jump))):
        row = dance.skeleton.joint_names.index(name)
        moving[:, row] = multiply_quats(moving[:, row], turn)
    start = replace(
        dance,
        local_quats=torch.cat([still, moving]),
        root_position_world=torch.cat([dance.root_position_world[:1], dance.root_position_world]),
    )
    expected = retarget(replace(dance, local_quats=moving), skeleton("anny")).poses
    made = retarget(rerested(start, bent), skeleton("anny"))
    assert made.report.frames == 12
    assert any("T-pose" in note for note in made.report.notes)
    assert float(angles(made.poses.local_quats, expected.local_quats).max()) < 1e-4


def test_a_rest_pose_that_nobody_stands_in_is_replaced(dance: Clip):
    """As in files whose bones all lie along one axis at rest."""
    upright = replace(dance, local_quats=dance.local_quats.clone())
    upright.local_quats[3] = upright.local_quats.new_tensor([1.0, 0, 0, 0])
    lying = {
        "Hips": quats_from_axis_angles(torch.tensor([1.57, 0.0, 0.0], dtype=torch.float64)),
        "LeftLeg": quats_from_axis_angles(torch.tensor([0.0, 0.0, 0.7], dtype=torch.float64)),
    }
    made = retarget(rerested(upright, lying), skeleton("anny"))
    assert any("most upright frame, 3" in note for note in made.report.notes)
    expected = retarget(upright, skeleton("anny")).poses
    assert float(angles(made.poses.local_quats, expected.local_quats).max()) < 1e-3


def test_joints_of_no_person_are_refused(dance: Clip):
    names = tuple(f"wheel {row}" for row in range(len(dance.skeleton.parents)))
    with pytest.raises(ValueError, match=r"dance: its joints are no person's: wheel 0"):
        retarget(replace(dance, skeleton=replace(dance.skeleton, joint_names=names)), skeleton("anny"))


def test_elbows_and_knees_bend_forwards_and_hands_stay_open(dance: Clip):
    """The source bends its left elbow and knee by a right angle about their hinges, nothing else."""
    quats = dance.local_quats.new_tensor([1.0, 0, 0, 0]).repeat(1, len(dance.skeleton.parents), 1)
    names = dance.skeleton.joint_names
    quats[0, names.index("LeftForeArm")] = quats_from_axis_angles(torch.tensor([0.0, 0.0, -1.57], dtype=torch.float64))
    quats[0, names.index("LeftLeg")] = quats_from_axis_angles(torch.tensor([1.57, 0.0, 0.0], dtype=torch.float64))
    clip = replace(dance, local_quats=quats, root_position_world=dance.root_position_world[:1])
    target = skeleton("anny")
    made = retarget(clip, target).poses
    places = dict(
        zip(target.joint_names, joints_world(target, made.local_quats[0], made.root_position_world[0]), strict=True)
    )
    forearm = places["wrist.L"] - places["lowerarm01.L"]
    assert forearm[1] / forearm.norm() < -0.99  # -Y is forwards
    shank = places["foot.L"] - places["lowerleg01.L"]
    assert shank[1] / shank.norm() > 0.9  # backwards
    matrices = matrices_from_quats(made.local_quats[0])
    fingers = [
        row for row, name in enumerate(target.joint_names) if name.startswith("finger") and name.endswith("-3.L")
    ]
    assert float((matrices[fingers] - torch.eye(3)).abs().max()) < 1e-6


def test_poses_are_single_precision(dance: Clip):
    poses = retarget(dance, skeleton("cmu_mb")).poses
    assert isinstance(poses, Pose)
    assert (poses.local_quats.dtype, poses.root_position_world.dtype) == (torch.float32, torch.float32)
