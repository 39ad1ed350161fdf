"""Parts of captures, and the body at rest."""

from dataclasses import replace

from avatar.body import load_body
from avatar.model import Avatar
from avatar.structs import Capture, Pose

from .parse import time_steps


def with_part(capture: Capture, split: str, frames: str | None, cameras: str | None) -> tuple[Capture, str]:
    """The capture with one more split: ``split``, but other time steps, or with the cameras of the split ``cameras``.

    Also gives its name; without any of both, all as it was. ValueError for time steps that do not exist.
    """
    part = capture.split(split)
    if cameras is not None:
        part = replace(part, name=f"{part.name}+{cameras}", camera_ids=capture.split(cameras).camera_ids)
    if frames is not None:
        first, stop = time_steps(frames)
        steps = tuple(range(capture.num_frames)[first:stop])
        if not steps:
            raise ValueError(f"--frames {frames}: expected time steps from 0 to {capture.num_frames - 1}")
        part = replace(part, name=f"{part.name}@{frames.replace(':', '-')}", frame_ids=steps)
    return replace(capture, splits={**capture.splits, part.name: part}), part.name


def rest_pose(avatar: Avatar) -> Pose:
    """The avatar's body at rest."""
    return load_body(avatar.rig).shaped(avatar.shape).rest_pose()
