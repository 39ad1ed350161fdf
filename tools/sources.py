"""Where poses come from: a capture, the avatar itself, or the body at rest."""

from pathlib import Path

from avatar.body import load_body
from avatar.captures import open_capture
from avatar.model import Avatar
from avatar.structs import Capture, Pose

from .motion import Motion
from .runs import is_own, read_record

FRAME_RATE_HZ = 30.0  # of a lone checkpoint, which does not say its capture's


def capture_for(avatar: Avatar, folder: Path, split: str | None = None) -> Capture:
    """The capture in ``folder``, like ``open_capture``, with poses of the avatar's skeleton; ValueError without."""
    capture = open_capture(folder, split, rigs=(avatar.rig,))
    if capture.rig != avatar.rig:
        raise ValueError(f"{folder}: has poses of the skeleton {capture.rig!r}, but the avatar moves by {avatar.rig!r}")
    return capture


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
