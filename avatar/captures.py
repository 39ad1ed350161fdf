"""Open a capture with the body model that fits it: what the capture and body rooms make together."""

from collections.abc import Collection
from pathlib import Path

import torch

from avatar.body import (
    RIGS,
    SMPL_RIGS,
    SmplBody,
    hand_pose,
    installed_bodies,
    load_body,
    pose_from_axis_angles,
    pose_from_rh_th,
)
from avatar.capture import NO_BODY, PictureConfig, SmplPoses, check_person, first_time_step, read_capture
from avatar.structs import Capture, Pose


def open_capture(
    folder: Path,
    split: str | None = None,
    pictures: PictureConfig | None = None,
    rigs: Collection[str] | None = None,
) -> Capture:
    """The capture in ``folder``, whose body is ``load_body(capture.rig)``.

    With ``split``, the pictures of that split must all be there. An exact body is read if its skeleton is one of
    ``rigs``, by default all that there are here, else the one of the default rig. The body of a published set must lie
    where its cameras see the person; it takes the body model, which users bring themselves. Raises FileNotFoundError or
    ValueError with one line that names the file and says what to do.
    """
    if rigs is None:  # where a body of the user's is missing, and nothing stands in for it, load_body says so
        rigs = (*RIGS, *(installed_bodies() if (folder / "body_default.npz").exists() else SMPL_RIGS))
    capture = read_capture(
        folder,
        split=split,
        pictures=pictures,
        pose_from_local_ref=load_body().pose_from_local_ref,
        pose_from_smpl=pose_from_smpl,
        rigs=rigs,
    )
    if capture.rig == NO_BODY:
        raise ValueError(f"{folder}: has pictures but no body; fit one to them first")
    frame_id = first_time_step(capture)
    try:
        body = load_body(capture.rig).shaped(capture.shape).posed(capture.pose(frame_id))
    except ValueError as error:
        raise ValueError(f"{folder}: its body parameters do not fit the body model: {error}") from error
    if capture.rig.startswith("smpl"):
        check_person(capture, body, frame_id, folder)
    return capture


def pose_from_smpl(read: SmplPoses) -> Pose:
    """Our poses of those that a set stores, in the set's world, by the body model of their rig.

    Raises FileNotFoundError, which says how to bring the model, where the user has not.
    """
    body, shape = load_body(read.rig, torch.float64), read.shape
    if not isinstance(body, SmplBody):
        raise ValueError(f"rig: expected one of the SMPL family, found {read.rig!r}")
    turns, offsets = torch.from_numpy(read.turns), torch.from_numpy(read.offsets)
    if read.hands is not None:
        both = [hand_pose(body, torch.from_numpy(read.hands[:, side]), side, flat_hand_mean=False) for side in (0, 1)]
        turns = torch.cat([turns[:, :-30], torch.cat(both, dim=-1).unflatten(-1, (30, 3))], dim=1)
    match read.placement:
        case "about_pelvis":
            return pose_from_axis_angles(body, turns, offsets, shape)
        case "about_origin":
            return pose_from_rh_th(body, turns[:, 1:].flatten(1), turns[:, 0], offsets, shape)
