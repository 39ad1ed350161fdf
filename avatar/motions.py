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
    retarget,
)
from avatar.structs import Body, Clip, Motion, Skeleton

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
    """The same from a clip that is read already."""
    config = config or RetargetConfig()
    body = avatar.body(avatar.shape, avatar.poses[0])
    skeleton = Skeleton(
        joint_names=load_body(avatar.rig).joint_names, parents=body.parents, joints_rest=body.joints_rest.detach().cpu()
    )
    touch = _touch_points(body)
    made = retarget(clip, skeleton, config, touch)
    start = avatar.poses.root_position_world.detach().cpu().mean(0)
    ground = ground_height(touch.lowest(skeleton, avatar.poses.to("cpu")))
    root = made.poses.root_position_world
    shift = torch.stack([*(start - root[0])[:2], root.new_tensor(0.0 if config.ground == "none" else ground)])
    motion = Motion(
        poses=replace(made.poses, root_position_world=root + shift),
        frame_ids=tuple(range(len(root))),
        frame_rate_hz=made.frame_rate_hz,
        is_own=False,
    )
    return motion, made.report


def _touch_points(body: Body) -> TouchPoints:
    """Some vertices of the naked body, each with the joint that moves it most."""
    strongest = body.bone_ids.gather(1, body.bone_weights.argmax(1, keepdim=True))[:, 0]
    return TouchPoints(points_rest=body.rest.vertices[::_EVERY].cpu(), joint_ids=strongest[::_EVERY].cpu())
