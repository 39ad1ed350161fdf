"""Motion files that move an avatar."""

from dataclasses import replace
from pathlib import Path

import torch

from avatar.body import load_body
from avatar.model import Avatar
from avatar.motion import (
    RetargetConfig,
    RetargetReport,
    TouchPoints,
    ground_height,
    read_clip,
    read_clip_bytes,
    resampled,
    retarget,
)
from avatar.structs import Body, Clip, Motion, Pose, Skeleton

SAME_M = 0.02  # joints of one person's skeletons are this close
_EVERY = 7  # vertex is enough to feel the ground


def motion_from_file(avatar: Avatar, path: Path, config: RetargetConfig | None = None) -> tuple[Motion, RetargetReport]:
    """The motion in a file, made the avatar's, and what became of its joints.

    It keeps its heading, starts where the avatar stood in its capture, and stands on the same ground. Raises
    FileNotFoundError, and ValueError of one line that names the file when it is broken or nobody's motion.
    """
    return motion_from_clip(avatar, read_clip(path, config and config.frame_rate_hz), config)


def motion_from_bytes(
    avatar: Avatar, name: str, content: bytes, config: RetargetConfig | None = None
) -> tuple[Motion, RetargetReport]:
    """The same from the content of a file called ``name``, such as somebody uploads."""
    return motion_from_clip(avatar, read_clip_bytes(name, content, config and config.frame_rate_hz), config)


def motion_from_clip(avatar: Avatar, clip: Clip, config: RetargetConfig | None = None) -> tuple[Motion, RetargetReport]:
    """The same from a clip that is read already. One of the avatar's own skeleton is left as it is, where it is."""
    config = config or RetargetConfig()
    body = avatar.body(avatar.shape, avatar.poses[0])
    skeleton = Skeleton(
        joint_names=load_body(avatar.rig).joint_names, parents=body.parents, joints_rest=body.joints_rest.detach().cpu()
    )
    if _is_same(clip.skeleton, skeleton):
        clip = resampled(clip, config.frame_rate_hz)
        poses = Pose(local_quats=clip.local_quats.float(), root_position_world=clip.root_position_world.float())
        report = retarget(clip, skeleton, replace(config, ground="none")).report
        return _motion(poses, clip.frame_rate_hz), replace(report, scale=1.0, frames=len(clip.local_quats))
    touch = _touch_points(body)
    made = retarget(clip, skeleton, config, touch)
    root = made.poses.root_position_world
    start = avatar.poses.root_position_world.detach().cpu().mean(0)
    ground = ground_height(touch.lowest(skeleton, avatar.poses.to("cpu")))
    shift = torch.stack([*(start - root[0])[:2], root.new_tensor(0.0 if config.ground == "none" else ground)])
    return _motion(replace(made.poses, root_position_world=root + shift), made.frame_rate_hz), made.report


def _motion(poses: Pose, frame_rate_hz: float) -> Motion:
    steps = tuple(range(len(poses.local_quats)))
    return Motion(poses=poses, frame_ids=steps, frame_rate_hz=frame_rate_hz, is_own=False)


def _is_same(one: Skeleton, other: Skeleton) -> bool:
    """Whether both are of one person, but for what a fit corrects."""
    if one.joint_names != other.joint_names or one.parents != other.parents:
        return False
    differences = (one.joints_rest - one.joints_rest[0]) - (other.joints_rest - other.joints_rest[0])
    return bool(differences.abs().max() < SAME_M)


def _touch_points(body: Body) -> TouchPoints:
    """Some vertices of the naked body, each with the joint that moves it most."""
    strongest = body.bone_ids.gather(1, body.bone_weights.argmax(1, keepdim=True))[:, 0]
    return TouchPoints(points_rest=body.rest.vertices[::_EVERY].cpu(), joint_ids=strongest[::_EVERY].cpu())
