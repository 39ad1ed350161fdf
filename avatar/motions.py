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


@torch.no_grad()
def motion_from_clip(avatar: Avatar, clip: Clip, config: RetargetConfig | None = None) -> tuple[Motion, RetargetReport]:
    """The same from a clip that is read already. One of the avatar's own skeleton is left as it is, where it is."""
    config = config or RetargetConfig()
    body = avatar.body(avatar.shape, avatar.poses[0])
    skeleton = _skeleton(avatar, body)
    if own := _of_own_skeleton(clip, skeleton):
        own = resampled(own, config.frame_rate_hz)
        poses = Pose(local_quats=own.local_quats.float(), root_position_world=own.root_position_world.float())
        report = retarget(own, skeleton, replace(config, ground="none")).report
        return _motion(poses, own.frame_rate_hz), replace(report, scale=1.0, frames=len(own.local_quats))
    touch = _touch_points(body)
    made = retarget(clip, skeleton, config, touch)
    root = made.poses.root_position_world
    start = avatar.poses.root_position_world.detach().cpu().mean(0)
    ground = ground_height(touch.lowest(skeleton, avatar.poses.to("cpu")))
    shift = torch.stack([*(start - root[0])[:2], root.new_tensor(0.0 if config.ground == "none" else ground)])
    return _motion(replace(made.poses, root_position_world=root + shift), made.frame_rate_hz), made.report


@torch.no_grad()
def clip_of(avatar: Avatar, motion: Motion, name: str) -> Clip:
    """A motion of the avatar with its skeleton, which ``write_clip`` stores and ``motion_from_file`` gives back."""
    return Clip(
        name=name,
        skeleton=_skeleton(avatar, avatar.body(avatar.shape, avatar.poses[0])),
        local_quats=motion.poses.local_quats.cpu(),
        root_position_world=motion.poses.root_position_world.cpu(),
        frame_rate_hz=motion.pace_hz,
    )


def _skeleton(avatar: Avatar, body: Body) -> Skeleton:
    names = load_body(avatar.rig).joint_names
    return Skeleton(joint_names=names, parents=body.parents, joints_rest=body.joints_rest.cpu())


def _motion(poses: Pose, frame_rate_hz: float) -> Motion:
    steps = tuple(range(len(poses.local_quats)))
    return Motion(poses=poses, frame_ids=steps, frame_rate_hz=frame_rate_hz, is_own=False)


def _of_own_skeleton(clip: Clip, own: Skeleton) -> Clip | None:
    """The clip with the joints in the order of ``own``, if its skeleton is that one but for what a fit corrects."""
    theirs = clip.skeleton
    if set(theirs.joint_names) != set(own.joint_names):
        return None
    order = [theirs.joint_names.index(name) for name in own.joint_names]
    parents = tuple(order.index(parent) if parent >= 0 else -1 for parent in (theirs.parents[row] for row in order))
    rest = theirs.joints_rest[order].to(own.joints_rest)
    differences = (rest - rest[0]) - (own.joints_rest - own.joints_rest[0])
    if parents != own.parents or differences.abs().max() > SAME_M:
        return None
    return replace(clip, skeleton=own, local_quats=clip.local_quats[:, order])


def _touch_points(body: Body) -> TouchPoints:
    """Some vertices of the naked body, each with the joint that moves it most."""
    strongest = body.bone_ids.gather(1, body.bone_weights.argmax(1, keepdim=True))[:, 0]
    return TouchPoints(points_rest=body.rest.vertices[::_EVERY].cpu(), joint_ids=strongest[::_EVERY].cpu())
