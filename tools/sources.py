"""Where poses come from: a capture, the avatar itself, or the body at rest."""

from dataclasses import replace
from pathlib import Path

from avatar.body import load_body
from avatar.captures import open_capture
from avatar.model import Avatar
from avatar.structs import Capture, Pose

from .motion import Motion
from .parse import time_steps
from .runs import is_own, read_record

FRAME_RATE_HZ = 30.0  # of a lone checkpoint, which does not say its capture's


def capture_for(avatar: Avatar, folder: Path, split: str | None = None) -> Capture:
    """The capture in ``folder``, like ``open_capture``, with poses of the avatar's skeleton; ValueError without."""
    capture = open_capture(folder, split, rigs=(avatar.rig,))
    if capture.rig != avatar.rig:
        raise ValueError(f"{folder}: has poses of the skeleton {capture.rig!r}, but the avatar moves by {avatar.rig!r}")
    return capture


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


def fitted_motion(avatar: Avatar, run: Path) -> Motion:
    """The poses that the avatar of a run was fitted to."""
    record = read_record(run)
    rate = record.frame_rate_hz if record else FRAME_RATE_HZ
    motion = Motion(poses=avatar.poses.to("cpu"), frame_ids=avatar.frame_ids, frame_rate_hz=rate, is_own=True)
    return motion.rows(sorted(range(len(avatar.frame_ids)), key=avatar.frame_ids.__getitem__))


def chosen_motion(avatar: Avatar, run: Path, capture: Capture | None) -> Motion:
    """All poses of a capture, or without one those that the avatar was fitted to."""
    if capture is None:
        return fitted_motion(avatar, run)
    return Motion(
        poses=capture.poses,
        frame_ids=tuple(range(capture.num_frames)),
        frame_rate_hz=capture.frame_rate_hz,
        is_own=is_own(run, capture),
    )


def rest_pose(avatar: Avatar) -> Pose:
    """The avatar's body at rest."""
    return load_body(avatar.rig).shaped(avatar.shape).rest_pose()
